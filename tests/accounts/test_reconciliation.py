"""Comparing an account with its venue: counted, explained, told, and halted rather than guessed."""

import asyncio
import dataclasses
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from accounts.holdings import Holdings, held_at
from accounts.models import Account, Fill, Order, Position, Reconciliation
from accounts.reconciler import Reconciler
from accounts.reconciliation import HALT_AFTER, HALT_TRIES, Reconciled, report_comparison, report_unreachable
from accounts.second_look import SecondLook
from alerts.models import Alert
from trading.enums import OrderStatus, Platform
from trading.errors import VenueError
from venues.registry import venue_client, venue_endpoints


@pytest.fixture
def lane(room: Any, account: Account) -> Any:
    return room.executor.lanes.get(account.pk)


def test_word_is_believed_the_second_time() -> None:
    now = [0.0]
    looks = SecondLook(10, lambda: now[0])
    assert not looks.agrees("0xa")
    now[0] = 9.9
    assert not looks.agrees("0xa")
    now[0] = 10.0
    assert looks.agrees("0xa")
    looks.forget("0xa")
    assert not looks.agrees("0xa")


async def test_agreeing_books_are_recorded(room: Any, lane: Any) -> None:
    await Reconciler(room.pool, room.publisher).reconcile(lane.account, lane.client)
    row = await Reconciliation.objects.aget()
    assert row.agreed_at is not None
    assert (row.failing_since, row.explanations) == (None, [])
    assert not await Alert.objects.aexists()


async def test_order_cancelled_unheard_ends_at_second_look(room: Any, lane: Any, redis_url: str) -> None:
    """One CANCELLED may be a lag: the order stays in flight until a later look says the same."""
    [order] = await room.send(room.order(await Account.objects.aget()))
    await room.until(order.id, OrderStatus.ACCEPTED)
    await lane.client.cancel([order.order_hash])
    await room.age(order.id)
    looks = SecondLook(0.3)
    reconciler = Reconciler(room.pool, room.publisher, looks)
    found = await reconciler.reconcile(lane.account, lane.client)
    assert (found.unconfirmed, found.orders_changed) == (1, 0)
    await room.digest(redis_url)
    assert (await room.row(order.id)).status == "accepted"
    await asyncio.sleep(0.35)
    assert (await reconciler.reconcile(lane.account, lane.client)).orders_changed == 1
    await room.digest(redis_url)
    await room.until(order.id, OrderStatus.CANCELLED)


async def test_undead_order_is_told(room: Any, lane: Any, account: Account) -> None:
    """Ended here, open there: it could still trade, so a person is told."""
    [order] = await room.send(room.order(account))
    await room.until(order.id, OrderStatus.ACCEPTED)
    await Order.objects.filter(pk=order.id).aupdate(
        status="cancelled", updated_at=datetime.now(UTC) - timedelta(minutes=1)
    )
    found = await Reconciler(room.pool, room.publisher).reconcile(lane.account, lane.client)
    assert found.orders_undead == 1
    assert (await Alert.objects.aget()).kind == "reconcile_difference"
    assert "still open at the venue" in (await Reconciliation.objects.aget()).explanations[0]


LOST = Reconciled(fills_missing=0, orders_changed=0, orders_foreign=0, orders_missing=1, complete=True)
CLEAN = Reconciled(fills_missing=0, orders_changed=0, orders_foreign=0, complete=True)


async def test_account_that_stays_unreconciled_is_halted(room: Any, lane: Any, events: Any) -> None:
    """Bounded tries: neither time alone nor looks alone halt it."""
    now, every = datetime.now(UTC), HALT_AFTER / (HALT_TRIES - 1)
    for look in range(HALT_TRIES):
        assert (await Account.objects.aget(pk=lane.account.id)).state == "active"
        await report_comparison(room.pool, room.publisher, lane.account, LOST, now + look * every)
    account = await Account.objects.aget(pk=lane.account.id)
    assert account.state == "halted"
    assert "unknown to the venue" in account.state_reason
    alert = await Alert.objects.aget(kind="unreconciled")
    assert alert.severity == "critical"
    assert [event.data.value for event in events("account_events") if event.data.type == "account_changed"][-1] == (
        "halted"
    )
    await report_comparison(room.pool, room.publisher, lane.account, CLEAN, now + timedelta(hours=1))
    assert (await Account.objects.aget(pk=lane.account.id)).state == "halted", "only a person activates it"
    assert (await Alert.objects.aget(kind="unreconciled")).resolved_at is None


