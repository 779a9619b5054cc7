"""What is written before it is decided: committed only when the decision is just that, and else as if it never was."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from accounts.ledger.rows import NewOrder
from accounts.models import Account, Fill, Order, Position
from strategies.dispatch import Dispatcher
from strategies.models import Decision, Exposure, Pair, Strategy
from strategies.trips import Trips, Writes
from strategies.worker import connect_dispatcher
from tests.dispatch.conftest import NOW, KeepingSigner, fill, inbox_of, make_dispatcher
from trading.enums import Action, FeeKind, OrderStatus, Outcome, Settlement


class WatchedTrips(Trips):
    """Counts what is written ahead and taken back; `meanwhile` runs between the two."""

    def __init__(self, conn: psycopg.AsyncConnection[Any]) -> None:
        super().__init__(conn)
        self.written = self.taken_back = 0

    def write_ahead(self, writes: Writes) -> None:
        super().write_ahead(writes)
        self.written += 1

    async def take_back(self) -> None:
        await super().take_back()
        self.taken_back += 1


@pytest.fixture
async def conn(database_url: str, transactional_db: None) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    conn = await connect_dispatcher(database_url)
    yield conn
    await conn.close()


@pytest.fixture
def trips(conn: psycopg.AsyncConnection[Any]) -> WatchedTrips:
    return WatchedTrips(conn)


@pytest.fixture
async def trading(
    conn: psycopg.AsyncConnection[Any],
    trips: WatchedTrips,
    signer: KeepingSigner,
    strategy: Strategy,
    primary: Account,
) -> Dispatcher:
    """A dispatcher that has seen two fills of the primary, and foresaw the second."""
    trading = make_dispatcher(conn, signer)
    trading._trips = trips
    for number in range(2):
        await trading.dispatch(inbox_of(fill(primary, f"before{number}", size="10")))
    assert (trips.written, trips.taken_back, len(signer.sent)) == (1, 0, 2)
    trips.written = 0
    return trading


async def books() -> dict[str, Any]:
    """The books without what belongs to one run alone."""
    exposure = await Exposure.objects.aget()
    return {
        "exposure": (exposure.primary, exposure.hedged, exposure.in_flight, exposure.need, exposure.lots),
        "positions": [(p.outcome, p.size, p.cost, p.cash) async for p in Position.objects.order_by("id")],
        "orders": [(o.status, o.size, o.price, o.filled) async for o in Order.objects.order_by("size", "id")],
        "fills": await Fill.objects.acount(),
        "decisions": await Decision.objects.acount(),
    }


async def test_what_was_foreseen_rightly_is_written_ahead(
    trading: Dispatcher, trips: WatchedTrips, signer: KeepingSigner, primary: Account
) -> None:
    await trading.dispatch(inbox_of(fill(primary, "t1", size="30", price="0.50")))
    assert (trips.written, trips.taken_back) == (1, 0)
    order = signer.sent[-1]
    row = await Order.objects.aget(id=order.id)
    assert (row.size, row.price, row.status, bytes(row.body)) == (30, Decimal("0.5"), "submitted", order.body)
    assert await books() == {
        "exposure": (50, 0, -50, 0, [["20", "0.55"], ["30", "0.5"]]),
        "positions": [("yes", 50, 26, -26)],
        "orders": [("submitted", 10, Decimal("0.45"), 0)] * 2 + [("submitted", 30, Decimal("0.5"), 0)],
        "fills": 3,
        "decisions": 3,
    }


async def test_books_are_the_same_with_and_without_writing_ahead(
    database_url: str, trading: Dispatcher, trips: WatchedTrips, signer: KeepingSigner, primary: Account
) -> None:
    """Every dispatch by a dispatcher that remembers nothing gives the rows of one that foresees."""
    sizes = ["1", "7.25", "0.5", "40", "3"]
    for number, size in enumerate(sizes):
        await trading.dispatch(inbox_of(fill(primary, f"t{number}", size=size)))
    foreseen, sent = await books(), [(o.price, o.size) for o in signer.sent]
    assert trips.written >= len(sizes) - 2
    for model in (Decision, Order, Fill, Position, Exposure):
        await model.objects.all().adelete()  # type: ignore[attr-defined]
    signer.sent.clear()
    for number, size in enumerate(["10", "10", *sizes]):
        async with await connect_dispatcher(database_url) as fresh:
            trade = f"before{number}" if number < 2 else f"t{number - 2}"
            await make_dispatcher(fresh, signer).dispatch(inbox_of(fill(primary, trade, size=size)))
    assert (await books(), [(o.price, o.size) for o in signer.sent]) == (foreseen, sent)


async def test_wrong_guess_is_taken_back_and_decided_on_the_rows(
    trading: Dispatcher, trips: WatchedTrips, signer: KeepingSigner, primary: Account
) -> None:
    await Exposure.objects.aupdate(hedged=-25)
    await trading.dispatch(inbox_of(fill(primary, "t1", size="30")))
    assert (trips.written, trips.taken_back) == (1, 1)
    assert [order.size for order in signer.sent] == [10, 10, 5]
    exposure = await Exposure.objects.aget()
    assert (exposure.primary, exposure.hedged, exposure.in_flight, exposure.need) == (50, -25, -25, 0)
    assert (await Fill.objects.acount(), await Order.objects.acount(), await Decision.objects.acount()) == (3, 3, 3)
    await trading.dispatch(inbox_of(fill(primary, "t2", size="30")))
    assert trips.written == 1, "after a wrong guess the next has to be right unwritten first"
    await trading.dispatch(inbox_of(fill(primary, "t3", size="30")))
    assert (trips.written, trips.taken_back) == (2, 1)


async def test_halted_strategy_orders_nothing_whatever_was_foreseen(
    trading: Dispatcher, trips: WatchedTrips, signer: KeepingSigner, strategy: Strategy, primary: Account
) -> None:
    await Strategy.objects.aupdate(state="halted")
    await trading.dispatch(inbox_of(fill(primary, "t1", size="30")))
    assert (trips.written, trips.taken_back, len(signer.sent)) == (1, 1, 2)
    assert (await Exposure.objects.aget()).need == -30
    assert [order.status async for order in Order.objects.order_by("size")] == ["submitted", "submitted", "denied"]


async def test_new_pair_of_the_primary_is_hedged_too(
    trading: Dispatcher, trips: WatchedTrips, signer: KeepingSigner, strategy: Strategy, primary: Account
) -> None:
    other = await Account.objects.acreate(name="other", platform="predict", address="0x" + "3" * 40)
    await Pair.objects.acreate(strategy=strategy, primary=primary, hedge=other)
    await trading.dispatch(inbox_of(fill(primary, "t1", size="30")))
    assert trips.taken_back == 1
    assert {(order.account_id == other.id, order.size) for order in signer.sent[2:]} == {(True, 30), (False, 30)}


async def test_repeated_fill_written_ahead_changes_nothing(
    trading: Dispatcher, trips: WatchedTrips, signer: KeepingSigner, primary: Account
) -> None:
    before = await books()
    await trading.dispatch(inbox_of(fill(primary, "before1", size="10")))
    assert (trips.written, trips.taken_back) == (1, 1)
    assert await books() == before
    assert len(signer.sent) == 2


async def test_failed_settlement_is_never_foreseen(
    trading: Dispatcher, trips: WatchedTrips, signer: KeepingSigner, primary: Account
) -> None:
    await trading.dispatch(inbox_of(fill(primary, "before1", size="10", settlement=Settlement.FAILED)))
    assert trips.written == 0
    assert (await Exposure.objects.aget()).primary == 10


async def test_settlements_in_between_do_not_disturb_the_guess(
    trading: Dispatcher, trips: WatchedTrips, signer: KeepingSigner, primary: Account
) -> None:
    for number, size in enumerate(("30", "5")):
        await trading.dispatch(inbox_of(fill(primary, f"t{number}", size=size)))
        settled = fill(primary, f"t{number}", size=size, settlement=Settlement.SETTLED, fee=Decimal("0.1"),
                       fee_kind=FeeKind.COLLATERAL)  # fmt: skip
        await trading.dispatch(inbox_of(settled))
    assert (trips.written, trips.taken_back) == (2, 0)
    assert (await Position.objects.aget()).fees == Decimal("0.2")


async def test_large_batch_in_between_is_not_guessed_at(
    trading: Dispatcher, trips: WatchedTrips, primary: Account, strategy: Strategy
) -> None:
    """What it moved is forgotten, not remembered wrongly."""
    others = [
        await Account.objects.acreate(name=f"other{number}", platform="predict", address=f"0x{number:040x}")
        for number in range(5)
    ]
    for other in others:
        await Pair.objects.acreate(strategy=strategy, primary=other, hedge=primary)
    batch = [fill(other, f"many-{other.name}") for other in (*others, primary)]
    await trading.dispatch(inbox_of(*batch))
    await trading.dispatch(inbox_of(fill(primary, "t1", size="30")))
    assert trips.written == 0


async def test_account_that_cannot_sign_records_the_fill_all_the_same(
    trading: Dispatcher, signer: KeepingSigner, primary: Account
) -> None:
    signer.available = False
    await trading.dispatch(inbox_of(fill(primary, "t1", size="30")))
    assert (await Fill.objects.acount(), len(signer.sent)) == (3, 2)
    assert (await Exposure.objects.aget()).need == -30


async def test_fill_of_our_own_quote_is_written_ahead(
    trading: Dispatcher, trips: WatchedTrips, signer: KeepingSigner, primary: Account
) -> None:
    """The primary quotes through this process, so what its fill moves is known: the order's row, in part and whole."""
    quote = NewOrder(
        id=uuid4(), account_id=primary.id, market_key="predict:1", outcome=Outcome.YES, action=Action.BUY,
        price=Decimal("0.55"), size=Decimal(50), status=OrderStatus.SUBMITTED, order_hash="0x" + "ab" * 32, body=b"{}",
    )  # fmt: skip
    await Order.objects.acreate(
        id=quote.id, account_id=primary.id, market_id="predict:1", outcome="yes", action="buy", price=quote.price,
        size=quote.size, status="accepted", origin="quoter", order_hash=quote.order_hash, created_at=NOW,
        updated_at=NOW,
    )  # fmt: skip
    signer.lately.append(quote)
    await trading.dispatch(inbox_of(fill(primary, "t1", size="20", order_hash=str(quote.order_hash))))
    await trading.dispatch(inbox_of(fill(primary, "t2", size="30", order_hash=str(quote.order_hash))))
    assert (trips.written, trips.taken_back) == (2, 0)
    row = await Order.objects.aget(id=quote.id)
    assert (row.filled, row.status) == (50, "filled")
    assert [order.size for order in signer.sent] == [10, 10, 20, 30]


