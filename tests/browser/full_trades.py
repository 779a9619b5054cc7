"""Two hours of trading for a desk without an empty page: every row follows from the fills before it.

Fills move exposures, positions (by `trading.positions`), balances and the points of the result, as the ledger would.
At the end one hedge is of unknown outcome, one exposure owes what a limit denied, one holds dust, one stands still
because its account is halted.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from uuid import UUID, uuid4

from accounts.models import Account, EquityPoint, Fill, Order
from accounts.models import Position as PositionRow
from markets.models import Market
from strategies.models import Decision, Exposure
from tests.desk_rows import DeskRows, make_fill
from trading.enums import Action, FeeKind
from trading.fees import taker_fee
from trading.positions import Position
from trading.values import ZERO

FILLS = 160
ENGINE = "engine:1:test"
MARK = Decimal("0.55")
"""Of YES in every market, in the middle of the book."""
BOOK = {
    "at_ms": 1_700_000_000_000,
    "bids": [["0.54", "120"], ["0.53", "300"]],
    "asks": [["0.56", "90"], ["0.57", "410.5"]],
}
FEE_BPS = 200
OPENING = Decimal(5_000)
HALTED_FOR = timedelta(minutes=25)
UNKNOWN_FOR = timedelta(minutes=9)
"""Longer than an order's outcome stays a warning."""
POINT_EVERY = timedelta(minutes=3)
UNKNOWN, DENIED, DUST = 901, 902, 903
"""The numbers of the fills whose hedges went wrong."""
LAST = {1: HALTED_FOR, 2: timedelta(seconds=95), 3: timedelta(seconds=150)}
"""When an exposure's last fill was, by its place; of the others just now."""
SIZES = {UNKNOWN: Decimal(20), DENIED: Decimal(30), DUST: Decimal("0.4")}


@dataclass
class Owed:
    """What one exposure's fills come to."""

    primary: Decimal = ZERO
    hedged: Decimal = ZERO
    in_flight: Decimal = ZERO
    decisions: int = 0

    @property
    def open(self) -> Decimal:
        return self.primary + self.hedged


@dataclass
class Ledger:
    """The rows as they come to be, oldest first."""

    rows: DeskRows
    now: datetime
    orders: list[Order] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    points: list[EquityPoint] = field(default_factory=list)
    owed: defaultdict[UUID, Owed] = field(default_factory=lambda: defaultdict(Owed))
    held: defaultdict[tuple[UUID, str, str], Position] = field(default_factory=lambda: defaultdict(Position))

    def book(self, fill: Fill) -> None:
        """A fill, its fee, and what it moves."""
        key = (fill.account_id, fill.market_id, fill.outcome)
        moved = self.held[key].apply_fill(Action(fill.action), fill.price, fill.size)
        if fill.fee:
            moved = moved.apply_fee(fill.fee, FeeKind(fill.fee_kind), fill.price)
        self.held[key] = moved
        self.fills.append(settled(fill, self.now))

    def measure(self, at: datetime, accounts: int) -> EquityPoint:
        """The whole desk as it stands."""
        held = self.held.items()
        return EquityPoint(
            at=at,
            collateral=accounts * OPENING + sum((position.cash for _, position in held), ZERO),
            value=sum((position.size * price_of(key[2]) for key, position in held), ZERO),
            cost=sum((position.cost for _, position in held), ZERO),
            realized=sum((position.realized for _, position in held), ZERO),
            accounts=accounts,
        )


def price_of(outcome: str) -> Decimal:
    return MARK if outcome == "yes" else 1 - MARK


def settled(fill: Fill, now: datetime) -> Fill:
    """The fill as the chain has it: settled two seconds after, the newest not yet."""
    fill.venue_time = fill.received_at - timedelta(milliseconds=12)
    fill.liquidity = fill.liquidity or "maker"
    if fill.received_at < now - timedelta(seconds=30):
        fill.settlement, fill.settled_at = "settled", fill.received_at + timedelta(seconds=2)
        fill.transaction_hash = "0x" + sha256(fill.trade_id.encode()).hexdigest()
    return fill


