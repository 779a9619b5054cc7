"""`/strategies`: making, changing, checking, starting and stopping them, all through `strategies.control`."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest
from ninja import Query, Router, Schema, Status
from pydantic import Field

from accounts.models import Account
from accounts.scope import in_scope, load_account
from identity.callers import Caller, caller_of, may
from identity.models import AuditEntry
from identity.roles import Role
from strategies.config import ConfigError, config_json, parse_config
from strategies.control import (
    Actor,
    ControlError,
    create_strategy,
    reconfigure_strategy,
    replace_pairs,
    start_strategy,
    stop_strategy,
)
from strategies.models import Pair, Strategy
from strategies.removal import StrategyInUse, remove_strategy
from trading.enums import TradingState
from web.fields import Because, Given, Word
from web.paging import Page, PageQuery, Sorting, load_page, order_named
from web.problems import Problem, not_found
from web.requests import request_address

router = Router(tags=["strategies"])
ORDERS = {"name": Sorting(("name",)), "created_at": Sorting(("created_at", "id"))}


class PairAnswer(Schema):
    """What fills on `primary` is hedged on `hedge`."""

    id: UUID
    primary_id: UUID
    primary: str
    hedge_id: UUID
    hedge: str
    enabled: bool

    @staticmethod
    def resolve_primary(row: Pair) -> str:
        return row.primary.name

    @staticmethod
    def resolve_hedge(row: Pair) -> str:
        return row.hedge.name


class StrategyAnswer(Schema):
    """A strategy and its pairs. `version` grows with every change."""

    id: UUID
    name: str
    kind: str
    config: dict[str, Any]
    state: TradingState
    state_reason: str
    version: int
    pairs: list[PairAnswer]
    started_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @staticmethod
    def resolve_pairs(row: Strategy) -> list[Pair]:
        return list(row.pairs.all())


class PairRequest(Given):
    """A pair by its accounts' ids or names."""

    primary: Annotated[Word, Field(min_length=1)]
    hedge: Annotated[Word, Field(min_length=1)]


Config = Annotated[dict[str, Any], Field(description="The strategy's own fields; decimals as strings.")]
Pairs = Annotated[list[PairRequest], Field(max_length=500)]


class NewStrategy(Given):
    """A strategy to be; it begins halted."""

    name: Annotated[Word, Field(min_length=1, max_length=64)]
    kind: Annotated[Word, Field(max_length=32)] = "delta_neutral"
    config: Config = {}
    pairs: Pairs = []


class StrategyChange(Given):
    """What is left out stays. With `version`, refused when somebody else changed the strategy meanwhile."""

    config: Config | None = None
    pairs: Pairs | None = None
    version: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    reason: Annotated[Word, Field(max_length=255)] = ""


class Stopping(Because):
    """How to stop."""

    reducing: Annotated[bool, Field(description="Go on with orders that lower exposure.")] = False


class ConfigRequest(Given):
    """A configuration to look at."""

    kind: Annotated[Word, Field(max_length=32)] = "delta_neutral"
    config: Config = {}


class ConfigAnswer(Schema):
    """Whether it can be used, how it would be kept, and else what is wrong."""

    valid: bool
    config: dict[str, Any] | None = None
    field: str = ""
    message: str = ""


class StrategyQuery(PageQuery):
    """Which strategies."""

    state: TradingState | None = None
    kind: Word = ""
    search: Word = ""
    sort: Literal["name", "-name", "created_at", "-created_at"] = "name"


@router.get("", auth=may(Role.VIEWER), response=Page[StrategyAnswer], summary="List strategies")
def list_strategies(request: HttpRequest, asked: Query[StrategyQuery]) -> Any:
    """Strategies by name, with their pairs."""
    rows = strategies_of(caller_of(request))
    if asked.state:
        rows = rows.filter(state=asked.state.value)
    if asked.kind:
        rows = rows.filter(kind=asked.kind)
    if asked.search:
        rows = rows.filter(name__icontains=asked.search)
    items, following = load_page(rows, order_named(asked.sort, ORDERS), asked)
    return {"items": items, "next": following}


@router.post("", auth=may(Role.TRADER), response={201: StrategyAnswer}, summary="Make a strategy")
def create(request: HttpRequest, given: NewStrategy) -> Any:
    """A new, halted strategy."""
    caller = caller_of(request)
    pairs = load_pairs(given.pairs, caller)
    if caller.is_scoped and not pairs:
        raise Problem(422, "pairs_missing", "Name at least one pair of your own accounts, or you would not see it.")
    try:
        with transaction.atomic():
            made = create_strategy(given.name, by=actor(caller), kind=given.kind, config=given.config, pairs=pairs)
    except IntegrityError as error:
        raise Problem(409, "name_taken", f"There is a strategy named {given.name!r}: choose another name.") from error
    return Status(201, strategies_of(caller).get(pk=made.pk))


@router.post("/validate", auth=may(Role.VIEWER), response=ConfigAnswer, summary="Check a configuration")
def validate(request: HttpRequest, given: ConfigRequest) -> Any:
    """Whether a configuration could be used; changes nothing."""
    try:
        return {"valid": True, "config": config_json(parse_config(given.kind, given.config))}
    except ConfigError as error:
        return {"valid": False, "field": error.field, "message": error.message}