async def test_two_dispatchers_that_both_foresee_hedge_once(
    database_url: str, trading: Dispatcher, trips: WatchedTrips, signer: KeepingSigner, primary: Account
) -> None:
    async with await connect_dispatcher(database_url) as conn:
        second = make_dispatcher(conn, signer)
        second._trips = others = WatchedTrips(conn)
        for number in range(3):
            await second.dispatch(inbox_of(fill(primary, f"second{number}", size="10")))
            await trading.dispatch(inbox_of(fill(primary, f"first{number}", size="10")))
        signer.sent.clear()
        same = inbox_of(fill(primary, "same", size="30"))
        await asyncio.gather(trading.dispatch(same), second.dispatch(same))
    assert [order.size for order in signer.sent] == [30]
    exposure = await Exposure.objects.aget()
    assert (exposure.primary, exposure.in_flight, exposure.need) == (110, -110, 0)
    assert await Fill.objects.acount() == 9
    assert trips.written + others.written == trips.taken_back + others.taken_back, "each spoilt the other's guess"


async def test_connection_lost_with_something_written_ahead_leaves_nothing(
    database_url: str,
    conn: psycopg.AsyncConnection[Any],
    trading: Dispatcher,
    trips: WatchedTrips,
    signer: KeepingSigner,
    primary: Account,
) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as other:
        await other.execute("SELECT 1 FROM strategies_exposure FOR UPDATE")
        waiting = asyncio.create_task(trading.dispatch(inbox_of(fill(primary, "t1"))))
        async with asyncio.timeout(10):
            while not trips.written:
                await asyncio.sleep(0.01)
        await other.execute("SELECT pg_terminate_backend(%s)", (conn.info.backend_pid,))
        with pytest.raises(psycopg.OperationalError):
            await waiting
    assert conn.closed
    assert (await Fill.objects.acount(), len(signer.sent)) == (2, 2)
