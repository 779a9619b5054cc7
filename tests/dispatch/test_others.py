"""Open orders that no exposure made are told in sums and by the best of them: enough to be judged by, however many."""

from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from accounts.ledger.rows import Received
from accounts.models import Account, Order
from markets.models import Market, MarketLimit
from strategies.dispatch import Dispatcher
from strategies.exposures import OpenOrder, begin_dispatch, opened_dispatch
from strategies.models import Exposure, Strategy
from strategies.trips import Trips
from tests.dispatch.conftest import NOW, KeepingSigner, connect, fill, inbox_of
from trading.enums import Outcome

NOBODY = UUID(int=0)
"""Whose orders are told together when no account of them may hedge."""

pytestmark = pytest.mark.usefixtures("strategy")


@pytest.fixture
def other(transactional_db: None) -> Account:
    return Account.objects.create(name="other", platform="predict", address="0x" + "3" * 40)


async def rest(account: Account, market: Market, price: str, size: str = "10", **changes: Any) -> Order:
    """An order that rests in the book, with an order hash of its own."""
    values: dict[str, Any] = {"outcome": "yes", "action": "buy", "status": "accepted", "filled": Decimal(0)}
    order_id = uuid4()
    return await Order.objects.acreate(
        id=order_id, account=account, market=market, price=Decimal(price), size=Decimal(size),
        order_hash=f"0x{order_id.hex:0>64}", created_at=NOW, updated_at=NOW, **(values | changes),
    )  # fmt: skip


async def told(database_url: str, wanted: UUID, *fills: Received) -> list[OpenOrder]:
    """The open orders that a dispatch reads when it looks at this exposure, or records these fills."""
    conn = await connect(database_url)
    async with conn:
        trips = Trips(conn)
        begin_dispatch(trips, fills, [wanted], NOW)
        opened = await opened_dispatch(trips)
        await trips.abandon()
    return opened.open_orders


async def groups_of(database_url: str) -> dict[tuple[UUID, str, str], tuple[Decimal, Decimal]]:
    """What is told together: (account, outcome, action) → (price, remaining)."""
    exposure = await Exposure.objects.aget()
    orders = [order for order in await told(database_url, exposure.id) if order.exposure_id is None]
    assert all(order.cancel_requested for order in orders), "nobody takes them off"
    found = {(order.account_id, order.outcome, order.action): (order.price, order.remaining) for order in orders}
    assert len(found) == len(orders)
    return found


async def quote_much(other: Account, hedge: Account, market: Market) -> None:
    for account in (other, hedge):
        for price, size in (("0.20", "10"), ("0.30", "20"), ("0.25", "5")):
            await rest(account, market, price, size)
            await rest(account, market, price, size, action="sell", outcome="no")
    await rest(other, market, "0.05", outcome="no")
    await rest(other, market, "0.04", outcome="no", status="initialized")
    await rest(other, market, "0.99", status="cancelled")
    await rest(other, market, "0.98", filled=Decimal(10))
    await rest(hedge, market, "0.97", filled=Decimal(10))


async def test_orders_of_the_exposure_are_told_one_by_one(
    database_url: str, dispatcher: Dispatcher, signer: KeepingSigner, primary: Account, hedge: Account, market: Market
) -> None:
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    await dispatcher.dispatch(inbox_of(fill(primary, "t2")))
    await rest(hedge, market, "0.10")
    exposure = await Exposure.objects.aget()
    own = [order for order in await told(database_url, exposure.id) if order.exposure_id is not None]
    assert {order.id for order in own} == {order.id for order in signer.sent}
    assert {(order.exposure_id, order.remaining) for order in own} == {(exposure.id, Decimal(100))}


async def test_hedge_account_is_told_in_sums_and_all_the_rest_by_its_best(
    database_url: str, dispatcher: Dispatcher, primary: Account, hedge: Account, other: Account, market: Market
) -> None:
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    await quote_much(other, hedge, market)
    await rest(other, market, "0.81", "3")
    assert await groups_of(database_url) == {
        (hedge.pk, "yes", "buy"): (Decimal("0.30"), Decimal(35)),
        (hedge.pk, "no", "sell"): (Decimal("0.20"), Decimal(35)),
        (NOBODY, "yes", "buy"): (Decimal("0.81"), Decimal(3)),
        (NOBODY, "yes", "sell"): (Decimal("0.55"), Decimal(100)),  # the hedge itself, a buy of NO at 0.45
    }


async def test_market_with_a_limit_is_told_in_sums(
    database_url: str, dispatcher: Dispatcher, primary: Account, hedge: Account, other: Account, market: Market
) -> None:
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    await quote_much(other, hedge, market)
    await rest(primary, market, "0.07", "1", outcome="no")
    await MarketLimit.objects.acreate(market=market, max_position=Decimal(500), changed_at=NOW)
    assert await groups_of(database_url) == {
        (hedge.pk, "yes", "buy"): (Decimal("0.30"), Decimal(35)),
        (hedge.pk, "no", "sell"): (Decimal("0.20"), Decimal(35)),
        (NOBODY, "yes", "buy"): (Decimal("0.30"), Decimal(35)),
        (NOBODY, "no", "sell"): (Decimal("0.20"), Decimal(35)),
        (NOBODY, "no", "buy"): (Decimal("0.07"), Decimal(21)),
    }