async def test_many_looks_in_a_minute_halt_nobody(room: Any, lane: Any) -> None:
    now = datetime.now(UTC)
    for look in range(3 * HALT_TRIES):
        await report_comparison(room.pool, room.publisher, lane.account, LOST, now + timedelta(seconds=look))
    assert (await Account.objects.aget(pk=lane.account.id)).state == "active"


async def test_two_looks_an_hour_apart_halt_nobody(room: Any, lane: Any) -> None:
    """Whatever lay between them, it was not tried often enough."""
    now = datetime.now(UTC)
    for hours in range(2):
        await report_comparison(room.pool, room.publisher, lane.account, LOST, now + timedelta(hours=hours))
    assert (await Account.objects.aget(pk=lane.account.id)).state == "active"
    assert (await Alert.objects.aget(kind="unreconciled")).severity == "warning"


async def test_outage_never_halts_an_account(room: Any, lane: Any) -> None:
    """Nobody could look: that says nothing about the books, and forgives no difference either."""
    now = datetime.now(UTC)
    await report_comparison(room.pool, room.publisher, lane.account, LOST, now)
    for minute in range(1, 61):
        await report_unreachable(
            room.pool, lane.account, "the venue cannot be read: x", now + timedelta(minutes=minute)
        )
    account = await Account.objects.aget(pk=lane.account.id)
    row = await Reconciliation.objects.aget()
    assert account.state == "active"
    assert (row.unreachable_since, row.failing_since, row.tries) == (now + timedelta(minutes=1), now, 1)
    assert row.explanations == ["the venue cannot be read: x"]
    await report_comparison(room.pool, room.publisher, lane.account, CLEAN, now + timedelta(minutes=61))
    row = await Reconciliation.objects.aget()
    assert (row.unreachable_since, row.failing_since, row.tries) == (None, None, 0)


async def test_lagging_status_is_never_not_filled(
    room: Any, lane: Any, account: Account, paper: Any, redis_url: str
) -> None:
    """Filled at the venue, and REST still says open and lists no match: the shares stay in flight, then come once."""
    [order] = await room.send(room.order(account))
    await room.until(order.id, OrderStatus.ACCEPTED)
    paper.faults({"kind": "status_lag_ms", "ms": 600_000})
    paper.take(order.order_hash)
    await asyncio.sleep(0.2)
    await room.age(order.id)
    reconciler = Reconciler(room.pool, room.publisher, SecondLook(0))
    for _ in range(2):
        found = await reconciler.reconcile(lane.account, lane.client)
        await room.digest(redis_url)
        assert (found.orders_changed, found.orders_missing, found.fills_missing) == (0, 0, 0)
        assert (await room.row(order.id)).status == "accepted"
    paper.faults()
    work = asyncio.create_task(reconciler.reconcile(lane.account, lane.client))
    while not work.done():
        await room.digest(redis_url)
        await asyncio.sleep(0.05)
    assert (await work).fills_missing == 1
    await room.until(order.id, OrderStatus.FILLED)
    assert await Fill.objects.acount() == 1


async def test_difference_that_is_gone_resolves_its_alert(room: Any, lane: Any) -> None:
    now = datetime.now(UTC)
    await report_comparison(room.pool, room.publisher, lane.account, LOST, now)
    assert (await Alert.objects.aget()).kind == "reconcile_difference"
    await report_comparison(room.pool, room.publisher, lane.account, CLEAN, now + timedelta(seconds=30))
    assert (await Alert.objects.aget()).resolved_at is not None


async def test_venue_that_cannot_be_read_is_an_outage(room: Any, lane: Any) -> None:
    nowhere = venue_endpoints(
        Platform.PREDICT,
        api_url="http://127.0.0.1:9",
        ws_url="ws://127.0.0.1:9",
        rpc_url="http://127.0.0.1:9",
        chain_id=56,
    )
    client = venue_client(Platform.PREDICT, lane.account.credentials, nowhere)
    with pytest.raises(VenueError):
        await Reconciler(room.pool, room.publisher).reconcile(lane.account, client)
    row = await Reconciliation.objects.aget()
    assert row.unreachable_since is not None
    assert row.failing_since is None
    await client.close()
    await Reconciler(room.pool, room.publisher).reconcile(lane.account, lane.client)
    assert (await Reconciliation.objects.aget()).unreachable_since is None