@router.get("/{strategy_id}", auth=may(Role.VIEWER), response=StrategyAnswer, summary="See one strategy")
def read(request: HttpRequest, strategy_id: UUID) -> Any:
    """One strategy with its pairs."""
    return load_strategy(strategy_id, caller_of(request))


@router.put("/{strategy_id}", auth=may(Role.TRADER), response=StrategyAnswer, summary="Change a strategy")
def change(request: HttpRequest, strategy_id: UUID, given: StrategyChange) -> Any:
    """Replace the configuration, the pairs, or both: all of it or nothing. Holds from the next event on."""
    caller = caller_of(request)
    strategy = load_strategy(strategy_id, caller, whole=True)
    with transaction.atomic():
        locked = Strategy.objects.select_for_update().get(pk=strategy.pk)
        if given.version is not None and given.version != locked.version:
            raise Problem(409, "version_outdated", f"It is at version {locked.version} now: read it, then change it.")
        if given.config is not None:
            reconfigure_strategy(strategy.pk, given.config, by=actor(caller), reason=given.reason)
        if given.pairs is not None:
            replace_pairs(strategy.pk, load_pairs(given.pairs, caller), by=actor(caller), reason=given.reason)
    return strategies_of(caller).get(pk=strategy.pk)


@router.delete("/{strategy_id}", auth=may(Role.ADMIN), response={204: None}, summary="Remove an unused strategy")
def delete(request: HttpRequest, strategy_id: UUID) -> Any:
    """Remove a halted strategy that never hedged anything."""
    caller = caller_of(request)
    try:
        remove_strategy(load_strategy(strategy_id, caller, whole=True).pk, by=actor(caller))
    except StrategyInUse as error:
        raise Problem(409, "strategy_in_use", f"{error}.") from error
    return Status(204, None)


@router.post("/{strategy_id}/start", auth=may(Role.TRADER), response=StrategyAnswer, summary="Start a strategy")
def start(request: HttpRequest, strategy_id: UUID, given: Because) -> Any:
    """It hedges from the next event on. Refused (409) when it must not trade as it stands."""
    caller = caller_of(request)
    strategy = load_strategy(strategy_id, caller, whole=True)
    try:
        start_strategy(strategy.pk, by=actor(caller), reason=given.reason)
    except (ControlError, ConfigError) as error:
        raise Problem(409, "strategy_not_ready", f"{error}.") from error
    return strategies_of(caller).get(pk=strategy.pk)


@router.post("/{strategy_id}/stop", auth=may(Role.TRADER), response=StrategyAnswer, summary="Stop a strategy")
def stop(request: HttpRequest, strategy_id: UUID, given: Stopping) -> Any:
    """It orders nothing from the next event on, or with `reducing` only what lowers exposure."""
    caller = caller_of(request)
    strategy = load_strategy(strategy_id, caller, whole=True)
    stop_strategy(strategy.pk, by=actor(caller), reason=given.reason, reducing=given.reducing)
    return strategies_of(caller).get(pk=strategy.pk)


def strategies_of(caller: Caller) -> QuerySet[Strategy]:
    """Strategies the caller may see: all, or those with a pair of accounts they see, with these pairs only."""
    pairs = in_scope(Pair.objects.select_related("primary", "hedge"), caller, "primary", "hedge")
    rows = Strategy.objects.prefetch_related(Prefetch("pairs", pairs.order_by("primary__name", "hedge__name")))
    if caller.is_scoped:
        rows = rows.filter(pk__in=in_scope(Pair.objects.order_by(), caller, "primary", "hedge").values("strategy_id"))
    return rows


def load_strategy(strategy_id: UUID, caller: Caller, *, whole: bool = False) -> Strategy:
    """One of them, or a 404 Problem. `whole`: to change it, all its accounts must be in the caller's sight."""
    strategy = strategies_of(caller).filter(pk=strategy_id).first()
    if strategy is None:
        raise not_found("strategy", strategy_id)
    if whole and caller.tags is not None:
        both = Pair.objects.filter(primary__tags__overlap=sorted(caller.tags), hedge__tags__overlap=sorted(caller.tags))
        if Pair.objects.filter(strategy=strategy).exclude(pk__in=both.values("pk")).exists():
            raise Problem(403, "strategy_out_of_scope", "It trades on accounts out of your sight, too: ask an admin.")
    return strategy


def load_pairs(wanted: list[PairRequest], caller: Caller) -> list[tuple[Account, Account]]:
    """The accounts of pairs; a 404 Problem for one the caller may not see."""
    found: dict[str, Account] = {}
    for named in {name for pair in wanted for name in (pair.primary, pair.hedge)}:
        found[named] = load_account(named, caller)
    return [(found[pair.primary], found[pair.hedge]) for pair in wanted]


def actor(caller: Caller) -> Actor:
    """The caller as the audit log keeps them."""
    return Actor(caller.user, AuditEntry.Source.API, request_address())
