"""The listener and the reconciler against a paper venue on a socket: nothing is lost in a gap, nothing told twice."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from django.conf import settings
from psycopg_pool import AsyncConnectionPool
from redis import Redis

from accounts.credentials import CredentialStore
from accounts.lanes import Lanes
from accounts.listener import Listener
from accounts.models import Account, Fill, Order
from accounts.reconciler import Reconciler
from accounts.registration import change_account_state, update_account
from accounts.second_look import SecondLook
from accounts.vault import Opener
from streams.connection import connect
from tests.accounts.conftest import bodies, make_account
from trading.enums import OrderStatus, Platform
from trading.events import ACCOUNT_EVENTS, FILL_EVENTS, TRADE_EVENTS, Event, decode

Events = Callable[[str], list[Event]]
Start = Callable[..., Any]


@pytest.fixture
def start(database_url: str, redis_url: str, paper: Any) -> Start:
    """`async with start(name)`: a running listener."""

    @asynccontextmanager
    async def run(name: str = "listener-test") -> AsyncIterator[Listener]:
        async with AsyncExitStack() as stack:
            pool: Any = AsyncConnectionPool(database_url, min_size=1, max_size=4, open=False)
            await stack.enter_async_context(pool)
            bus = connect(redis_url)
            stack.push_async_callback(bus.aclose)
            store = CredentialStore(pool, Opener(settings.VAULT_PRIVATE_KEY_FILE), "paper")
            listener = Listener(pool, bus, store, {Platform.PREDICT: paper.endpoints}, name)
            task = asyncio.create_task(listener.run())
            try:
                yield listener
            finally:
                listener.stop()
                await task

    return run


async def eventually(check: Callable[[], Awaitable[bool] | bool], timeout: float = 10.0) -> None:
    deadline = time.monotonic() + timeout
    while True:
        said = check()
        if said if isinstance(said, bool) else await said:
            return
        assert time.monotonic() < deadline, "it did not come about"
        await asyncio.sleep(0.03)


async def connected(account: Account) -> None:
    async def is_connected() -> bool:
        return (await Account.objects.aget(pk=account.pk)).connection == "connected"

    await eventually(is_connected)


async def resting_order(room: Any, account: Account) -> Any:
    [order] = await room.send(room.order(account))
    await room.until(order.id, OrderStatus.ACCEPTED)
    return order


def fills(events: Events, order_hash: str) -> list[Event]:
    return [event for event in events(FILL_EVENTS) if event.data.order_hash == order_hash]  # type: ignore[union-attr]


async def test_fill_is_matched_then_settled(
    room: Any, account: Account, paper: Any, start: Start, events: Events
) -> None:
    async with start():
        await connected(account)
        order = await resting_order(room, account)
        settlement_id = paper.take(order.order_hash, "4")
        await eventually(lambda: len(fills(events, order.order_hash)) == 2)
    matched, settled = fills(events, order.order_hash)
    assert (matched.type, settled.type) == ("fill", "fill_settled")
    assert matched.data.trade_id == settled.data.trade_id == f"{settlement_id}:{order.order_hash}"
    assert matched.data.shares == 4
    assert matched.data.received_at_ns > 0
    assert settled.data.fee is not None


async def test_missed_fill_comes_by_rest(
    room: Any, account: Account, paper: Any, start: Start, events: Events, redis_url: str
) -> None:
    order = await resting_order(room, account)
    paper.take(order.order_hash)
    await asyncio.sleep(0.3)
    async with start():

        async def booked() -> bool:
            await room.digest(redis_url)
            return await Fill.objects.acount() == 1

        await eventually(booked)
        await connected(account)
    [event] = fills(events, order.order_hash)
    assert event.type == "fill_settled"
    assert (await Account.objects.aget(pk=account.pk)).reconciled_at is not None


async def test_dropped_events_are_made_good_on_reconnect(
    room: Any, account: Account, paper: Any, start: Start, redis_url: str
) -> None:
    async with start():
        await connected(account)
        order = await resting_order(room, account)
        paper.faults({"kind": "drop_events", "address": account.address})
        paper.take(order.order_hash)
        await asyncio.sleep(0.3)
        paper.faults({"kind": "ws_drain", "count": 1, "ms": 100})

        async def booked() -> bool:
            await room.digest(redis_url)
            return await Fill.objects.acount() == 1

        await eventually(booked, 15)


async def test_repeated_and_reordered_frames_are_one_fill(
    room: Any, account: Account, paper: Any, start: Start, redis_url: str, events: Events
) -> None:
    paper.faults({"kind": "duplicate_events"}, {"kind": "reorder_events"})
    async with start():
        await connected(account)
        order = await resting_order(room, account)
        paper.take(order.order_hash, "3")
        paper.take(order.order_hash, "7")

        async def booked() -> bool:
            await room.digest(redis_url)
            return await Fill.objects.filter(settlement="settled").acount() == 2

        await eventually(booked)
    assert len({(event.id, event.type) for event in fills(events, order.order_hash)}) == 4
    assert (await Order.objects.aget(pk=order.id)).filled == 10


async def test_failed_settlement_takes_fill_back(
    room: Any, account: Account, paper: Any, start: Start, redis_url: str
) -> None:
    paper.faults({"kind": "fail_settlement", "count": 1})
    async with start():
        await connected(account)
        order = await resting_order(room, account)
        paper.take(order.order_hash)

        async def failed() -> bool:
            await room.digest(redis_url)
            return await Fill.objects.filter(settlement="failed").acount() == 1

        await eventually(failed)
    assert (await Order.objects.aget(pk=order.id)).filled == 0


async def test_venues_cancel_reaches_the_order(
    room: Any, account: Account, start: Start, events: Events, redis_url: str
) -> None:
    async with start():
        await connected(account)
        order = await resting_order(room, account)
        await room.executor.lanes.get(account.pk).client.cancel([order.order_hash])
        await eventually(
            lambda: any(e.type == "order_update" and e.data.status == "cancelled" for e in events(TRADE_EVENTS))
        )
        await room.digest(redis_url)
    assert (await Order.objects.aget(pk=order.id)).status == "cancelled"


async def test_new_account_is_heard_within_seconds(account: Account, paper: Any, start: Start) -> None:
    async with start():
        await connected(account)
        began = time.monotonic()
        new = await asyncio.to_thread(make_account, paper)
        await connected(new)
        assert time.monotonic() - began < 5


async def test_halted_account_is_still_heard(account: Account, start: Start) -> None:
    await asyncio.to_thread(change_account_state, account.pk, "halted", by="test", reason="drill")
    async with start():
        await connected(account)


async def test_account_with_dead_proxy_stays_silent(account: Account, paper: Any, start: Start, events: Events) -> None:
    """Its proxy is down: it is not connected, and the venue never hears of it."""
    proxied = await asyncio.to_thread(make_account, paper, proxy_url="http://user:sesame-open@127.0.0.1:9")
    async with start():
        await connected(account)
        await asyncio.sleep(1.0)
        assert (await Account.objects.aget(pk=proxied.pk)).connection != "connected"


async def test_two_listeners_share_the_accounts(account: Account, paper: Any, start: Start) -> None:
    others = [await asyncio.to_thread(make_account, paper) for _ in range(3)]
    async with start("one") as one, start("two") as two:
        await eventually(lambda: len(one.account_ids) == 2 and len(two.account_ids) == 2)
        assert not one.account_ids & two.account_ids
        assert one.account_ids | two.account_ids == {account.pk, *(other.pk for other in others)}


async def test_survivor_takes_over_all_accounts(account: Account, paper: Any, start: Start) -> None:
    await asyncio.to_thread(make_account, paper)
    async with start("one") as one:
        async with start("two") as two:
            await eventually(lambda: len(one.account_ids) == 1 and len(two.account_ids) == 1)
        await eventually(lambda: len(one.account_ids) == 2, 12)


async def test_stopped_listener_leaves_accounts_offline(account: Account, start: Start, events: Events) -> None:
    async with start():
        await connected(account)
    assert (await Account.objects.aget(pk=account.pk)).connection == "offline"
    said = [e.data.value for e in events(ACCOUNT_EVENTS) if e.type == "account_changed"]
    assert said[-2:] == ["connected", "offline"]


async def test_fill_is_on_the_bus_at_once(
    room: Any, account: Account, paper: Any, start: Start, events: Events
) -> None:
    """From the frame's arrival to the bus: well under a millisecond where nothing else runs; here ten are granted."""
    async with start():
        await connected(account)
        order = await resting_order(room, account)
        for _ in range(10):
            paper.take(order.order_hash, "1")
        await eventually(lambda: len(fills(events, order.order_hash)) == 20)
        bus = connect(settings.REDIS_URL)
        entries = await bus.xrange(FILL_EVENTS)
        await bus.aclose()
    published_ms = [int(entry_id.split(b"-")[0]) for entry_id, _ in entries]
    received_ns = [event.data.received_at_ns for event in events(FILL_EVENTS)]  # type: ignore[union-attr]
    lags = sorted(at - ns // 1_000_000 for at, ns in zip(published_ms, received_ns, strict=True))
    assert lags[len(lags) // 2] <= 250  # At once, not with the next round; how fast is a benchmark's to say.


async def test_reconcile_twice_finds_nothing_new(
    room: Any, account: Account, paper: Any, redis_url: str, events: Events
) -> None:
    order = await resting_order(room, account)
    paper.take(order.order_hash, "4")
    await asyncio.sleep(0.3)
    lane = room.executor.lanes.get(account.pk)
    reconciler = Reconciler(room.pool, room.publisher)
    first = asyncio.create_task(reconciler.reconcile(lane.account, lane.client))
    while not first.done():
        await room.digest(redis_url)
        await asyncio.sleep(0.05)
    assert first.result().fills_missing == 1
    again = await reconciler.reconcile(lane.account, lane.client)
    assert (again.fills_missing, again.orders_changed, again.orders_foreign) == (0, 0, 0)


async def test_order_ended_unheard_is_found_by_reconcile(
    room: Any, account: Account, paper: Any, redis_url: str
) -> None:
    order = await resting_order(room, account)
    lane = room.executor.lanes.get(account.pk)
    await lane.client.cancel([order.order_hash])
    await room.age(order.id)
    found = await Reconciler(room.pool, room.publisher, SecondLook(0)).reconcile(lane.account, lane.client)
    assert found.orders_changed == 1
    await room.digest(redis_url)
    assert (await room.row(order.id)).status == "cancelled"


async def test_settlement_that_failed_unheard_takes_fill_back(
    room: Any, account: Account, paper: Any, start: Start, redis_url: str
) -> None:
    order = await resting_order(room, account)
    lane = room.executor.lanes.get(account.pk)
    reconciler = Reconciler(room.pool, room.publisher)
    async with start():
        await connected(account)
        paper.faults({"kind": "fail_settlement", "count": 1})
        paper.take(order.order_hash)

        async def matched() -> bool:
            return any(event.data.type == "fill" for event in map(decode, bodies(redis_url, FILL_EVENTS)))

        await eventually(matched)
    only_the_match(redis_url)
    await room.digest(redis_url)
    assert (await Order.objects.aget(pk=order.id)).filled == 10
    assert (await reconciler.reconcile(lane.account, lane.client)).fills_failed == 0  # It may still settle.
    async with room.pool.connection() as conn:
        await conn.execute("UPDATE accounts_fill SET received_at = received_at - interval '1 minute'")
    assert (await reconciler.reconcile(lane.account, lane.client)).fills_failed == 1
    await room.digest(redis_url)
    assert (await Order.objects.aget(pk=order.id)).filled == 0
    assert (await Fill.objects.aget()).settlement == "failed"


def only_the_match(redis_url: str) -> None:
    """Lose every word on the fills but the first, as a dropped frame would."""
    with Redis.from_url(redis_url) as bus:
        for entry_id, fields in bus.xrange(FILL_EVENTS):
            if decode(fields[b"event"]).data.type != "fill":
                bus.xdel(FILL_EVENTS, entry_id)


async def test_lanes_follow_changed_credentials(room: Any, account: Account, paper: Any) -> None:
    """A proxy set later holds at once: the next order has no other way out."""

    lanes: Lanes = room.executor.lanes
    before = lanes.get(account.pk)
    await asyncio.to_thread(update_account, account.pk, by="test", proxy_url="http://127.0.0.1:9")
    await lanes.refresh()
    assert lanes.get(account.pk) is not before
    [order] = await room.send(room.order(account))
    await asyncio.sleep(0.5)
    assert (await room.row(order.id)).status == "submitted"
    assert not paper.snapshot(account.address)["orders"]
