"""Starting, stopping and changing a strategy. Pages, the admin, the API, the bot and commands all call this.

Each change is one transaction: the row is locked, checked, written with version + 1 and audited; the bus is told
after the commit. The engine reads the row anew with every event, so a change holds from the next one on.
Whoever calls has checked that the person may.
"""

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import redis
import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.models import Account
from alerts.conditions import key_of, resolve_alerts
from alerts.kinds import KINDS, AlertKind
from alerts.raising import raise_alert
from identity.audit import record_audit
from identity.models import AuditEntry, User
from strategies.config import ConfigError, DeltaNeutralConfig, config_json, parse_config
from strategies.models import Pair, Strategy
from streams.connection import connect_now
from streams.publisher import publish_now
from trading.enums import TradingState
from trading.errors import InvalidValue
from trading.events import STRATEGY_EVENTS, Event, StrategyChanged
from trading.ids import event_id

log = structlog.get_logger()

ENGINE = "hedgerow"
"""Who acts when a strategy halts itself."""


class ControlError(InvalidValue):
    """A strategy that cannot be started or changed like this. The message says what to do."""


@dataclass(frozen=True)
class Actor:
    """Who asks, and from where: what the audit log keeps."""

    who: User | str
    source: str = AuditEntry.Source.SYSTEM
    address: str | None = None


def create_strategy(
    name: str,
    *,
    by: Actor,
    kind: str = "delta_neutral",
    config: Mapping[str, Any] | None = None,
    pairs: Collection[tuple[Account, Account]] = (),
) -> Strategy:
    """A new, halted strategy with its (primary, hedge) pairs. Raises ConfigError or ControlError."""
    parsed = config_json(parse_config(kind, config or {}))
    check_pairs(pairs)
    with transaction.atomic():
        strategy = Strategy.objects.create(name=name, kind=kind, config=parsed)
        Pair.objects.bulk_create(Pair(strategy=strategy, primary=primary, hedge=hedge) for primary, hedge in pairs)
        _record(strategy, "created", by, before=None, reason="")
    return strategy


def start_strategy(strategy_id: uuid.UUID, *, by: Actor, reason: str = "") -> Strategy:
    """ACTIVE from the next event on. Raises ConfigError or ControlError when it must not trade as it stands."""
    with transaction.atomic():
        strategy = _locked(strategy_id)
        config = parse_config(strategy.kind, strategy.config)
        pairs = _enabled_pairs(strategy)
        if not pairs:
            raise ControlError(f"{strategy.name} has no enabled pair: add one before starting it")
        check_pairs(pairs)
        _check_cycles(strategy, pairs)
        check_alternates(config, pairs)
        strategy.started_at = strategy.started_at or timezone.now()
        return _set_state(strategy, TradingState.ACTIVE, "started", by, reason)


def stop_strategy(strategy_id: uuid.UUID, *, by: Actor, reason: str = "", reducing: bool = False) -> Strategy:
    """HALTED (or REDUCING) from the next event on. What is owed stays on the exposures; resting orders stay out."""
    state = TradingState.REDUCING if reducing else TradingState.HALTED
    with transaction.atomic():
        return _set_state(_locked(strategy_id), state, "reducing" if reducing else "stopped", by, reason)


def reconfigure_strategy(
    strategy_id: uuid.UUID,
    config: Mapping[str, Any],
    *,
    by: Actor,
    reason: str = "",
    expected_version: int | None = None,
) -> Strategy:
    """Replace the configuration. With `expected_version`, refuses when somebody else changed it meanwhile."""
    with transaction.atomic():
        strategy = _locked(strategy_id)
        if expected_version is not None and strategy.version != expected_version:
            raise ControlError(f"{strategy.name} was changed by somebody else meanwhile: look again, then change it")
        before = _summary(strategy)
        parsed = parse_config(strategy.kind, config)
        if strategy.state != TradingState.HALTED.value:
            check_alternates(parsed, _enabled_pairs(strategy))
        strategy.config = config_json(parsed)
        _record(strategy, "reconfigured", by, before=before, reason=reason)
        return strategy