async def test_market_limit_counts_what_everybody_is_buying(
    dispatcher: Dispatcher, signer: KeepingSigner, primary: Account, hedge: Account, other: Account, market: Market
) -> None:
    await MarketLimit.objects.acreate(market=market, max_position=Decimal(100), changed_at=NOW)
    for account, size in ((hedge, "15"), (other, "10"), (other, "4")):
        await rest(account, market, "0.10", size, outcome="no")
    await rest(other, market, "0.10", "50", outcome="yes")
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    (sent,) = signer.sent
    assert (sent.size, sent.reason) == (Decimal(71), "max_market_position")


async def test_hedge_crosses_none_of_many(
    dispatcher: Dispatcher, signer: KeepingSigner, primary: Account, other: Account, market: Market
) -> None:
    """A buy of NO at 0.45 would meet a buy of YES at 0.55 or more, or a sell of NO at 0.45 or less."""
    for price in ("0.50", "0.58", "0.40"):
        await rest(other, market, price)
    await rest(primary, market, "0.57")
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    assert signer.sent[0].price == Decimal("0.41")
    for price in ("0.44", "0.36", "0.60"):
        await rest(other, market, price, outcome="no", action="sell")
    await dispatcher.dispatch(inbox_of(fill(primary, "t2")))
    assert signer.sent[1].price == Decimal("0.35")


async def test_filled_order_is_told_alone_and_less_its_fill(
    dispatcher: Dispatcher, signer: KeepingSigner, primary: Account, market: Market
) -> None:
    quotes = [await rest(primary, market, price, "100") for price in ("0.60", "0.57")]
    whole = fill(primary, "t1", price="0.60", order_hash=str(quotes[0].order_hash))
    await dispatcher.dispatch(inbox_of(whole))
    assert signer.sent[0].price == Decimal("0.40"), "its own quote is gone, and the other lies lower"
    part = fill(primary, "t2", size="40", price="0.57", order_hash=str(quotes[1].order_hash))
    await dispatcher.dispatch(inbox_of(part))
    assert signer.sent[1].price == Decimal("0.42"), "what is left of it is still in the way"


async def test_filled_order_is_in_no_sum_and_is_not_the_best(
    database_url: str, dispatcher: Dispatcher, primary: Account, hedge: Account, other: Account, market: Market
) -> None:
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    quotes = [await rest(hedge, market, price, "10") for price in ("0.80", "0.70")]
    await rest(other, market, "0.75", "3")
    taken = fill(hedge, "t2", price="0.80", size="4", order_hash=str(quotes[0].order_hash))
    orders = await told(database_url, (await Exposure.objects.aget()).id, taken)
    bids = [(o.id == quotes[0].id, o.account_id, o.price, o.remaining) for o in orders if o.outcome == "yes"]
    assert sorted(bid for bid in bids if bid[2] != Decimal("0.55")) == [
        (False, NOBODY, Decimal("0.75"), Decimal(3)),
        (False, hedge.pk, Decimal("0.70"), Decimal(10)),
        (True, hedge.pk, Decimal("0.80"), Decimal(10)),  # the fill is taken off once it is applied
    ]


async def test_next_best_is_in_the_way_once_the_best_is_filled(
    dispatcher: Dispatcher, signer: KeepingSigner, primary: Account, other: Account, market: Market
) -> None:
    best = await rest(primary, market, "0.70", "100")
    await rest(other, market, "0.65")
    await dispatcher.dispatch(inbox_of(fill(primary, "t1", price="0.60", order_hash=str(best.order_hash))))
    assert signer.sent[0].price == Decimal("0.34"), "0.40 would meet the 0.65"


async def test_hedge_of_another_exposure_that_is_doubted_is_in_the_way(
    dispatcher: Dispatcher, signer: KeepingSigner, primary: Account, other: Account, market: Market
) -> None:
    doubted = await rest(other, market, "0.62", "30", status="cancelled", doubted_since=NOW, exposure_id=uuid4())
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    assert signer.sent[0].price == Decimal("0.37")
    await Order.objects.filter(pk=doubted.pk).aupdate(doubted_since=None)
    await dispatcher.dispatch(inbox_of(fill(primary, "t2")))
    assert signer.sent[1].price == Decimal("0.45")


async def test_what_the_hedge_account_is_buying_besides_counts_to_its_limit(
    dispatcher: Dispatcher,
    signer: KeepingSigner,
    strategy: Strategy,
    primary: Account,
    hedge: Account,
    other: Account,
    market: Market,
) -> None:
    await Strategy.objects.filter(pk=strategy.pk).aupdate(config={"max_position": "100"})
    for size in ("15", "10"):
        await rest(hedge, market, "0.10", size, outcome="no")
        await rest(other, market, "0.10", size, outcome="no")
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    (sent,) = signer.sent
    assert (sent.outcome, sent.size, sent.reason) == (Outcome.NO, Decimal(75), "max_position")


async def test_sums_are_exact(
    database_url: str, dispatcher: Dispatcher, primary: Account, hedge: Account, market: Market
) -> None:
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    tiny = "0.000000000000000001"
    for price, size in (("0.90", "1"), ("0.91", tiny)):
        await rest(hedge, market, price, size, action="sell")
    assert await groups_of(database_url) == {
        (hedge.pk, "yes", "sell"): (Decimal("0.90"), Decimal(1) + Decimal(tiny)),
        (NOBODY, "yes", "sell"): (Decimal("0.55"), Decimal(100)),
    }
