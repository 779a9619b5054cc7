"""A hedge that made way for another order of ours is priced anew when that is gone: it does not rest there for good."""

from decimal import Decimal
from uuid import uuid4

import pytest

from accounts.ledger.rows import NewOrder, VenueWord
from accounts.models import Account, Order
from markets.models import Market
from strategies.dispatch import Dispatched, Dispatcher
from strategies.inbox import Inbox
from strategies.models import Decision, Exposure
from tests.dispatch.conftest import NOW, KeepingSigner, fill, inbox_of
from trading.enums import OrderStatus, Outcome

pytestmark = pytest.mark.usefixtures("strategy")


async def bid(primary: Account, market: Market, price: str) -> Order:
    """The primary's own quote, resting."""
    return await Order.objects.acreate(
        id=uuid4(),
        account=primary,
        market=market,
        outcome="yes",
        action="buy",
        price=Decimal(price),
        size=Decimal(10),
        status="accepted",
        order_hash="0x" + "7" * 64,
        created_at=NOW,
        updated_at=NOW,
    )


async def make_way(
    dispatcher: Dispatcher, signer: KeepingSigner, primary: Account, market: Market
) -> tuple[Order, NewOrder]:
    """The primary's quote, and the hedge that made way for it and rests."""
    quote = await bid(primary, market, "0.60")
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    (hedge,) = signer.sent
    await Order.objects.filter(id=hedge.id).aupdate(status="accepted")
    return quote, hedge


async def look(dispatcher: Dispatcher) -> Dispatched:
    exposure = await Exposure.objects.aget()
    return await dispatcher.dispatch(Inbox(), {exposure.id: "sweep"})


async def test_priced_anew_once_the_other_order_is_gone(
    dispatcher: Dispatcher, signer: KeepingSigner, primary: Account, hedge: Account, market: Market
) -> None:
    quote, first = await make_way(dispatcher, signer, primary, market)
    assert (first.price, first.reason) == (Decimal("0.39"), "repriced")
    assert (await look(dispatcher)).cancels == ()

    await Order.objects.filter(id=quote.id).aupdate(status="cancelled")
    done = await look(dispatcher)
    assert [order.client_order_id for order in done.cancels] == [first.id]
    exposure = await Exposure.objects.aget()
    assert (exposure.in_flight, exposure.need, exposure.reason) == (-100, 0, "priced_anew")
    assert (await Decision.objects.order_by("-pk").afirst()).reason == "priced_anew"

    # Asked for once: until the venue has said what became of it nothing else happens.
    await Order.objects.filter(id=first.id).aupdate(cancel_requested_at=NOW)
    assert (await look(dispatcher)).cancels == ()
    assert len(signer.sent) == 1

    word = VenueWord(account_id=hedge.id, order_hash=first.order_hash or "", status=OrderStatus.CANCELLED)
    await dispatcher.record_words([word])
    await Order.objects.aupdate(doubted_since=None)
    await look(dispatcher)
    again = signer.sent[1]
    assert (again.outcome, again.size, again.price, again.reason) == (Outcome.NO, 100, Decimal("0.45"), "")
    assert (await look(dispatcher)).cancels == ()


async def test_part_filled_keeps_that_it_made_way(
    dispatcher: Dispatcher, signer: KeepingSigner, primary: Account, hedge: Account, market: Market
) -> None:
    """Also in the very transaction that records the fill: the quote's end and the fill may come together."""
    quote, first = await make_way(dispatcher, signer, primary, market)
    await Order.objects.filter(id=quote.id).aupdate(status="cancelled")
    part = fill(hedge, "t2", outcome=Outcome.NO, price="0.39", size="40", order_hash=first.order_hash or "")
    done = await dispatcher.dispatch(inbox_of(part))
    assert [(order.client_order_id, order.remaining) for order in done.cancels] == [(first.id, Decimal(60))]
