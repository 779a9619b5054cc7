"""Comparing an account with its venue: counted, explained, told, and halted rather than guessed."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import Account, Fill, Order, Reconciliation
from accounts.reconciler import Reconciler
from accounts.reconciliation import HALT_AFTER, TELL_AFTER, report_failure
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


async def test_account_that_stays_unreconciled_is_halted(room: Any, lane: Any, events: Any) -> None:
    now = datetime.now(UTC)
    for passed in (timedelta(0), TELL_AFTER, HALT_AFTER):
        await report_failure(room.pool, room.publisher, lane.account, "the venue cannot be read: x", now + passed)
    account = await Account.objects.aget(pk=lane.account.id)
    assert account.state == "halted"
    assert "cannot be read" in account.state_reason
    alert = await Alert.objects.aget()
    assert (alert.kind, alert.severity, alert.count) == ("unreconciled", "critical", 2)
    assert [event.data.value for event in events("account_events") if event.data.type == "account_changed"][-1] == (
        "halted"
    )


async def test_failure_that_passes_is_forgotten(room: Any, lane: Any) -> None:
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
    assert (await Reconciliation.objects.aget()).failing_since is not None
    await client.close()
    await Reconciler(room.pool, room.publisher).reconcile(lane.account, lane.client)
    assert (await Reconciliation.objects.aget()).failing_since is None


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
