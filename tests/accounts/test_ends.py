"""A hedge's end is proved, at a real paper venue and a real bus: over twice, its fills in the books, the bus empty."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from redis import Redis

from accounts.ends import WHOLE_AGREES_AFTER_S
from accounts.models import Account, Fill, Order
from streams.names import STRATEGIES
from tests.accounts.conftest import PaperVenue, Room
from trading.enums import OrderStatus
from trading.events import FILL_EVENTS

SOON_S = WHOLE_AGREES_AFTER_S + 1.5


@pytest.fixture
def whole(account: Account) -> None:
    """The account's wallet stream has told everything for an hour."""
    since = datetime.now(UTC) - timedelta(hours=1)
    Account.objects.filter(pk=account.pk).update(connection="connected", connection_at=since)


async def rest(room: Room, account: Account) -> Order:
    """A hedge that rests at the venue."""
    (order,) = await room.send(room.order(account, exposure_id=uuid4()))
    return await room.until(order.id, OrderStatus.ACCEPTED)


async def end(room: Room, order: Order, redis_url: str) -> None:
    """Cancelled at the venue; the word is in the ledger."""
    await room.executor.cancel(order.pk)
    await room.digest(redis_url)
    row = await room.row(order.pk)
    assert (row.status, row.doubted_since is not None) == ("cancelled", True)


def read_all(redis_url: str, *, ack: bool) -> None:
    """Play the engines' reader group: take what there is, and acknowledge it or die with it."""
    with Redis.from_url(redis_url) as bus:
        if not bus.exists(FILL_EVENTS) or not bus.xinfo_groups(FILL_EVENTS):
            bus.xgroup_create(FILL_EVENTS, STRATEGIES, id="0", mkstream=True)
        bus.xreadgroup(STRATEGIES, "one", {FILL_EVENTS: ">"})
        if ack:
            for entry in bus.xpending_range(FILL_EVENTS, STRATEGIES, "-", "+", 100):
                bus.xack(FILL_EVENTS, STRATEGIES, entry["message_id"])


async def is_proved(room: Room, order: Order, seconds: float = SOON_S) -> bool:
    try:
        return await asyncio.wait_for(room.executor.prove_end(order.pk), seconds)
    except TimeoutError:
        return False


async def test_unfilled_end_is_proved_by_two_looks(room: Room, account: Account, whole: None, redis_url: str) -> None:
    order = await rest(room, account)
    await end(room, order, redis_url)
    assert not await is_proved(room, order, WHOLE_AGREES_AFTER_S / 2), "one look is no proof"
    assert await is_proved(room, order)
    assert (await room.row(order.pk)).doubted_since is None


async def test_broken_wallet_stream_makes_the_looks_farther_apart(room: Room, account: Account, redis_url: str) -> None:
    """It was never connected: an event may be lost, so the end stays doubted for longer."""
    order = await rest(room, account)
    await end(room, order, redis_url)
    assert not await is_proved(room, order)
    assert (await room.row(order.pk)).doubted_since is not None


async def test_fill_nobody_heard_of_is_found_before_the_end_is_proved(
    room: Room, account: Account, whole: None, paper: PaperVenue, redis_url: str
) -> None:
    """Its event was lost: the proof finds the fill by REST and waits until it is in the books."""
    order = await rest(room, account)
    paper.take(str(order.order_hash), "4")
    await asyncio.sleep(0.2)
    await Order.objects.filter(pk=order.pk).aupdate(
        status="cancelled", doubted_since=datetime.now(UTC), closed_at=datetime.now(UTC)
    )
    await room.executor.cancel(order.pk)  # Terminal here, so this asks for nothing.
    proving = asyncio.create_task(is_proved(room, order, 4.5))
    lane = room.executor.lanes.get(account.pk)
    await lane.client.cancel([str(order.order_hash)])
    await asyncio.sleep(3)
    assert not proving.done()
    assert (await room.row(order.pk)).doubted_since is not None
    await proving
    await room.digest(redis_url)
    assert [fill.size async for fill in Fill.objects.all()] == [4]
    read_all(redis_url, ack=True)
    assert await is_proved(room, order, 8)
    row = await room.row(order.pk)
    assert (row.status, row.filled, row.doubted_since) == ("cancelled", 4, None)


async def test_fill_still_waiting_on_the_bus_keeps_the_doubt(
    room: Room, account: Account, whole: None, paper: PaperVenue, redis_url: str
) -> None:
    """It is in the books and acknowledged by nobody: whoever took it may be at another one from before the end."""
    order = await rest(room, account)
    paper.take(str(order.order_hash), "4")
    await asyncio.sleep(0.2)
    await room.executor.sweep(account.pk, datetime.now(UTC) - timedelta(minutes=5))
    await room.digest(redis_url)
    await end(room, order, redis_url)
    read_all(redis_url, ack=False)
    assert not await is_proved(room, order)
    read_all(redis_url, ack=True)
    assert await is_proved(room, order, 8)


async def test_order_that_reads_open_keeps_the_doubt(
    room: Room, account: Account, whole: None, paper: PaperVenue, redis_url: str
) -> None:
    order = await rest(room, account)
    await end(room, order, redis_url)
    paper.faults({"kind": "status_lag_ms", "ms": 60_000})
    assert not await is_proved(room, order)
    paper.faults()
    assert await is_proved(room, order)


async def test_recovery_proves_what_nobody_proved(room: Room, account: Account, whole: None, redis_url: str) -> None:
    """The engine that heard the word died."""
    order = await rest(room, account)
    await end(room, order, redis_url)
    await Order.objects.filter(pk=order.pk).aupdate(doubted_since=datetime.now(UTC) - timedelta(minutes=1))
    await room.executor.recover_fully()
    assert (await room.row(order.pk)).doubted_since is None


async def test_cancel_that_fails_again_and_again_keeps_nobody_from_settling(
    room: Room, account: Account, paper: PaperVenue
) -> None:
    """It never arrived and its cancel cannot be delivered: it is given up all the same, not asked for for ever."""
    paper.faults({"kind": "timeout_before_accept"})
    (order,) = await room.send(room.order(account))
    await room.until(order.id, OrderStatus.UNKNOWN)
    await room.executor.cancel(order.id)
    async with room.pool.connection() as conn:
        long_ago = datetime.now(UTC) - timedelta(minutes=1)
        await conn.execute(
            "UPDATE accounts_order SET submitted_at = %s, cancel_requested_at = %s", (long_ago, long_ago)
        )
    for _ in range(15):
        await room.executor.recover_fully()
        if (await room.row(order.id)).status == OrderStatus.CANCELLED:
            return
        await asyncio.sleep(1)
    raise AssertionError("it is still unknown")
