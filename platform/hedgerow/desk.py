"""What the desk page shows, part by part. Each part is loaded alone, by a fixed number of queries at any size."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from accounts import querysets as ledger
from accounts.levels import CANCELLING, FLATTEN, NO_NEW, label_of
from accounts.models import Account, Fill, Order
from accounts.stop_preview import load_progress
from hedgerow.charts import load_equity_part
from hedgerow.sparkline import draw_sparkline
from hedgerow.vitals import load_alerts, load_health
from strategies import querysets as exposures
from strategies.models import Exposure
from trading.enums import OrderStatus, TradingState
from trading.orders import TERMINAL
from trading.values import ZERO

FILLS_SHOWN = 25
EXPOSURES_SHOWN = 40
LATENCIES_COUNTED = 500
SPARK_MINUTES = 60


@dataclass(frozen=True)
class FleetRow:
    """One account as the fleet table shows it."""

    account: Account
    open_shares: Decimal
    fills_today: int
    realized: Decimal


@dataclass(frozen=True)
class ExposureRow:
    """One exposure with how long it has stood open."""

    exposure: Exposure
    unhedged_s: int | None

    @property
    def is_open(self) -> bool:
        return self.unhedged_s is not None or self.exposure.need != 0 or self.exposure.in_flight != 0


@dataclass(frozen=True)
class HedgeLeg:
    """One hedge order under a fill: when its bytes left and when the venue took it, in µs after the fill arrived."""

    order: Order
    sent_us: int | None
    accepted_us: int | None
    is_shared: bool
    """True when the order answers several fills and another of them woke it."""


@dataclass(frozen=True)
class FillRow:
    """One fill and what was done about it. `note` says why when there is no order."""

    fill: Fill
    hedges: list[HedgeLeg] = field(default_factory=list)
    note: str = ""


def load_part(part: str, now: datetime) -> dict[str, Any]:
    """The template context of one part: summary, state, fleet, exposures or fills."""
    return {"now": now, **PARTS[part](now)}


def load_state(now: datetime) -> dict[str, Any]:
    """Whether the desk trades, and which engines say so. Two queries; seven more while a stop clears the desk."""
    desk = ledger.load_desk()
    label = label_of(desk.level or NO_NEW)
    context: dict[str, Any] = {"desk": desk, "level": label, "leases": ledger.load_fresh_leases(now)}
    if desk.stopped and desk.level in CANCELLING:
        left = load_progress()
        cleared = ledger.count_cleared(desk.changed_at or now, is_flattening=desk.level == FLATTEN)
        open_still = left.resting + (left.holdings + left.closing if desk.level == FLATTEN else 0)
        context |= {"clearing": left, "cleared": cleared, "cleared_of": max(cleared + open_still, cleared, 1)}
        if left.is_done:
            context["cleared"] = context["cleared_of"]
    return context


def load_fleet(now: datetime) -> dict[str, Any]:
    """All accounts with today's fills and open shares. Four queries."""
    counts = ledger.load_fill_counts(start_of_day(now))
    realized = ledger.load_realized()
    shares = exposures.load_open_shares()
    return {
        "fleet": [
            FleetRow(account, shares.get(account.id, ZERO), counts.get(account.id, 0), realized.get(account.id, ZERO))
            for account in ledger.load_fleet()
        ]
    }


def load_exposures(now: datetime) -> dict[str, Any]:
    """The exposures that need looking at first. One query."""
    rows = exposures.load_exposures(EXPOSURES_SHOWN)
    return {
        "exposures": [
            ExposureRow(
                row, None if row.unhedged_since is None else max(0, int((now - row.unhedged_since).total_seconds()))
            )
            for row in rows
        ]
    }


def load_fills(now: datetime) -> dict[str, Any]:
    """The last fills, each with its hedge orders. Three queries."""
    fills = ledger.load_last_fills(FILLS_SHOWN)
    owed = exposures.load_exposures_of({(fill.account_id, fill.market_id) for fill in fills})
    ids = {exposure.id for found in owed.values() for exposure in found}
    since = min((fill.recorded_at for fill in fills), default=now)
    orders = ledger.load_hedges(ids, since)
    return {"fills": [answer_fill(fill, owed.get((fill.account_id, fill.market_id), []), orders) for fill in fills]}


def load_page(now: datetime) -> dict[str, Any]:
    """Every part at once, for the whole page; the fleet is read once for both parts that show it."""
    context = {"now": now, **load_fleet(now)}
    context |= load_summary(now, context["fleet"])
    for part in PARTS.keys() - {"fleet", "summary"}:
        context |= PARTS[part](now)
    return context


