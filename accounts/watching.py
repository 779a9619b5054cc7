"""What is wrong with the desk now, look after look: the worker runs `watch_desk` every 10 s.

Each kind's alerts are made to be what is true at this moment (`alerts.conditions`): a new cause raises one, a cause
that is gone resolves it. Nothing here acts; it only tells.
"""

from datetime import datetime, timedelta

import redis
import structlog
from django.conf import settings
from django.db.models import Count, Min, Q, Sum

from accounts.models import Account, EngineLease, Fill, Order, Reconciliation, SealedSecret
from accounts.querysets import LEASE_TTL, load_desk, without_bytes
from accounts.reconciliation import STALE_AFTER, TELL_AFTER
from accounts.stop import stop_condition
from accounts.unknowns import STUCK_AFTER
from accounts.unsettled import SLOW_AFTER
from alerts.conditions import Condition, hold_alerts
from alerts.kinds import AlertKind
from streams.connection import connect_now
from streams.deadletters import count_dead_letters, load_dead_letters
from trading.enums import OrderStatus, Platform, Settlement, Severity

GRAVE_AFTER = timedelta(minutes=5)
"""An order unknown for so long is critical."""
ENGINE_MISSING_AFTER = timedelta(seconds=15)
"""Longer than an engine's restart takes."""
MANY = 5
"""More accounts of one venue than this without a stream are one alert: the venue's."""
MOST = 200
_MISSING_SINCE = "watch:engine_missing_since"

log = structlog.get_logger()


def watch_desk(now: datetime) -> None:
    """One look at everything. What cannot be read is left as it was."""
    hold_alerts(AlertKind.ORDER_UNKNOWN, find_unknown(now), now)
    hold_alerts(AlertKind.SETTLEMENT_SLOW, find_slow(now), now)
    hold_alerts(AlertKind.CONNECTION_LOST, find_lost(now), now)
    hold_alerts(AlertKind.VENUE_UNREACHABLE, find_unreachable(now), now)
    hold_alerts(AlertKind.DESK_STOPPED, find_stop(), now)
    try:
        with connect_now(settings.REDIS_URL) as bus:
            hold_alerts(AlertKind.ENGINE_MISSING, find_missing_engine(bus, now), now)
            hold_alerts(AlertKind.DEAD_LETTERS, find_dead_letters(bus), now)
    except redis.RedisError as error:
        log.warning("watch_without_bus", error=type(error).__name__)


def find_unknown(now: datetime) -> list[Condition]:
    """Orders whose outcome has been open for longer than `settings.UNKNOWN_ALERT_S`."""
    before = now - timedelta(seconds=settings.UNKNOWN_ALERT_S)
    open_ones = Q(status=OrderStatus.UNKNOWN.value) | Q(
        status=OrderStatus.SUBMITTED.value, created_at__lt=now - STUCK_AFTER
    )
    rows = without_bytes(Order.objects.filter(open_ones, created_at__lt=before)).select_related("account", "market")
    return [
        Condition(
            key=str(order.pk),
            subject=f"{order.account.name}: {order}",
            text=f"Open for {_span(now - order.created_at)} ({order.market}). The last look said:"
            f" {order.reason or 'nothing'}.",
            severity=Severity.CRITICAL if now - order.created_at >= GRAVE_AFTER else Severity.WARNING,
            platform=Platform(order.account.platform),
        )
        for order in rows.order_by("created_at")[:MOST]
    ]


def find_slow(now: datetime) -> list[Condition]:
    """Accounts with fills that matched long ago and neither settled nor failed."""
    silent = Fill.objects.filter(settlement=Settlement.MATCHED.value, received_at__lt=now - SLOW_AFTER).order_by()
    rows = silent.values_list("account_id", "account__name", "account__platform").annotate(
        fills=Count("id"), shares=Sum("size"), oldest=Min("received_at")
    )
    return [
        Condition(
            key=str(account_id),
            subject=name,
            text=f"{fills} fills, {shares.normalize():f} shares, matched up to {_span(now - oldest)} ago.",
            platform=Platform(platform),
        )
        for account_id, name, platform, fills, shares, oldest in rows
    ]


