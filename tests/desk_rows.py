"""Rows for tests of pages and admin: a desk with accounts, pairs, exposures, fills and their hedges.

They are written straight into the tables, as the ledger would leave them; no venue, no engine.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import uuid4

from accounts.models import Account, EngineLease, Fill, Order, Position
from markets.models import Market, market_key
from strategies.models import Exposure, Pair, Strategy
from trading.enums import Action, OrderOrigin, OrderStatus, Outcome, TradingState

TITLES = (
    "Will BTC close above 120,000 on Friday?",
    "Will the rate be cut in December?",
    "Will the bill pass before the recess?",
    "Will the launch happen this quarter?",
    "Will the incumbent win the run-off?",
)


@dataclass
class DeskRows:
    """What `make_desk` made."""

    strategy: Strategy
    markets: list[Market] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    exposures: list[Exposure] = field(default_factory=list)


def make_account(number: int, **fields: object) -> Account:
    """An account with an address that is obviously nobody's."""
    return Account(
        name=f"predict-{number:02d}",
        platform="predict",
        address=f"0x{number:040x}",
        **{
            "connection": Account.Connection.CONNECTED,
            "collateral": Decimal(1000 + 13 * number),
            "reserved": Decimal(number),
            **fields,
        },
    )


def make_desk(now: datetime, pairs: int = 5) -> DeskRows:
    """`pairs` delta-neutral pairs, five markets, an exposure per pair, one engine, no fills."""
    for market_id, title in enumerate(TITLES, start=100):
        Market.objects.create(
            id=market_key("predict", str(market_id)),
            platform="predict",
            market_id=str(market_id),
            title=title,
            status="open",
            tick=Decimal("0.01"),
            min_value=Decimal("0.9"),
            synced_at=now,
        )
    accounts = Account.objects.bulk_create(
        make_account(n, connection_at=now, balance_at=now - timedelta(seconds=20)) for n in range(1, 2 * pairs + 1)
    )
    strategy = Strategy.objects.create(name="delta neutral", state=TradingState.ACTIVE.value)
    rows = DeskRows(strategy, markets=list(Market.objects.order_by("market_id")))
    rows.pairs = Pair.objects.bulk_create(
        Pair(strategy=strategy, primary=accounts[2 * n], hedge=accounts[2 * n + 1]) for n in range(pairs)
    )
    rows.exposures = Exposure.objects.bulk_create(
        Exposure(
            strategy=strategy,
            pair=pair,
            market=rows.markets[n % len(rows.markets)],
            primary_account=pair.primary,
            hedge_account=pair.hedge,
            updated_at=now,
        )
        for n, pair in enumerate(rows.pairs)
    )
    EngineLease.objects.create(
        name="engine:1:test", pid=1, generation_seen=0, started_at=now, renewed_at=now + timedelta(minutes=5)
    )
    return rows


def make_fill(exposure: Exposure, at: datetime, number: int, *, latency_us: int | None = 2_140) -> tuple[Fill, Order]:
    """A fill on the primary (buy yes 0.55) and the hedge that answers it (buy no 0.45); not saved yet."""
    size = Decimal(10 * (1 + number % 9))
    recorded = at + timedelta(microseconds=900)
    fill = Fill(
        account=exposure.primary_account,
        market=exposure.market,
        trade_id=f"trade-{number}",
        order_hash=f"0x{number:064x}",
        outcome=Outcome.YES.value,
        action=Action.BUY.value,
        price=Decimal("0.55"),
        size=size,
        received_at=at,
        recorded_at=recorded,
    )
    sent = None if latency_us is None else at + timedelta(microseconds=latency_us)
    order = Order(
        id=uuid4(),
        account=exposure.hedge_account,
        market=exposure.market,
        outcome=Outcome.NO.value,
        action=Action.BUY.value,
        price=Decimal("0.45"),
        size=size,
        filled=size if sent else Decimal(0),
        status=(OrderStatus.FILLED if sent else OrderStatus.DENIED).value,
        reason="" if sent else "max_order: 10 shares",
        origin=OrderOrigin.STRATEGY.value,
        exposure_id=exposure.id,
        strategy_id=exposure.strategy_id,
        cause=f"fill:{fill.trade_id}:matched",
        order_hash=f"0xbeef{number:060x}",
        body=b"SIGNED-BYTES-NOBODY-MAY-SEE",
        cause_at=at,
        created_at=recorded,
        sent_at=sent,
        answered_at=None if sent is None else sent + timedelta(microseconds=1_300 + 7 * (number % 90)),
        updated_at=recorded,
        latency_us=latency_us,
    )
    return fill, order


def add_fills(rows: DeskRows, now: datetime, count: int, *, spacing: timedelta = timedelta(seconds=7)) -> None:
    """`count` hedged fills going back in time from `now`, spread over the exposures."""
    made = [
        make_fill(rows.exposures[n % len(rows.exposures)], now - n * spacing, n, latency_us=1_700 + 37 * (n * n % 61))
        for n in range(count)
    ]
    Order.objects.bulk_create([order for _, order in made], batch_size=2_000)
    Fill.objects.bulk_create([fill for fill, _ in made], batch_size=2_000)


def add_positions(rows: DeskRows, now: datetime) -> None:
    """A gain on every primary, a loss on every hedge account."""
    Position.objects.bulk_create(
        Position(account=account, market=rows.markets[0], outcome=outcome, realized=realized, updated_at=now)
        for pair in rows.pairs
        for account, outcome, realized in (
            (pair.primary, "yes", Decimal("12.5")),
            (pair.hedge, "no", Decimal("-3.207")),
        )
    )