def load_summary(now: datetime, fleet: list[FleetRow] | None = None) -> dict[str, Any]:
    """The tiles: latency, rates, open exposure, result, fleet health. Nine queries."""
    fleet = load_fleet(now)["fleet"] if fleet is None else fleet
    latencies = sorted(ledger.load_latencies(LATENCIES_COUNTED))
    since = now.replace(second=0, microsecond=0) - timedelta(minutes=SPARK_MINUTES - 1)
    minutes = [since + timedelta(minutes=i) for i in range(SPARK_MINUTES)]
    fills, hedges = ledger.load_fills_per_minute(since), ledger.load_hedges_per_minute(since)
    oldest = exposures.load_oldest_unhedged()
    in_flight = ledger.count_in_flight()
    return {
        "p50_us": percentile(latencies, 50),
        "p99_us": percentile(latencies, 99),
        "latencies": len(latencies),
        "spark": draw_sparkline([fills.get(m, 0) for m in minutes], [hedges.get(m, 0) for m in minutes]),
        "fills_last_minute": fills.get(minutes[-2], 0),
        "hedges_last_minute": hedges.get(minutes[-2], 0),
        "fills_today": sum(row.fills_today for row in fleet),
        "open_shares": sum((row.open_shares for row in fleet), ZERO),
        "oldest_unhedged": oldest,
        "realized": sum((row.realized for row in fleet), ZERO),
        "collateral": sum((row.account.collateral for row in fleet), ZERO),
        "accounts": len(fleet),
        "connected": sum(row.account.connection == Account.Connection.CONNECTED for row in fleet),
        "halted": sum(row.account.state == TradingState.HALTED.value for row in fleet),
        "in_flight": sum(in_flight.values()),
        "unknown": in_flight.get("unknown", 0),
    }


PARTS = {
    "state": load_state,
    "summary": load_summary,
    "equity": load_equity_part,
    "health": load_health,
    "alerts": load_alerts,
    "fleet": load_fleet,
    "exposures": load_exposures,
    "fills": load_fills,
}


def answer_fill(fill: Fill, owed: list[Exposure], orders: list[Order]) -> FillRow:
    """`fill` with the hedge orders that answer it. `orders` are oldest first.

    Orders it caused itself come first. A fill that arrived together with others is answered by the first order decided
    on its exposure from then on, which another fill of the batch caused. Where these came to nothing (denied, refused,
    cancelled), the next one that did not is shown as well.
    """
    legs: list[HedgeLeg] = []
    for exposure in owed:
        later = [order for order in orders if order.exposure_id == exposure.id and order.created_at >= fill.recorded_at]
        first = [order for order in later if is_caused_by(order, fill)] or later[:1]
        if first and all(map(came_to_nothing, first)):
            first += [order for order in later[later.index(first[-1]) + 1 :] if not came_to_nothing(order)][:1]
        legs.extend(time_leg(fill, order) for order in first)
    if legs:
        return FillRow(fill, legs)
    if not owed:
        return FillRow(fill, note="no pair hedges this account")
    return FillRow(fill, note=owed[0].reason or "nothing owed")


def is_caused_by(order: Order, fill: Fill) -> bool:
    """True when this fill woke the decision: a cause is `fill:`, the trade id, and how far it was settled."""
    return f"{order.cause}:".startswith(f"fill:{fill.trade_id}:")


def came_to_nothing(order: Order) -> bool:
    """True when it is over and nothing of it filled."""
    return OrderStatus(order.status) in TERMINAL and not order.filled


def time_leg(fill: Fill, order: Order) -> HedgeLeg:
    """The order with its two times after this fill's arrival; None for what has not happened."""
    sent, answered = since_us(fill.received_at, order.sent_at), since_us(fill.received_at, order.answered_at)
    is_shared = order.cause.startswith("fill:") and not is_caused_by(order, fill)
    return HedgeLeg(order, sent, answered, is_shared)


def since_us(start: datetime, end: datetime | None) -> int | None:
    """Whole microseconds from start to end."""
    return None if end is None else (end - start) // timedelta(microseconds=1)


def percentile(ordered: list[int], percent: int) -> int | None:
    """The smallest value that at least `percent` of the ordered values do not exceed."""
    if not ordered:
        return None
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def start_of_day(now: datetime) -> datetime:
    """Midnight UTC, when a trading day starts."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0)
