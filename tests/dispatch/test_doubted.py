"""The word that a hedge is over may come before its last fill: until that is proved nobody orders its shares again."""

from decimal import Decimal
from typing import Any

import pytest

from accounts.ledger.rows import NewOrder, Received, VenueWord
from accounts.models import Account, Order
from strategies.dispatch import Dispatcher
from strategies.inbox import Inbox
from strategies.models import Exposure
from tests.dispatch.conftest import KeepingSigner, connect, fill, inbox_of, make_dispatcher
from trading.enums import OrderStatus, Outcome, Settlement

pytestmark = pytest.mark.usefixtures("strategy")


def own_fill(hedge: Account, trade: str, order: NewOrder, size: str, **changes: Any) -> Received:
    return fill(hedge, trade, outcome=Outcome.NO, price="0.45", size=size, order_hash=order.order_hash or "", **changes)


async def end(dispatcher: Dispatcher, order: NewOrder, status: OrderStatus = OrderStatus.CANCELLED) -> None:
    """As the engine that hears the venue's word: record it, and look at once."""
    word = VenueWord(account_id=order.account_id, order_hash=order.order_hash or "", status=status)
    told = await dispatcher.record_words([word])
    await dispatcher.dispatch(Inbox(), {row.exposure_id: "order" for row in told if row.exposure_id is not None})


async def prove() -> None:
    await Order.objects.aupdate(doubted_since=None)


async def look(dispatcher: Dispatcher) -> Exposure:
    exposure = await Exposure.objects.aget()
    await dispatcher.dispatch(Inbox(), {exposure.id: "sweep"})
    return await Exposure.objects.aget()


@pytest.mark.parametrize("status", [OrderStatus.CANCELLED, OrderStatus.EXPIRED])
async def test_word_before_the_fill_orders_nothing_twice(
    database_url: str, signer: KeepingSigner, primary: Account, hedge: Account, status: OrderStatus
) -> None:
    """Two engines: one is handed the end of the order, the other, later, the fill that came before it."""
    first, second = await connect(database_url), await connect(database_url)
    async with first, second:
        slow, quick = make_dispatcher(first, signer), make_dispatcher(second, signer)
        await slow.dispatch(inbox_of(fill(primary, "t1")))
        (order,) = signer.sent
        await end(quick, order, status)
        exposure = await look(quick)
        assert (exposure.in_flight, exposure.need) == (-100, 0)
        await slow.dispatch(inbox_of(own_fill(hedge, "t2", order, "100")))
        exposure = await look(quick)
    assert (exposure.hedged, exposure.in_flight, exposure.need) == (-100, 0, 0)
    assert len(signer.sent) == 1
    assert (await Order.objects.aget()).status == OrderStatus.FILLED


async def test_late_partial_fill_proves_nothing(
    dispatcher: Dispatcher, signer: KeepingSigner, primary: Account, hedge: Account
) -> None:
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    (order,) = signer.sent
    await end(dispatcher, order)
    await dispatcher.dispatch(inbox_of(own_fill(hedge, "t2", order, "40")))
    exposure = await look(dispatcher)
    assert (exposure.hedged, exposure.in_flight, exposure.need) == (-40, -60, 0)
    assert len(signer.sent) == 1


async def test_proved_end_frees_what_is_left_once(
    dispatcher: Dispatcher, signer: KeepingSigner, primary: Account, hedge: Account
) -> None:
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    (order,) = signer.sent
    await dispatcher.dispatch(inbox_of(own_fill(hedge, "t2", order, "40")))
    await end(dispatcher, order)
    await prove()
    for _ in range(3):
        await look(dispatcher)
    assert [order.size for order in signer.sent] == [100, 60]


async def test_failed_settlement_of_a_proved_end_reopens(
    dispatcher: Dispatcher, signer: KeepingSigner, primary: Account, hedge: Account
) -> None:
    """The proof holds: what the chain takes back later is owed at once."""
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    (order,) = signer.sent
    await dispatcher.dispatch(inbox_of(own_fill(hedge, "t2", order, "40")))
    await end(dispatcher, order)
    await prove()
    await look(dispatcher)
    await dispatcher.dispatch(inbox_of(own_fill(hedge, "t2", order, "40", settlement=Settlement.FAILED)))
    await look(dispatcher)
    assert [order.size for order in signer.sent] == [100, 60, 40]


async def test_only_a_hedges_end_is_doubted(dispatcher: Dispatcher, signer: KeepingSigner, primary: Account) -> None:
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    (order,) = signer.sent
    await Order.objects.aupdate(exposure_id=None)
    word = VenueWord(account_id=order.account_id, order_hash=order.order_hash or "", status=OrderStatus.CANCELLED)
    await dispatcher.record_words([word])
    row = await Order.objects.aget()
    assert (row.status, row.doubted_since, row.filled) == ("cancelled", None, Decimal(0))
