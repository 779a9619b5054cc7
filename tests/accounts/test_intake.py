"""A person's order: judged, sent or denied; and cancels. Against a paper venue on a socket."""

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg

from accounts.models import Account, Order
from accounts.registration import change_account_state
from accounts.standing import lock_market
from tests.accounts.conftest import make_account
from trading.commands import CancelOrder, PlaceOrder
from trading.enums import OrderOrigin, OrderStatus, Outcome
from trading.events import TRADE_EVENTS, Event

Events = Callable[[str], list[Event]]


def told(events: Events, order_id: Any) -> list[str]:
    """The statuses the bus was told of for one order, in order."""
    return [
        event.data.status.value
        for event in events(TRADE_EVENTS)
        if event.type == "trade_executed" and event.data.client_order_id == str(order_id)
    ]


def command_of(order: Any, room: Any) -> PlaceOrder:
    return PlaceOrder(
        platform="predict",  # type: ignore[arg-type]
        account_id=str(order.account_id),
        market_id=room.market.market_id,
        side=order.outcome,
        price=order.price,
        shares=order.size,
        client_order_id=order.id,
    )


async def place(room: Any, account: Account, **fields: Any) -> Any:
    """An INITIALIZED row and its command, as the trade path leaves them."""
    order = room.order(account, origin=OrderOrigin.USER, **fields)
    await room.record(order)
    await room.executor.handle_command(
        PlaceOrder(
            platform="predict",  # type: ignore[arg-type]
            account_id=str(account.pk),
            market_id=room.market.market_id,
            side=order.outcome,
            price=order.price,
            shares=order.size,
            action=order.action,
            client_order_id=order.id,
        )
    )
    return order


async def test_user_order_is_journaled_and_sent(room: Any, account: Account) -> None:
    order = await place(room, account)
    row = await room.until(order.id, OrderStatus.ACCEPTED)
    assert row.body is not None


async def test_command_twice_is_one_order(room: Any, account: Account, paper: Any) -> None:
    order = await place(room, account)
    await asyncio.gather(*(room.executor.handle_command(command_of(order, room)) for _ in range(5)))
    await room.until(order.id, OrderStatus.ACCEPTED)
    assert len(paper.snapshot(account.address)["orders"]) == 1


async def test_lost_command_is_picked_up(room: Any, account: Account) -> None:
    order = room.order(account, origin=OrderOrigin.USER)
    await room.record(order)
    await room.age(order.id)
    await room.executor.recover_fully()
    await room.until(order.id, OrderStatus.ACCEPTED)


async def test_order_beyond_limit_is_denied_unsent(room: Any, account: Account, paper: Any, events: Events) -> None:
    await Account.objects.filter(pk=account.pk).aupdate(max_order=5)
    order = await place(room, account)
    row = await room.until(order.id, OrderStatus.DENIED)
    assert row.reason.startswith("max_order:")
    assert row.body is None
    assert not paper.snapshot(account.address)["orders"]
    await room.executor.close()
    assert told(events, order.id) == ["denied"]


async def test_halted_account_sends_nothing(room: Any, account: Account, paper: Any) -> None:
    await asyncio.to_thread(change_account_state, account.pk, "halted", by="test", reason="drill")
    order = await place(room, account)
    row = await room.until(order.id, OrderStatus.DENIED)
    assert row.reason.startswith("account_halted")
    assert not paper.snapshot(account.address)["orders"]


async def test_order_against_our_own_is_denied(room: Any, account: Account, paper: Any) -> None:
    other = await asyncio.to_thread(make_account, paper)
    await room.executor.lanes.refresh()
    resting = await place(room, account, price="0.40")
    await room.until(resting.id, OrderStatus.ACCEPTED)
    crossing = await place(room, other, outcome=Outcome.NO, price="0.60")
    row = await room.until(crossing.id, OrderStatus.DENIED)
    assert row.reason.startswith("self_cross")


async def test_crossing_orders_at_once_never_both_leave(room: Any, account: Account, paper: Any) -> None:
    other = await asyncio.to_thread(make_account, paper)
    await room.executor.lanes.refresh()
    await asyncio.gather(place(room, account, price="0.40"), place(room, other, outcome=Outcome.NO, price="0.60"))
    await asyncio.sleep(0.5)
    statuses = sorted([row.status async for row in Order.objects.all()])
    assert statuses == ["accepted", "denied"]


async def test_order_is_judged_alone_in_its_market(room: Any, account: Account) -> None:
    """While another process judges an order there, this one waits: it could not see the other's."""
    order = room.order(account, origin=OrderOrigin.USER)
    async with room.pool.connection() as conn, conn.transaction():
        await lock_market(conn, order.market_key)
        placing = asyncio.create_task(place(room, account))
        await asyncio.sleep(0.4)
        assert not placing.done()
    await room.until((await placing).id, OrderStatus.ACCEPTED)


async def test_cancel_ends_order_on_venues_word(room: Any, account: Account, paper: Any, redis_url: str) -> None:
    order = await place(room, account)
    await room.until(order.id, OrderStatus.ACCEPTED)
    await room.executor.handle_command(
        CancelOrder(platform="predict", account_id=str(account.pk), client_order_id=order.id)  # type: ignore[arg-type]
    )
    row = await room.row(order.id)
    assert row.status == "accepted"
    assert row.cancel_requested_at is not None
    await room.digest(redis_url)
    assert (await room.row(order.id)).status == "cancelled"


async def test_cancel_before_leaving_needs_no_venue(room: Any, account: Account, paper: Any) -> None:
    order = room.order(account, origin=OrderOrigin.USER)
    await room.record(order)
    await room.executor.cancel(order.id)
    assert (await room.row(order.id)).status == "cancelled"
    await room.executor.handle_command(command_of(order, room))
    assert not paper.snapshot(account.address)["orders"]


async def test_fill_before_cancel_is_not_lost(room: Any, account: Account, paper: Any, redis_url: str) -> None:
    """Filled at the venue, nobody heard; then a cancel: the fill goes to the bus, and the order ends as filled."""
    order = await place(room, account)
    await room.until(order.id, OrderStatus.ACCEPTED)
    paper.take((await room.row(order.id)).order_hash)
    await asyncio.sleep(0.3)
    cancel = asyncio.create_task(room.executor.cancel(order.id))
    while not cancel.done():
        await room.digest(redis_url)
        await asyncio.sleep(0.05)
    assert (await room.row(order.id)).status == "filled"


async def test_orders_waiting_for_their_market_leave_connections_for_answers(
    room: Any, account: Account, database_url: str
) -> None:
    """A flood of orders in one market: answers, cancels and proofs are written all the same."""
    key = f"predict:{room.market.market_id}"
    async with await psycopg.AsyncConnection.connect(database_url) as other:
        await lock_market(other, key)
        flood = [asyncio.create_task(place(room, account)) for _ in range(20)]
        await asyncio.sleep(0.5)
        async with asyncio.timeout(2), room.pool.connection() as conn:
            await conn.execute("SELECT 1")
        assert not any(task.done() for task in flood)
    for order in await asyncio.gather(*flood):
        await room.until(order.id, OrderStatus.ACCEPTED)