def find_lost(now: datetime) -> list[Condition]:
    """Accounts with a key and without their stream for longer than `settings.CONNECTION_ALERT_S`; many are one."""
    before = now - timedelta(seconds=settings.CONNECTION_ALERT_S)
    keyed = Account.objects.filter(secrets__kind=SealedSecret.Kind.PRIVATE_KEY.value)
    lost: dict[str, list[Account]] = {}
    for account in keyed.exclude(connection=Account.Connection.CONNECTED).order_by("name"):
        if (account.connection_at or account.created_at) < before and account.created_at < before:
            lost.setdefault(account.platform, []).append(account)
    found: list[Condition] = []
    for platform, accounts in lost.items():
        if len(accounts) > MANY:
            total = keyed.filter(platform=platform).count()
            text = f"{len(accounts)} of {total} accounts have no wallet stream, {accounts[0].name} among them."
            found.append(Condition(key=platform, subject=platform, text=text, platform=Platform(platform)))
            continue
        found += [
            Condition(
                key=str(account.pk),
                subject=account.name,
                text=f"{account.connection} for {_span(now - (account.connection_at or account.created_at))}.",
                platform=Platform(platform),
            )
            for account in accounts
        ]
    return found


def find_unreachable(now: datetime) -> list[Condition]:
    """Accounts whose books nobody could compare; critical once they take no new risk."""
    rows = Reconciliation.objects.filter(unreachable_since__lt=now - TELL_AFTER).select_related("account")
    found: list[Condition] = []
    for row in rows.order_by("unreachable_since")[:MOST]:
        account = row.account
        known = account.reconciled_at or account.created_at
        stale = now - known >= STALE_AFTER
        said = f"Not compared for {_span(now - known)}: {' '.join(row.explanations).rstrip('.')}."
        found.append(
            Condition(
                key=str(account.pk),
                subject=account.name,
                text=said + (" Only hedges and orders that reduce leave." if stale else ""),
                severity=Severity.CRITICAL if stale else Severity.WARNING,
                platform=Platform(account.platform),
            )
        )
    return found


def find_stop() -> list[Condition]:
    """The stop in force. `stop.pull_stop` tells at once; this heals what it could not tell."""
    desk = load_desk()
    return [stop_condition(desk.level, desk.changed_by, desk.reason, desk.generation)] if desk.stopped else []


def find_missing_engine(bus: redis.Redis, now: datetime) -> list[Condition]:
    """No fresh lease for a while. Since when is kept on the bus, for leases are forgotten."""
    newest = EngineLease.objects.order_by("-renewed_at").values_list("renewed_at", flat=True).first()
    if newest is not None and now - newest <= LEASE_TTL:
        bus.delete(_MISSING_SINCE)
        return []
    bus.set(_MISSING_SINCE, now.isoformat(), nx=True, ex=86_400)
    kept = bus.get(_MISSING_SINCE)
    since = datetime.fromisoformat(kept.decode()) if isinstance(kept, bytes) else now
    if now - since < ENGINE_MISSING_AFTER:
        return []
    waiting = Order.objects.filter(status=OrderStatus.INITIALIZED.value).count()
    text = f"No process has held a fresh lease for {_span(now - min(since, newest or since))}. {waiting} orders wait."
    return [Condition(key="engine", subject="engine", text=text)]


def find_dead_letters(bus: redis.Redis) -> list[Condition]:
    """Streams with dead letters; one that arrives after a person took note is told again."""
    found: list[Condition] = []
    for stream, count in count_dead_letters(bus).items():
        newest = load_dead_letters(bus, stream, 1)
        if not newest:
            continue
        text = f"{count} on {stream}; the newest: {newest[0].reason}."
        found.append(Condition(key=stream, subject=stream, text=text[:500], latest=newest[0].died_at))
    return found


def _span(age: timedelta) -> str:
    seconds = int(age.total_seconds())
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"
