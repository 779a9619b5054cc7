"""A model of the desk that Hypothesis drives: fills, repeats, reversals, refusals, cancels told before their fills,
lost answers and crashes, in any order and in two engines, against the real dispatch and ledger, without processes.
Nothing is ever ordered for shares that are covered or may be; at rest the books are right, whatever happened.
"""

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
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

from accounts.ledger.clearance import record_proved
from accounts.ledger.orders import record_answers
from accounts.ledger.rows import Answer, Received, VenueWord
from accounts.models import Account, Fill, Order
from markets.models import Market
from markets.specs import spec_from_row
from strategies.demo import DemoPair
from strategies.dispatch import Dispatcher
from strategies.inbox import Inbox
from strategies.models import Decision, Exposure, Pair, Strategy
from strategies.reasons import Reason
from strategies.rehearsal.audit import UNDECIDED, is_dust
from strategies.rehearsal.desk import Stand
from strategies.specs import BookShelf, SpecBook
from tests.dispatch.conftest import NOW
from tests.faults.modelled import PRICES, SIZES, AtVenue, Crash, FragileSigner
from trading.enums import Action, OrderStatus, Outcome, Settlement
from trading.orders import IN_FLIGHT
from trading.positions import delta

ENDED = (OrderStatus.CANCELLED.value, OrderStatus.EXPIRED.value)
QUIET_ROUNDS = 40
UUIDS = re.compile(r"[0-9a-f-]{36}")


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
        self.second_conn: psycopg.AsyncConnection[Any] = self.run(
            psycopg.AsyncConnection.connect(self.database_url, autocommit=True)
        )
        self.dispatchers = [self.new_process(self.conn), self.new_process(self.second_conn)]
        self.trades: dict[str, Received] = {}
        self.bus: list[Received] = []
        """Told and not yet read."""
        self.at_venue: dict[str, AtVenue] = {}
        self.numbers = self.decided = 0
        self.hedged_by: dict[Any, list[str]] = {}

    def teardown(self) -> None:
        try:
            self.come_to_rest()
        finally:
            self.run(self.conn.close())
            self.run(self.second_conn.close())

    # The bus and the engine

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def new_process(self, conn: psycopg.AsyncConnection[Any]) -> Dispatcher:
        clock: Callable[[], datetime] = lambda: self.now  # noqa: E731
        return Dispatcher(conn, self.signer, SpecBook(), BookShelf({}, clock), clock)

    def dispatch(
        self,
        *received: Received,
        words: Sequence[VenueWord] = (),
        wake: str = "",
        engine: int = 0,
        dies_after_words: bool = False,
    ) -> None:
        """As an engine does with one batch: three transactions, between which it may die or another may be at work."""
        dispatcher = self.dispatchers[engine]
        inbox = Inbox()
        inbox.received.extend(received)
        wakes = {row.pk: wake for row in self.exposures()} if wake else {}
        self.run(dispatcher.dispatch(inbox, wakes))
        self.check_nothing_is_covered_twice()
        told = self.run(dispatcher.record_words(list(words)))
        if not dies_after_words:
            after = {row.exposure_id: f"order:{row.id}:{row.status}" for row in told if row.exposure_id is not None}
            self.run(dispatcher.dispatch(Inbox(), after))
            self.check_nothing_is_covered_twice()

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
        """Always in one order, whatever the random ids are: a run must be repeatable."""
        found = Order.objects.filter(market=self.market)
        rows = found.filter(status__in=statuses) if statuses else found
        return sorted(rows, key=lambda row: (row.created_at, UUIDS.sub("", row.cause), row.leg, row.size))

    # What happens

    @rule(size=SIZES, price=PRICES, outcome=st.sampled_from(["yes", "no"]))
    def primary_buys(self, size: Decimal, price: Decimal, outcome: str) -> None:
        self.tell(self.trade(self.primary, "0xforeign", outcome, "buy", size, price))

    @precondition(lambda self: self.bus)
    @rule(
        data=st.data(), batch=st.integers(1, 4), crash=st.sampled_from(["", "", "signing", "sending"]),
        engine=st.integers(0, 1),
    )  # fmt: skip
    def engine_reads(self, data: Any, batch: int, crash: str, engine: int) -> None:
        """In any order; a crash leaves the batch unread."""
        taken = [data.draw(st.sampled_from(self.bus)) for _ in range(batch)]
        self.signer.dies_signing, self.signer.dies_sending = crash == "signing", crash == "sending"
        try:
            self.dispatch(*taken, engine=engine)
        except Crash:
            self.dispatchers[engine] = self.new_process(self.conn if engine == 0 else self.second_conn)
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
            data.draw(st.sampled_from(resting)).open = False

    @rule(engine=st.integers(0, 1), dies=st.booleans())
    def venue_tells_what_is_over(self, engine: int, dies: bool) -> None:
        """The word may overtake fills that are still on the bus."""
        self.end_orders(engine, dies=dies)

    @rule()
    def ends_are_proved(self) -> None:
        self.prove_ends()

    @rule(data=st.data(), sent_again=st.booleans())
    def unknown_is_settled(self, data: Any, sent_again: bool) -> None:
        """By evidence: it is there, or the same bytes are sent again, or nobody wants it any more."""
        unknown = self.orders(OrderStatus.UNKNOWN.value)
        if not unknown:
            return
        order = data.draw(st.sampled_from(unknown))
        if order.order_hash not in self.at_venue and sent_again:
            self.accept(order)
        there = order.order_hash in self.at_venue
        self.answer(order, OrderStatus.ACCEPTED if there else OrderStatus.CANCELLED)

    @rule(seconds=st.sampled_from([1, 10, 400]), engine=st.integers(0, 1))
    def engine_sweeps(self, seconds: int, engine: int) -> None:
        self.now += timedelta(seconds=seconds)
        self.dispatch(wake="sweep", engine=engine)

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

    def prove_ends(self) -> None:
        """As `accounts.ends`: over at the venue, no fill of it left on the bus, no fewer shares here than there."""
        for order in Order.objects.filter(market=self.market, doubted_since__isnull=False):
            held = self.at_venue[str(order.order_hash)]
            waiting = any(trade.order_hash == order.order_hash for trade in self.bus)
            if not held.open and not waiting:
                self.run(record_proved(self.conn, order.pk, self.standing(held)))

    def standing(self, held: AtVenue) -> Decimal:
        """Shares of it that the chain has kept."""
        now = [self.trades[trade.trade_id] for trade in held.trades]
        return sum((trade.size for trade in now if trade.settlement is Settlement.SETTLED), Decimal(0))

    def end_orders(self, engine: int = 0, *, dies: bool = False) -> None:
        """The venue's word on orders that are over there."""
        words = [
            VenueWord(account_id=self.hedge.pk, order_hash=order_hash, status=OrderStatus.CANCELLED)
            for order_hash, held in self.at_venue.items()
            if not held.open
        ]
        self.dispatch(words=words, engine=engine, dies_after_words=dies)

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
            self.prove_ends()
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

    def check_nothing_is_covered_twice(self) -> None:
        """Whoever just ordered: with all that its hedges have filled or may fill at the venue, nothing was overdone."""
        told = dict(Fill.objects.filter(market=self.market).values_list("trade_id", "settlement"))
        orders = {str(order.pk): order for order in self.orders()}
        for decision in Decision.objects.filter(exposure__market=self.market, pk__gt=self.decided).order_by("pk"):
            self.decided = decision.pk
            ordered = [orders[order_id] for order_id in decision.orders if order_id in orders]
            self.hedged_by[decision.exposure_id] = self.hedged_by.get(decision.exposure_id, []) + decision.orders
            if not ordered or decision.reason == Reason.DUST_ROUNDED_UP.value:
                continue
            total = decision.primary
            for order_id in self.hedged_by[decision.exposure_id]:
                total += self.at_most(orders[order_id], told)
            sign = 1 if delta(Outcome(ordered[0].outcome), Action(ordered[0].action), ordered[0].size) > 0 else -1
            assert sign * total <= 0, f"{sign * total} shares too many were ordered"

    def at_most(self, order: Order, told: dict[str, str]) -> Decimal:
        """The delta this order has made or may make. A trade counts until the ledger was told that it failed."""
        held = self.at_venue.get(str(order.order_hash))
        shares = order.size if held is None and order.status in UNDECIDED else Decimal(0)
        if held is not None:
            shares = order.size - held.filled if held.open else Decimal(0)
            for trade in held.trades:
                failed = self.trades[trade.trade_id].settlement is Settlement.FAILED
                if told.get(trade.trade_id, "failed" if failed else "matched") != "failed":
                    shares += trade.size
        return delta(Outcome(order.outcome), Action(order.action), shares)

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
