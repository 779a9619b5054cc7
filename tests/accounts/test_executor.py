"""The executor against a paper venue on a socket: every answer an order can get, and what is told of it."""

from collections.abc import Callable
from typing import Any

from accounts.models import Account
from trading.enums import OrderStatus
from trading.events import TRADE_EVENTS, Event


async def test_accepted_order_is_written_and_announced(room: Any, account: Account, events: Callable[..., list[Event]]):
    [order] = await room.send(room.order(account))
    row = await room.until(order.id, OrderStatus.ACCEPTED)
    assert row.venue_order_id
    assert row.sent_at is not None
    assert row.answered_at >= row.sent_at
    assert row.sender == "engine-test"
    await room.executor.close()
    [told] = events(TRADE_EVENTS)
    assert told.data.status is OrderStatus.ACCEPTED
    assert told.data.order_hash == order.order_hash
    assert (await room.row(order.id)).announced == "accepted"
