"""The dispatch's transaction on the wire when something breaks, and what was signed ahead of a decision."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from uuid import uuid4

import msgspec
import psycopg
import pytest

from accounts.ledger.rows import NewOrder
from accounts.models import Account, Desk, Fill, Order
from markets.models import Market
from strategies.dispatch import Dispatcher
from strategies.exposures import begin_dispatch, opened_dispatch
from strategies.models import Exposure, Strategy
from strategies.trips import Trips
from strategies.worker import connect_dispatcher
from tests.dispatch.conftest import NOW, KeepingSigner, fill, inbox_of, make_dispatcher
from trading.instruments import MarketSpec


class CountingSigner(KeepingSigner):
    """Counts signatures."""

    def __init__(self) -> None:
        super().__init__()
        self.signed: list[NewOrder] = []

    def prepare(self, order: NewOrder, market: MarketSpec) -> NewOrder:
        self.signed.append(order)
        return super().prepare(order, market)


@pytest.fixture
def signer() -> CountingSigner:
    return CountingSigner()


@pytest.fixture
async def conn(database_url: str, transactional_db: None) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    conn = await connect_dispatcher(database_url)
    yield conn
    await conn.close()


@pytest.fixture
def trading(conn: psycopg.AsyncConnection[Any], signer: CountingSigner) -> Dispatcher:
    return make_dispatcher(conn, signer)


async def test_error_of_the_database_leaves_the_connection_usable(
    conn: psycopg.AsyncConnection[Any],
    trading: Dispatcher,
    signer: CountingSigner,
    strategy: Strategy,
    primary: Account,
) -> None:
    impossible = msgspec.structs.replace(fill(primary, "t0"), account_id=uuid4(), price=Decimal("1e40"))
    for _ in range(2):
        with pytest.raises(psycopg.DataError):
            await trading.dispatch(inbox_of(impossible))
        assert conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    await trading.dispatch(inbox_of(fill(primary, "t1")))
    assert [order.size for order in signer.sent] == [100]


async def test_constraint_that_fails_at_commit_sends_nothing(
    trading: Dispatcher, signer: CountingSigner, strategy: Strategy, primary: Account
) -> None:
    """Foreign keys are checked by COMMIT itself: an account nobody has."""
    with pytest.raises(psycopg.IntegrityError):
        await trading.dispatch(
            inbox_of(fill(primary, "t1"), msgspec.structs.replace(fill(primary, "t2"), account_id=uuid4()))
        )
    assert not signer.sent
    assert not await Fill.objects.aexists()
    await trading.dispatch(inbox_of(fill(primary, "t1")))
    assert len(signer.sent) == 1


async def test_dispatch_cut_short_writes_nothing_and_closes_its_connection(
    database_url: str,
    conn: psycopg.AsyncConnection[Any],
    trading: Dispatcher,
    signer: CountingSigner,
    strategy: Strategy,
    primary: Account,
) -> None:
    await trading.dispatch(inbox_of(fill(primary, "t1")))
    async with await psycopg.AsyncConnection.connect(database_url) as other:
        await other.execute("SELECT 1 FROM strategies_exposure FOR UPDATE")
        waiting = asyncio.create_task(trading.dispatch(inbox_of(fill(primary, "t2"))))
        await asyncio.sleep(0.2)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert conn.closed
    with pytest.raises(psycopg.OperationalError):
        await trading.dispatch(inbox_of(fill(primary, "t2")))
    assert await Fill.objects.acount() == 1
    assert len(signer.sent) == 1


async def test_lost_connection_is_told_and_not_waited_for(
    database_url: str, trading: Dispatcher, conn: psycopg.AsyncConnection[Any], strategy: Strategy, primary: Account
) -> None:
    await trading.dispatch(inbox_of(fill(primary, "t1")))
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as other:
        await other.execute("SELECT pg_terminate_backend(%s)", (conn.info.backend_pid,))
    with pytest.raises(psycopg.OperationalError):
        async with asyncio.timeout(5):
            await trading.dispatch(inbox_of(fill(primary, "t2")))
    assert conn.closed


async def test_statements_deallocated_by_another_are_made_again(
    conn: psycopg.AsyncConnection[Any],
    trading: Dispatcher,
    signer: CountingSigner,
    strategy: Strategy,
    primary: Account,
) -> None:
    await trading.dispatch(inbox_of(fill(primary, "t1")))
    await conn.execute("DEALLOCATE ALL")
    with pytest.raises(psycopg.Error):
        await trading.dispatch(inbox_of(fill(primary, "t2")))
    await trading.dispatch(inbox_of(fill(primary, "t2")))
    assert len(signer.sent) == 2


async def test_a_batch_larger_than_a_socket_takes_goes_through(
    trading: Dispatcher, signer: CountingSigner, strategy: Strategy, primary: Account
) -> None:
    await trading.dispatch(inbox_of(*(fill(primary, f"t{number:060}", size="1") for number in range(4000))))
    assert [order.size for order in signer.sent] == [4000]


async def test_connection_is_free_between_the_two_trips(
    conn: psycopg.AsyncConnection[Any], strategy: Strategy, primary: Account
) -> None:
    trips = Trips(conn)
    begin_dispatch(trips, [fill(primary, "t1")], [], NOW)
    opened = await opened_dispatch(trips)
    assert [moved.trade_id for moved in opened.ledger.fills] == ["t1"]
    row = await (await conn.execute("SELECT count(*) FROM accounts_fill")).fetchone()
    assert row == (1,)
    await trips.abandon()
    assert not await Fill.objects.aexists()


async def test_orders_table_is_not_read_whole_for_a_fill(
    database_url: str,
    conn: psycopg.AsyncConnection[Any],
    trading: Dispatcher,
    strategy: Strategy,
    primary: Account,
    hedge: Account,
    market: Market,
) -> None:
    """A generic plan guesses a hundred rows where there is one, and would rather hash every order there ever was."""
    await trading.dispatch(inbox_of(fill(primary, "t1")))
    order = await Order.objects.aget()
    done: list[Order] = []
    for number in range(500):
        done.append(Order(**{f.attname: getattr(order, f.attname) for f in Order._meta.concrete_fields}))
        done[-1].id, done[-1].order_hash, done[-1].status = uuid4(), f"0x{number:064x}", "filled"
    await Order.objects.abulk_create(done)
    await conn.execute("ANALYZE accounts_order")
    async with await connect_dispatcher(database_url) as fresh:
        trips = Trips(fresh)
        begin_dispatch(trips, [fill(primary, "t2")], [], NOW)
        await opened_dispatch(trips)
        row = await (
            await fresh.execute(
                "SELECT idx_tup_fetch + seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'accounts_order'"
            )
        ).fetchone()
        await trips.abandon()
    assert row is not None
    assert row[0] < 20


async def test_foreseen_order_is_signed_once_and_before_the_answer(
    trading: Dispatcher, signer: CountingSigner, strategy: Strategy, primary: Account
) -> None:
    await trading.dispatch(inbox_of(fill(primary, "t1")))
    signer.signed.clear()
    await trading.dispatch(inbox_of(fill(primary, "t2", size="30", price="0.50")))
    assert len(signer.signed) == 1, "signed ahead, and not again"
    order = signer.sent[-1]
    fresh = KeepingSigner().prepare(signer.signed[0], trading._specs["predict:1"])
    assert (order.order_hash, order.body) == (fresh.order_hash, fresh.body)
    assert (order.size, order.price) == (30, Decimal("0.5"))


async def test_what_was_foreseen_wrongly_is_signed_anew(
    trading: Dispatcher, signer: CountingSigner, strategy: Strategy, primary: Account
) -> None:
    """Somebody else moved the exposure meanwhile: the locked row decides, never the memory."""
    await trading.dispatch(inbox_of(fill(primary, "t1")))
    await Exposure.objects.aupdate(hedged=-25)
    await trading.dispatch(inbox_of(fill(primary, "t2", size="30")))
    assert signer.sent[-1].size == 5
    assert [order.size for order in signer.signed[-2:]] == [30, 5], "ahead, and then what was decided"
    fresh = KeepingSigner().prepare(signer.signed[-1], trading._specs["predict:1"])
    row = await Order.objects.aget(id=signer.sent[-1].id)
    assert (row.size, row.order_hash, bytes(row.body)) == (5, fresh.order_hash, fresh.body)


async def test_foreseen_order_does_not_leave_a_stopped_desk(
    trading: Dispatcher, signer: CountingSigner, strategy: Strategy, primary: Account
) -> None:
    await trading.dispatch(inbox_of(fill(primary, "t1")))
    await Desk.objects.aupdate_or_create(id=1, defaults={"stopped": True, "level": "no_new", "generation": 2})
    await trading.dispatch(inbox_of(fill(primary, "t2", size="30")))
    assert len(signer.sent) == 1
    assert (await Exposure.objects.aget()).need == -30