def replace_pairs(
    strategy_id: uuid.UUID, pairs: Collection[tuple[Account, Account]], *, by: Actor, reason: str = ""
) -> Strategy:
    """Give the strategy exactly these (primary, hedge) pairs: others are disabled, their exposures stay visible."""
    check_pairs(pairs)
    with transaction.atomic():
        strategy = _locked(strategy_id)
        before = _summary(strategy)
        rows = Pair.objects.select_for_update(of=("self",)).filter(strategy=strategy)
        known = {(pair.primary.pk, pair.hedge.pk): pair for pair in rows.select_related("primary", "hedge")}
        wanted = {(primary.pk, hedge.pk) for primary, hedge in pairs}
        for key, pair in known.items():
            if pair.enabled != (key in wanted):
                pair.enabled = key in wanted
                pair.save(update_fields=["enabled"])
        Pair.objects.bulk_create(
            Pair(strategy=strategy, primary=primary, hedge=hedge)
            for primary, hedge in pairs
            if (primary.pk, hedge.pk) not in known
        )
        if strategy.state != TradingState.HALTED.value:
            _check_cycles(strategy, pairs)
        _record(strategy, "pairs_changed", by, before=before, reason=reason)
        return strategy


def check_pairs(pairs: Collection[tuple[Account, Account]]) -> None:
    """Raises ControlError for a pair that cannot hedge: the same account twice, or paper with live."""
    for primary, hedge in pairs:
        if primary.pk == hedge.pk:
            raise ControlError(f"{primary.name} cannot hedge itself: choose another hedge account")
        if primary.mode != hedge.mode:
            raise ControlError(
                f"{primary.name} is {primary.mode} and {hedge.name} is {hedge.mode}: a pair stays in one mode"
            )
    if len({(primary.pk, hedge.pk) for primary, hedge in pairs}) != len(pairs):
        raise ControlError("a pair is named twice")


def check_alternates(config: DeltaNeutralConfig, pairs: Collection[tuple[Account, Account]]) -> None:
    """Raises ControlError for an `alternate` rung no pair could trade on: its account is missing, a primary of the
    strategy, or on another venue or in another mode than the hedge account it stands in for."""
    for number, rung in enumerate(config.ladder, start=1):
        if not rung.account:
            continue
        found = Account.objects.filter(name=rung.account).first()
        if found is None:
            raise ControlError(f"rung {number}: there is no account {rung.account!r}; name one that exists")
        for primary, hedge in pairs:
            if found.pk == primary.pk:
                raise ControlError(f"rung {number}: {found.name} is a primary of this strategy and cannot hedge it")
            if (found.platform, found.mode) != (hedge.platform, hedge.mode):
                raise ControlError(
                    f"rung {number}: {found.name} is on {found.platform} ({found.mode}), the hedge account"
                    f" {hedge.name} on {hedge.platform} ({hedge.mode}); an alternate stays on the same venue and mode"
                )


def find_cycle(edges: Iterable[tuple[uuid.UUID, uuid.UUID]]) -> list[uuid.UUID]:
    """Accounts along a circle of primary → hedge edges, the first repeated at the end; empty when there is none."""
    following: dict[uuid.UUID, set[uuid.UUID]] = {}
    for primary, hedge in edges:
        following.setdefault(primary, set()).add(hedge)
    while ends := {node for node, hedges in following.items() if not hedges & following.keys()}:
        for node in ends:
            del following[node]
    if not following:
        return []
    trail = [next(iter(following))]
    while True:
        node = next(iter(following[trail[-1]] & following.keys()))
        if node in trail:
            return [*trail[trail.index(node) :], node]
        trail.append(node)