def plant_trades(rows: DeskRows, now: datetime, reserve: Account) -> None:
    """All of it; `reserve` is an account of no pair that is being closed."""
    ledger = Ledger(rows, now)
    count = Account.objects.count()
    buy_by_hand(ledger, reserve, now - timedelta(hours=2, minutes=20))
    due = now - timedelta(hours=2, minutes=15)
    for number, at in timeline(now):
        while due <= at:
            ledger.points.append(ledger.measure(due, count))
            due += POINT_EVERY
        trade(ledger, rows.exposures[place_of(number)], number, at)
    close_by_hand(ledger, reserve, now - timedelta(minutes=7))
    rest_quotes(ledger, now - timedelta(seconds=48))
    ledger.points.append(ledger.measure(now - timedelta(seconds=20), count))
    ledger.points[len(ledger.points) // 3].value = None  # A market's mark could not be read.
    Order.objects.bulk_create(ledger.orders)
    Fill.objects.bulk_create(ledger.fills)
    Decision.objects.bulk_create(ledger.decisions)
    EquityPoint.objects.bulk_create(ledger.points)
    keep_balances(ledger, now)
    keep_exposures(ledger, now)


def timeline(now: datetime) -> list[tuple[int, datetime]]:
    """The fills' numbers and times, oldest first: few at the beginning, many lately."""
    times = [(n, now - timedelta(seconds=3 + 6 * n + n * n // 6)) for n in range(FILLS)]
    kept = [(n, at) for n, at in times if n % 5 not in LAST or at < now - LAST[n % 5] - timedelta(seconds=9)]
    odd = [(UNKNOWN, now - UNKNOWN_FOR), (DENIED, now - LAST[2]), (DUST, now - LAST[3])]
    return sorted(kept + odd, key=lambda one: one[1])


def place_of(number: int) -> int:
    """Which exposure a fill is of."""
    return {UNKNOWN: 0, DENIED: 2, DUST: 3}.get(number, number % 5)


def trade(ledger: Ledger, exposure: Exposure, number: int, at: datetime) -> None:
    """One fill of a primary's and the decision it wakes, with its hedge."""
    owed = ledger.owed[exposure.pk]
    fill, order = make_fill(exposure, at, number, latency_us=1_700 + 37 * (number * number % 61))
    fill.fee, fill.fee_kind = ZERO, "collateral"
    fill.size = order.size = SIZES.get(number, fill.size)
    yes = ledger.held[(fill.account_id, fill.market_id, "yes")].size
    no = ledger.held[(order.account_id, order.market_id, "no")].size
    if number % 3 == 0 and number < FILLS and min(yes, no) >= fill.size:
        fill.action, fill.price = "sell", Decimal("0.57")
        order.action, order.price = "sell", Decimal("0.44")
    sign = 1 if fill.action == "buy" else -1
    owed.primary += sign * fill.size
    owed.decisions += 1
    ledger.book(fill)
    decision = Decision(
        exposure=exposure, cause=order.cause, primary=owed.primary, hedged=owed.hedged, in_flight=owed.in_flight,
        need=-owed.open - owed.in_flight, orders=[str(order.pk)], book=BOOK, at=order.created_at,
    )  # fmt: skip
    ledger.decisions.append(decision)
    order.submitted_at, order.sender, order.attempts = order.created_at, ENGINE, 1
    order.filled, order.status = fill.size, "filled"
    if number == UNKNOWN:
        order.filled, order.status, order.answered_at, order.venue_order_id = ZERO, "unknown", None, ""
        order.reason, owed.in_flight = "no answer within 3 s", -fill.size
    elif number == DENIED:
        order.filled, order.status, order.reason = ZERO, "denied", "max_market_position"
        order.order_hash = order.submitted_at = order.sent_at = order.answered_at = order.latency_us = None
        order.sender, order.attempts, order.body, order.closed_at = "", 0, None, order.created_at
        decision.reason = order.reason
    elif number == DUST:
        decision.orders, decision.reason = [], "dust"
        return
    else:
        fill_hedge(ledger, order, number)
        owed.hedged -= sign * fill.size
    order.announced, order.updated_at = order.status, order.closed_at or order.answered_at or at
    ledger.orders.append(order)


def fill_hedge(ledger: Ledger, order: Order, number: int) -> None:
    """The hedge rested as a maker and filled whole."""
    assert order.answered_at is not None
    order.venue_order_id = str(9_000_000 + number)
    order.closed_at = order.answered_at + timedelta(milliseconds=300 + 7 * (number % 90))
    ledger.book(fill_of(order, f"hedge-{number}", order.size, order.closed_at))


def fill_of(order: Order, trade_id: str, size: Decimal, at: datetime) -> Fill:
    """A fill of an order of ours, as a maker: without a fee."""
    return Fill(
        account=order.account, market=order.market, order=order, exposure_id=order.exposure_id, trade_id=trade_id,
        order_hash=order.order_hash, outcome=order.outcome, action=order.action, price=order.price, size=size,
        fee=ZERO, fee_kind="collateral", received_at=at, recorded_at=at + timedelta(milliseconds=1),
    )  # fmt: skip


def by_hand(account: Account, market: Market, action: str, price: str, origin: str, at: datetime) -> Order:
    """An order of 40 YES shares that a person asked for."""
    pk = uuid4()
    return Order(
        id=pk, account=account, market=market, outcome="yes", action=action, price=Decimal(price), size=Decimal(40),
        origin=origin, order_hash=f"0x{pk.hex:0>64}", sender=ENGINE, attempts=1, created_at=at, submitted_at=at,
        sent_at=at + timedelta(milliseconds=3), answered_at=at + timedelta(milliseconds=9), updated_at=at,
    )  # fmt: skip


def end(order: Order, filled: str, status: str, reason: str = "") -> Order:
    """How far the order came."""
    order.filled, order.status, order.announced, order.reason = Decimal(filled), status, status, reason
    order.closed_at = order.answered_at if status in ("filled", "cancelled") else None
    return order


def buy_by_hand(ledger: Ledger, account: Account, at: datetime) -> None:
    """40 shares in each of three markets."""
    for number, market in enumerate(ledger.rows.markets[:3]):
        order = end(by_hand(account, market, "buy", "0.53", "user", at), "40", "filled")
        ledger.orders.append(order)
        ledger.book(fill_of(order, f"reserve-{number}", order.size, at))


def close_by_hand(ledger: Ledger, account: Account, at: datetime) -> None:
    """The three holdings are being sold: one is gone, one sale is over before its end, one goes on."""
    ends = (("40", "filled", ""), ("12", "cancelled", "the market closed"), ("5", "partially_filled", ""))
    for market, (filled, status, reason) in zip(ledger.rows.markets, ends, strict=False):
        order = end(by_hand(account, market, "sell", "0.52", "closing", at), filled, status, reason)
        ledger.orders.append(order)
        fill = fill_of(order, f"closing-{market.market_id}", order.filled, at + timedelta(milliseconds=9))
        fee, kind = taker_fee(Action.SELL, fill.price, fill.size, FEE_BPS)
        fill.fee, fill.fee_kind, fill.liquidity = fee, kind.value, "taker"
        ledger.book(fill)


def rest_quotes(ledger: Ledger, at: datetime) -> None:
    """Bids of two primaries that wait at the venue."""
    for exposure in (ledger.rows.exposures[0], ledger.rows.exposures[4]):
        order = by_hand(exposure.primary_account, exposure.market, "buy", "0.54", "user", at)
        order.post_only, order.cause, order.venue_order_id = True, "user:quoter", str(9_000_900 + len(ledger.orders))
        ledger.orders.append(end(order, "0", "accepted"))


def keep_balances(ledger: Ledger, now: datetime) -> None:
    """Positions, and the balances that the fills and the resting bids leave."""
    PositionRow.objects.bulk_create(
        PositionRow(
            account_id=account, market_id=market, outcome=outcome, size=held.size, cost=held.cost, cash=held.cash,
            realized=held.realized, fees=held.fees, updated_at=now,
        )
        for (account, market, outcome), held in ledger.held.items()
    )  # fmt: skip
    for account in Account.objects.all():
        account.collateral = OPENING + sum(
            (held.cash for (pk, *_), held in ledger.held.items() if pk == account.pk), ZERO
        )
        account.reserved = sum(
            ((order.size - order.filled) * order.price for order in ledger.orders
             if order.account_id == account.pk and order.action == "buy" and order.status in ("accepted", "unknown")),
            ZERO,
        )  # fmt: skip
        account.save(update_fields=["collateral", "reserved"])


def keep_exposures(ledger: Ledger, now: datetime) -> None:
    """What each exposure owes in the end, since when and why."""
    why = {UNKNOWN: ("", UNKNOWN_FOR), DENIED: ("max_market_position", LAST[2]), DUST: ("dust", LAST[3])}
    told = {place_of(number): said for number, said in why.items()}
    for place, exposure in enumerate(ledger.rows.exposures):
        owed = ledger.owed[exposure.pk]
        exposure.primary, exposure.hedged, exposure.in_flight = owed.primary, owed.hedged, owed.in_flight
        exposure.need, exposure.unhedged = -owed.open - owed.in_flight, abs(owed.open)
        exposure.at_risk, exposure.revision, exposure.updated_at = exposure.unhedged * MARK, owed.decisions, now
        if owed.open:
            exposure.reason, since = told[place]
            exposure.lots, exposure.unhedged_since = [[f"{owed.open:f}", f"{MARK:f}"]], now - since
            exposure.dust_since = now - since if exposure.reason == "dust" else None
        exposure.save()
