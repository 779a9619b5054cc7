"""A hedge and a person's order judged at the same instant never cross: both take the market's lock before they look."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from accounts.intake import Intake
from accounts.ledger.orders import record_orders
from accounts.ledger.rows import NewOrder, OrderRow
from accounts.limits import OwnOrder, Proposal, crosses
from accounts.models import Account, Order
from accounts.standing import lock_market
from markets.models import Market
from strategies.dispatch import Dispatcher
from strategies.exposures import begin_dispatch, opened_dispatch
from strategies.models import Exposure, Pair, Strategy
from strategies.trips import Trips
from tests.dispatch.conftest import NOW, KeepingSigner, connect, fill, inbox_of, make_dispatcher
from trading.enums import Action, OrderStatus, Outcome

OPEN = [OrderStatus.SUBMITTED.value, OrderStatus.ACCEPTED.value]


class TellingSigner(KeepingSigner):
    """Also takes what the intake announces."""

    def announce(self, rows: Sequence[OrderRow]) -> None:
        pass


@pytest.fixture
def person(transactional_db: None) -> Account:
    return Account.objects.create(name="person", platform="predict", address="0x" + "3" * 40)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[AsyncConnectionPool]:
    kwargs = {"autocommit": True}
    async with AsyncConnectionPool(database_url, min_size=1, max_size=6, kwargs=kwargs, open=False) as opened:
        yield opened


def wish(account: Account, market: str = "predict:1", price: str = "0.60", status: str = "initialized") -> NewOrder:
    order_id = uuid4()
    return NewOrder(
        id=order_id,
        account_id=account.pk,
        market_key=market,
        outcome=Outcome.YES,
        action=Action.BUY,
        price=Decimal(price),
        size=Decimal(20),
        status=OrderStatus(status),
        order_hash=f"0x{order_id.hex:0>64}" if status != "initialized" else None,
    )


async def test_hedge_waits_for_a_judgement_and_prices_around_it(
    database_url: str,
    dispatcher: Dispatcher,
    signer: KeepingSigner,
    strategy: Strategy,
    primary: Account,
    person: Account,
) -> None:
    async with await connect(database_url) as conn:
        async with conn.transaction():
            await lock_market(conn, "predict:1")
            await record_orders(conn, [wish(person, status="submitted")], NOW)
            hedging = asyncio.create_task(dispatcher.dispatch(inbox_of(fill(primary, "t1"))))
            await asyncio.sleep(0.3)
            assert not hedging.done()
        await hedging
    (order,) = signer.sent
    assert (order.outcome, order.price) == (Outcome.NO, Decimal("0.39"))


@pytest.fixture
def exposure(strategy: Strategy, primary: Account, hedge: Account, market: Market) -> Exposure:
    return Exposure.objects.create(
        strategy=strategy,
        pair=Pair.objects.get(),
        market=market,
        primary_account=primary,
        hedge_account=hedge,
        updated_at=NOW,
    )


async def test_person_waits_for_a_hedge_in_the_making(database_url: str, exposure: Exposure) -> None:
    async with await connect(database_url) as one, await connect(database_url) as other:
        await other.execute("SET lock_timeout = '200ms'")
        trips = Trips(one)
        begin_dispatch(trips, [], [exposure.pk], NOW)
        await opened_dispatch(trips)
        with pytest.raises(psycopg.errors.LockNotAvailable):
            async with other.transaction():
                await lock_market(other, "predict:1")
        await trips.abandon()
        async with other.transaction():
            await lock_market(other, "predict:1")


async def test_halted_strategy_holds_up_nobody(database_url: str, strategy: Strategy, exposure: Exposure) -> None:
    strategy.state = "halted"
    await strategy.asave()
    async with await connect(database_url) as one, await connect(database_url) as other:
        await other.execute("SET lock_timeout = '200ms'")
        trips = Trips(one)
        begin_dispatch(trips, [], [exposure.pk], NOW)
        await opened_dispatch(trips)
        async with other.transaction():
            await lock_market(other, "predict:1")
        await trips.abandon()


async def test_hedges_and_wishes_at_once_never_cross_nor_deadlock(
    database_url: str, pool: AsyncConnectionPool, strategy: Strategy, primary: Account, person: Account, market: Market
) -> None:
    """Two dispatchers with fills in three markets, in opposite order, beside a person who bids on every one."""
    keys = [f"predict:{number}" for number in (1, 2, 3)]
    for number in (2, 3):
        market.pk, market.market_id = f"predict:{number}", str(number)
        await market.asave(force_insert=True)
    signer = TellingSigner()
    wishes = [wish(person, key, price) for price in ("0.56", "0.60", "0.64") for key in keys]
    async with pool.connection() as conn:
        await record_orders(conn, wishes, NOW)
    intake = Intake(pool, signer)

    async def hedge_all(order: Sequence[str], name: str) -> None:
        async with await connect(database_url) as conn:
            dispatcher = make_dispatcher(conn, signer)
            for turn in range(6):
                received = [fill(primary, f"{name}{turn}{key}", size="5", market_key=key) for key in order]
                await dispatcher.dispatch(inbox_of(*received))

    async def take(ids: Sequence[UUID]) -> None:
        for order_id in ids:
            await intake.take(order_id)

    ids = [order.id for order in wishes]
    async with asyncio.timeout(30):
        await asyncio.gather(hedge_all(keys, "a"), hedge_all(keys[::-1], "b"), take(ids[::2]), take(ids[1::2]))
    rows = [row async for row in Order.objects.filter(status__in=OPEN)]
    assert len(rows) >= 36
    for one in rows:
        for two in rows:
            if one.market_id == two.market_id:
                asked = Proposal(
                    id=one.id, account_id=one.account_id, outcome=Outcome(one.outcome), action=Action(one.action),
                    price=one.price, size=one.size,
                )  # fmt: skip
                own = OwnOrder(
                    id=two.id, account_id=two.account_id, outcome=Outcome(two.outcome), action=Action(two.action),
                    price=two.price, size=two.size,
                )  # fmt: skip
                assert not crosses(asked, own), (one, two)
