"""A model of the desk that Hypothesis drives: fills, repeats, reversals, refusals, cancels, lost answers and crashes in
any order, against the real dispatch and ledger, without a process. At rest the books are right, whatever happened.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from accounts.ledger.orders import record_answers
from accounts.ledger.rows import Answer, NewOrder, Received, VenueWord
from accounts.models import Account, Fill, Order
from markets.models import Market
from markets.specs import spec_from_row
from strategies.demo import DemoPair
from strategies.dispatch import Dispatcher
from strategies.inbox import Inbox
from strategies.models import Exposure, Pair, Strategy
from strategies.rehearsal.audit import UNDECIDED, is_dust
from strategies.rehearsal.desk import Stand
from strategies.specs import BookShelf, SpecBook
from tests.dispatch.conftest import NOW, KeepingSigner
from trading.enums import Action, OrderStatus, Outcome, Settlement
from trading.instruments import MarketSpec
from trading.orders import IN_FLIGHT

SIZES = st.sampled_from([Decimal(n) for n in ("0.5", "1", "7.25", "40", "100")])
PRICES = st.sampled_from([Decimal(n) for n in ("0.10", "0.42", "0.55", "0.90")])
ENDED = (OrderStatus.CANCELLED.value, OrderStatus.EXPIRED.value)
QUIET_ROUNDS = 40


class Crash(Exception):
    """The process dies here."""


class FragileSigner(KeepingSigner):
    """Signs and keeps; can be told to die before the commit, or after it with nothing sent."""

    def __init__(self) -> None:
        super().__init__()
        self.dies_signing = self.dies_sending = False

    def prepare(self, order: NewOrder, market: MarketSpec) -> NewOrder:
        if self.dies_signing:
            raise Crash
        return super().prepare(order, market)

    def send(self, orders: Sequence[NewOrder]) -> None:
        if self.dies_sending:
            raise Crash
        super().send(orders)


@dataclass
class AtVenue:
    """One order as the venue has it."""

    order: Order
    filled: Decimal = Decimal(0)
    open: bool = True
    trades: list[Received] = field(default_factory=list)


class Desk(RuleBasedStateMachine):
    """The desk, its venue, and a bus that may repeat and reorder. Subclassed with a database below."""

    database_url: str
    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        super().__init__()
        name = uuid4().hex
        self.market = Market.objects.create(
            id=f"predict:{name}", platform="predict", market_id=name, title="Rain?", status="open", yes_token="1",
            no_token="2", tick=Decimal("0.01"), lot=Decimal("0.01"), min_size=Decimal("0.01"),
            min_value=Decimal("0.9"), fee_rate_bps=0, synced_at=timezone.now(),
        )  # fmt: skip
        address = f"0x{name:0>40}"
        self.primary = Account.objects.create(name=f"p{name[:20]}", platform="predict", address=address)
        self.hedge = Account.objects.create(name=f"h{name[:20]}", platform="predict", address=address[::-1][:42])
        strategy = Strategy.objects.create(name=name, state="active", started_at=timezone.now())
        self.pair = Pair.objects.create(strategy=strategy, primary=self.primary, hedge=self.hedge)
        self.signer = FragileSigner()
        self.now = NOW
        self.conn: psycopg.AsyncConnection[Any] = self.run(
            psycopg.AsyncConnection.connect(self.database_url, autocommit=True)
        )
        self.dispatcher = self.new_process()
        self.trades: dict[str, Received] = {}
        self.bus: list[Received] = []
        """Told and not yet read."""
        self.at_venue: dict[str, AtVenue] = {}
        self.numbers = 0

    def teardown(self) -> None:
        try:
            self.come_to_rest()
        finally:
            self.run(self.conn.close())

    # The bus and the engine

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def new_process(self) -> Dispatcher:
        clock: Callable[[], datetime] = lambda: self.now  # noqa: E731
        return Dispatcher(self.conn, self.signer, SpecBook(), BookShelf({}, clock), clock)

    def dispatch(self, *received: Received, words: Sequence[VenueWord] = (), wake: str = "") -> None:
        """As the engine does with one batch."""
        inbox = Inbox()
        inbox.received.extend(received)
        wakes = {row.pk: wake for row in self.exposures()} if wake else {}
        self.run(self.dispatcher.dispatch(inbox, wakes))
        told = self.run(self.dispatcher.record_words(list(words)))
        after = {row.exposure_id: f"order:{row.id}:{row.status}" for row in told if row.exposure_id is not None}
        self.run(self.dispatcher.dispatch(Inbox(), after))

    def tell(self, trade: Received) -> None:
        self.trades[trade.trade_id] = trade
        self.bus.append(trade)

    def trade(self, account: Account, order_hash: str, outcome: str, action: str, size: Decimal, price: Decimal) -> Any:
        self.numbers += 1
        return Received(
            settlement=Settlement.MATCHED, account_id=account.pk, market_key=self.market.pk,
            trade_id=f"t{self.numbers}", settlement_id=f"s{self.numbers}", order_hash=order_hash,
            outcome=Outcome(outcome), action=Action(action), price=price, size=size, fee=None, fee_kind=None,
            liquidity=None, transaction_hash="", venue_time=None, received_at=self.now,
        )  # fmt: skip

    def exposures(self) -> list[Exposure]:
        return list(Exposure.objects.filter(market=self.market).select_related("strategy", "hedge_account"))

    def orders(self, *statuses: str) -> list[Order]:
        found = Order.objects.filter(market=self.market).order_by("created_at", "id")
        return list(found.filter(status__in=statuses) if statuses else found)

    # What happens

    @rule(size=SIZES, price=PRICES, outcome=st.sampled_from(["yes", "no"]))
    def primary_buys(self, size: Decimal, price: Decimal, outcome: str) -> None:
        self.tell(self.trade(self.primary, "0xforeign", outcome, "buy", size, price))

    @precondition(lambda self: self.bus)
    @rule(data=st.data(), batch=st.integers(1, 4), crash=st.sampled_from(["", "", "signing", "sending"]))
    def engine_reads(self, data: Any, batch: int, crash: str) -> None:
        """In any order; a crash leaves the batch unread."""
        taken = [data.draw(st.sampled_from(self.bus)) for _ in range(batch)]
        self.signer.dies_signing, self.signer.dies_sending = crash == "signing", crash == "sending"
        try:
            self.dispatch(*taken)
        except Crash:
            self.dispatcher = self.new_process()
        else:
            self.bus = [trade for trade in self.bus if trade not in taken]
        finally:
            self.signer.dies_signing = self.signer.dies_sending = False

    @precondition(lambda self: self.trades)
    @rule(data=st.data())
    def bus_repeats_itself(self, data: Any) -> None:
        self.bus.append(data.draw(st.sampled_from(list(self.trades.values()))))

    @precondition(lambda self: self.trades)
    @rule(data=st.data(), failed=st.booleans())
    def chain_decides(self, data: Any, failed: bool) -> None:
        pending = [trade for trade in self.trades.values() if trade.settlement is Settlement.MATCHED]
        if pending:
            self.settle(data.draw(st.sampled_from(pending)), Settlement.FAILED if failed else Settlement.SETTLED)

    @rule(data=st.data(), fate=st.sampled_from(["accepted", "accepted_unheard", "lost", "rejected"]))
    def order_meets_its_fate(self, data: Any, fate: str) -> None:
        waiting = [order for order in self.orders(*UNDECIDED) if order.order_hash not in self.at_venue]
        if not waiting:
            return
        order = data.draw(st.sampled_from(waiting))
        if fate.startswith("accepted"):
            self.accept(order)
        said = {"accepted": OrderStatus.ACCEPTED, "rejected": OrderStatus.REJECTED}.get(fate, OrderStatus.UNKNOWN)
        self.answer(order, said)

    @rule(data=st.data(), part=st.sampled_from([Decimal("0.3"), Decimal(1)]))
    def venue_fills(self, data: Any, part: Decimal) -> None:
        resting = [held for held in self.at_venue.values() if held.open]
        if resting:
            self.fill(data.draw(st.sampled_from(resting)), part)

    @rule(data=st.data())
    def venue_cancels(self, data: Any) -> None:
        resting = [held for held in self.at_venue.values() if held.open]
        if resting:
            self.cancel(data.draw(st.sampled_from(resting)))

    @rule(seconds=st.sampled_from([1, 10, 400]))
    def engine_sweeps(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        self.dispatch(wake="sweep")

    # The venue

    def accept(self, order: Order) -> None:
        assert order.order_hash not in self.at_venue, "an order reached the venue twice"
        self.at_venue[str(order.order_hash)] = AtVenue(order)

    def answer(self, order: Order, status: OrderStatus) -> None:
        async def record() -> None:
            async with self.conn.transaction():
                await record_answers(self.conn, [Answer(client_order_id=order.pk, status=status)], self.now)

        self.run(record())

    def fill(self, held: AtVenue, part: Decimal) -> None:
        order = held.order
        size = min((order.size * part).quantize(Decimal("0.01")), order.size - held.filled)
        if size > 0:
            held.filled += size
            held.open = held.filled < order.size
            trade = self.trade(self.hedge, str(order.order_hash), order.outcome, order.action, size, order.price)
            held.trades.append(trade)
            self.tell(trade)

    def settle(self, trade: Received, settlement: Settlement) -> None:
        """A failure ends the order too, as Predict.fun does."""
        self.tell(Received(**{**{name: getattr(trade, name) for name in trade.__struct_fields__},
                              "settlement": settlement}))  # fmt: skip
        held = self.at_venue.get(trade.order_hash)
        if held is not None and settlement is Settlement.FAILED:
            held.open = False

    def cancel(self, held: AtVenue) -> None:
        """The end of an order is told once its fills are in the books, as the canceller and the reconciler do."""
        held.open = False

    def end_orders(self) -> None:
        """The venue's word on orders that are over there, after their fills."""
        words = [
            VenueWord(account_id=self.hedge.pk, order_hash=order_hash, status=OrderStatus.CANCELLED)
            for order_hash, held in self.at_venue.items()
            if not held.open
        ]
        self.dispatch(words=words)

    # What must be true

    def come_to_rest(self) -> None:
        """No more trouble: everything is told, settled, answered and filled. Then the books must be right."""
        for _ in range(QUIET_ROUNDS):
            for trade in list(self.trades.values()):
                if trade.settlement is Settlement.MATCHED:
                    self.settle(trade, Settlement.SETTLED)
            while self.bus:
                self.dispatch(*self.bus[:5])
                del self.bus[:5]
            self.end_orders()
            for order in self.orders(*UNDECIDED):
                if order.order_hash not in self.at_venue:
                    self.accept(order)
                self.answer(order, OrderStatus.ACCEPTED)
            for held in self.at_venue.values():
                if held.open:
                    self.fill(held, Decimal(1))
            self.now += timedelta(seconds=5)
            self.dispatch(wake="sweep")
            if self.is_quiet():
                break
        self.check_books()

    def is_quiet(self) -> bool:
        pending = any(trade.settlement is Settlement.MATCHED for trade in self.trades.values())
        return not (self.bus or pending or self.orders(*(status.value for status in IN_FLIGHT)))

    def check_books(self) -> None:
        spec = spec_from_row(self.market)
        assert spec is not None
        stand = Stand(DemoPair(self.pair, self.primary, self.hedge, self.market.market_id), spec)
        standing = {trade_id for trade_id, trade in self.trades.items() if trade.settlement is Settlement.SETTLED}
        rows = list(Fill.objects.filter(market=self.market))
        assert {row.trade_id for row in rows if row.settlement == "settled"} == standing
        assert len(rows) == len({row.trade_id for row in rows})
        for exposure in self.exposures():
            assert exposure.in_flight == 0
            assert is_dust(stand, exposure), (exposure.need, exposure.reason)
            assert exposure.primary == self.net(self.primary)
            assert exposure.hedged == self.net(self.hedge)

    def net(self, account: Account) -> Decimal:
        """Yes minus no shares that the chain says this account has gained."""
        gained = Decimal(0)
        for trade in self.trades.values():
            if trade.account_id == account.pk and trade.settlement is Settlement.SETTLED:
                sign = (1 if trade.outcome is Outcome.YES else -1) * (1 if trade.action is Action.BUY else -1)
                gained += sign * trade.size
        return gained

    @invariant()
    def no_leg_is_ordered_twice(self) -> None:
        legs = [(order.exposure_id, order.cause, order.leg, order.rung) for order in self.orders()]
        assert len(legs) == len(set(legs))

    @invariant()
    def need_and_flight_cover_what_is_open(self) -> None:
        """need = −primary − hedged − in flight, whatever was told twice, late or never."""
        for exposure in self.exposures():
            assert exposure.need == -exposure.primary - exposure.hedged - exposure.in_flight


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_desk_ends_right_whatever_happens(database_url: str, loop: asyncio.AbstractEventLoop) -> None:
    machine = type("TestedDesk", (Desk,), {"database_url": database_url, "loop": loop})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