async def test_order_the_venue_does_not_know_is_told(room: Any, lane: Any, account: Account) -> None:
    [order] = await room.send(room.order(account))
    await room.until(order.id, OrderStatus.ACCEPTED)
    await room.age(order.id)
    await Order.objects.filter(pk=order.id).aupdate(order_hash="0x" + "ab" * 32)
    found = await Reconciler(room.pool, room.publisher).reconcile(lane.account, lane.client)
    assert (found.orders_missing, found.orders_foreign) == (1, 1)
    row = await Reconciliation.objects.aget()
    assert (row.orders_missing, row.tries) == (1, 1)
    assert (await room.row(order.id)).status == "accepted", "never guessed"


async def test_holdings_are_compared_twice_before_belief(room: Any, lane: Any, account: Account) -> None:
    """The real venue holds nothing; the ledger says 5, of which 2 are bought and not settled."""
    key, now = f"predict:{room.market.market_id}", datetime.now(UTC)
    await Position.objects.acreate(account=account, market_id=key, outcome="no", size=Decimal(5), updated_at=now)
    await Fill.objects.acreate(
        account=account,
        market_id=key,
        trade_id="t1",
        order_hash="0x1",
        outcome="no",
        action="buy",
        price=Decimal("0.4"),
        size=Decimal(2),
        received_at=now,
        recorded_at=now,
    )
    held, holdings = held_at(Platform.PREDICT, await lane.client.fetch_positions()), Holdings()
    async with room.pool.connection() as conn:
        assert await holdings.compare(conn, account.pk, held, now) == []
        assert await holdings.compare(conn, account.pk, held, now + timedelta(seconds=5)) == [], "too close"
        [apart] = await holdings.compare(conn, account.pk, held, now + timedelta(seconds=30))
    assert (apart.market_key, apart.outcome, apart.gap, apart.in_ledger) == (key, "no", Decimal(-3), Decimal(5))
    found = msgspec.structs.replace(CLEAN, positions_apart=(apart,))
    await report_comparison(room.pool, room.publisher, lane.account, found, now)
    row = await Reconciliation.objects.aget()
    assert (row.positions_apart, row.tries) == (1, 1)
    assert row.explanations == [f"In {key} the venue holds 0 no, the ledger says 5."]
    more = msgspec.structs.replace(CLEAN, positions_apart=(dataclasses.replace(apart, gap=Decimal(3)),))
    await report_comparison(room.pool, room.publisher, lane.account, more, now)
    row = await Reconciliation.objects.aget()
    assert (row.positions_apart, row.failing_since) == (1, None), "shares from outside are told, never halted for"


async def test_shares_that_settled_are_no_difference(
    room: Any, lane: Any, account: Account, paper: Any, redis_url: str
) -> None:
    """Matches, orders and positions agree after a real fill; what the stream missed came in by the reconcile, once."""
    [order] = await room.send(room.order(account))
    await room.until(order.id, OrderStatus.ACCEPTED)
    paper.take(order.order_hash)
    await asyncio.sleep(0.2)
    reconciler = Reconciler(room.pool, room.publisher)
    missing = 0
    for _ in range(2):
        work = asyncio.create_task(reconciler.reconcile(lane.account, lane.client))
        while not work.done():
            await room.digest(redis_url)
            await asyncio.sleep(0.05)
        missing += (await work).fills_missing
    assert missing == 1
    held, now, holdings = held_at(Platform.PREDICT, await lane.client.fetch_positions()), datetime.now(UTC), Holdings()
    assert sum(held.values()) == 10
    async with room.pool.connection() as conn:
        for after in (0, 30):
            assert not await holdings.compare(conn, account.pk, held, now + timedelta(seconds=after))


async def test_fill_nobody_explains_fails_the_comparison(room: Any, lane: Any, account: Account) -> None:
    """Matched long ago, not settled, not failed: never guessed."""
    [order] = await room.send(room.order(account))
    await room.until(order.id, OrderStatus.ACCEPTED)
    long_ago = datetime.now(UTC) - timedelta(minutes=20)
    await Fill.objects.acreate(
        account=account,
        market_id=order.market_key,
        order_id=order.id,
        trade_id="t1",
        order_hash=order.order_hash,
        outcome="yes",
        action="buy",
        price=Decimal("0.4"),
        size=Decimal(1),
        received_at=long_ago,
        recorded_at=long_ago,
    )
    await Reconciler(room.pool, room.publisher).reconcile(lane.account, lane.client)
    row = await Reconciliation.objects.aget()
    assert row.fills_silent == 1
    assert row.failing_since is not None