def _check_cycles(strategy: Strategy, pairs: Collection[tuple[Account, Account]]) -> None:
    """One strategy's hedge is never another's primary, so two that hedge each other in a circle hide each other."""
    others = Pair.objects.filter(enabled=True).exclude(strategy=strategy)
    others = others.exclude(strategy__state=TradingState.HALTED.value)
    edges = list(others.values_list("primary_id", "hedge_id"))
    cycle = find_cycle([*edges, *((primary.pk, hedge.pk) for primary, hedge in pairs)])
    if cycle:
        names = dict(Account.objects.filter(pk__in=cycle).values_list("pk", "name"))
        circle = " → ".join(names[pk] for pk in cycle)
        raise ControlError(
            f"{strategy.name} would close a circle of hedges: {circle}. One strategy's hedge is never hedged by"
            " another; for two accounts that hedge each other use one pair with mutual on"
        )


def _enabled_pairs(strategy: Strategy) -> list[tuple[Account, Account]]:
    pairs = Pair.objects.filter(strategy=strategy, enabled=True).select_related("primary", "hedge")
    return [(pair.primary, pair.hedge) for pair in pairs]


def _locked(strategy_id: uuid.UUID) -> Strategy:
    try:
        return Strategy.objects.select_for_update().get(pk=strategy_id)
    except Strategy.DoesNotExist:
        raise ControlError("there is no such strategy") from None


def _set_state(strategy: Strategy, state: TradingState, what: str, by: Actor, reason: str) -> Strategy:
    before = _summary(strategy)
    strategy.state, strategy.state_reason = state.value, reason[:255]
    _record(strategy, what, by, before=before, reason=reason)
    kind = AlertKind.STRATEGY_HALTED
    key = key_of(kind, str(strategy.pk))
    if state is not TradingState.HALTED:
        resolve_alerts([key], timezone.now())
    elif by.who != ENGINE:
        # What halts itself has raised its own alert, with the figures.
        raise_alert(KINDS[kind].severity, kind, strategy.name, f"{by.who} stopped it: {reason}", dedup_key=key)
    return strategy


def _summary(strategy: Strategy) -> dict[str, Any]:
    pairs = Pair.objects.filter(strategy=strategy, enabled=True).order_by("primary__name", "hedge__name")
    return {
        "state": strategy.state,
        "config": strategy.config,
        "version": strategy.version,
        "pairs": [f"{primary} → {hedge}" for primary, hedge in pairs.values_list("primary__name", "hedge__name")],
    }


def _record(strategy: Strategy, what: str, by: Actor, *, before: dict[str, Any] | None, reason: str) -> None:
    if before is not None:
        strategy.version += 1
        strategy.save()
    person = by.who if isinstance(by.who, User) else None
    record_audit(
        f"strategy.{what}",
        user=person,
        who="" if person else str(by.who),
        subject=strategy,
        before=before,
        after=_summary(strategy),
        reason=reason,
        source=by.source,
        address=by.address,
    )
    event = Event(
        id=event_id("strategy", str(strategy.pk), str(strategy.version)),
        timestamp=timezone.now(),
        data=StrategyChanged(
            strategy_id=str(strategy.pk), strategy_name=strategy.name, what=what, value=strategy.state
        ),
    )
    transaction.on_commit(lambda: _announce(event))


def _announce(event: Event) -> None:
    """Tell the bus. The change itself does not depend on it, so a dead Redis is only logged."""
    try:
        with connect_now(settings.REDIS_URL) as client:
            publish_now(client, STRATEGY_EVENTS, event)
    except redis.RedisError as error:
        log.error("strategy_change_unannounced", event_id=str(event.id), error=type(error).__name__)


__all__ = [
    "Actor",
    "ConfigError",
    "ControlError",
    "check_pairs",
    "create_strategy",
    "find_cycle",
    "reconfigure_strategy",
    "replace_pairs",
    "start_strategy",
    "stop_strategy",
]
