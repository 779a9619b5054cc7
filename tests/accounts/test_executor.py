"""The executor against a paper venue on a socket: every answer an order can get, and what is told of it."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from accounts.lanes import AccountUnavailable
from accounts.ledger.clearance import record_absent, record_cleared, record_unsent
from accounts.levels import HEDGE_ONLY
from accounts.models import Account, Order
from accounts.registration import change_account_state
from accounts.stop import NO_NEW, lift_stop, pull_stop
from tests.accounts.conftest import make_account, open_room
from trading.enums import OrderOrigin, OrderStatus
from trading.errors import Rejected
from trading.events import TRADE_EVENTS, Event
from venues.contract import OrderTicket, SignedOrder

Events = Callable[[str], list[Event]]


def told(events: Events, order_id: Any) -> list[str]:
    """The statuses the bus was told of for one order, in order."""
    return [
        event.data.status.value
        for event in events(TRADE_EVENTS)
        if event.type == "trade_executed" and event.data.client_order_id == str(order_id)
    ]


async def test_accepted_order_is_written_and_announced(room: Any, account: Account, events: Events) -> None:
    [order] = await room.send(room.order(account))
    row = await room.until(order.id, OrderStatus.ACCEPTED)
    assert row.venue_order_id
    assert row.answered_at >= row.sent_at
    assert row.sender == "engine-test"
    assert row.order_hash == order.order_hash
    assert row.order_hash.startswith("0x")
    await room.executor.close()
    assert told(events, order.id) == ["accepted"]
    assert (await room.row(order.id)).announced == "accepted"


async def test_bytes_are_durable_before_they_leave(room: Any, account: Account, paper: Any) -> None:
    [order] = await room.journal(room.order(account))
    row = await room.row(order.id)
    assert (row.status, bytes(row.body), row.order_hash) == ("submitted", order.body, order.order_hash)
    assert not paper.snapshot(account.address)["orders"]


async def test_same_order_prepared_twice_is_same_bytes(room: Any, account: Account) -> None:
    order = room.order(account)
    assert room.executor.prepare(order, room.market) == room.executor.prepare(order, room.market)


async def test_hedge_latency_counts_from_its_fill(room: Any, account: Account) -> None:
    cause_at = datetime.now(UTC) - timedelta(milliseconds=250)
    [order] = await room.send(room.order(account, cause_at=cause_at))
    row = await room.until(order.id, OrderStatus.ACCEPTED)
    assert 250_000 <= row.latency_us < 5_000_000


async def test_refused_order_is_rejected_with_slug(room: Any, account: Account, events: Events) -> None:
    [order] = await room.send(room.order(account, price="0.90", size="100000"))
    row = await room.until(order.id, OrderStatus.REJECTED)
    assert row.reason.startswith("create_order_insufficient_collateral")
    await room.executor.close()
    assert told(events, order.id) == ["rejected"]


@pytest.mark.parametrize("fault", ["timeout_after_accept", "timeout_before_accept", "http_5xx"])
async def test_lost_answer_is_unknown_then_settled(
    room: Any, account: Account, paper: Any, events: Events, fault: str
) -> None:
    paper.faults({"kind": fault, "count": 1, "ms": 6000, "address": account.address})
    [order] = await room.send(room.order(account))
    row = await room.until(order.id, OrderStatus.UNKNOWN)
    assert row.reason
    for _ in range(5):  # rounds, as the engine makes them: a loaded machine may lose the second answer too
        await room.age(order.id)
        await room.executor.recover_fully()
        await asyncio.sleep(0.2)
        if (await room.row(order.id)).status == "accepted":
            break
    await room.until(order.id, OrderStatus.ACCEPTED)
    assert len(paper.snapshot(account.address)["orders"]) == 1
    await room.executor.close()
    assert told(events, order.id) == ["unknown", "accepted"]


async def test_unknown_order_is_left_alone_while_fresh(room: Any, account: Account, paper: Any) -> None:
    paper.faults({"kind": "timeout_before_accept", "count": 1, "ms": 6000, "address": account.address})
    [order] = await room.send(room.order(account))
    await room.until(order.id, OrderStatus.UNKNOWN)
    await room.executor.recover_fully()
    assert (await room.row(order.id)).status == "unknown"
    assert not paper.snapshot(account.address)["orders"]


async def test_busy_venue_gets_same_bytes_later(room: Any, account: Account, paper: Any, events: Events) -> None:
    """A 429 is no answer to the order: it stays SUBMITTED while the venue's own advice is kept to."""
    paper.faults({"kind": "http_429", "count": 1, "address": account.address})
    [order] = await room.send(room.order(account))
    await asyncio.sleep(0.5)
    assert (await room.row(order.id)).status == "submitted"
    for budget in room.executor.lanes._budgets._budgets.values():
        budget._closed_until_s.clear()  # the minute the venue asked for has passed
    await room.until(order.id, OrderStatus.ACCEPTED)
    assert len(paper.snapshot(account.address)["orders"]) == 1
    await room.executor.close()
    assert told(events, order.id) == ["accepted"]


async def test_journaled_but_unsent_order_is_recovered(
    room: Any, account: Account, paper: Any, database_url: str, redis_url: str, market: Any
) -> None:
    """The engine died between its commit and its send; another one finds the row."""
    [order] = await room.journal(room.order(account))
    await room.executor.close()
    await room.age(order.id)
    async with open_room(database_url, redis_url, paper, market, "engine-two") as second:
        await second.executor.recover_fully()
        await second.until(order.id, OrderStatus.ACCEPTED)
    assert len(paper.snapshot(account.address)["orders"]) == 1


async def test_sent_but_unwritten_order_is_found(
    room: Any, account: Account, paper: Any, database_url: str, redis_url: str, market: Any
) -> None:
    """The engine died between the venue's answer and writing it down: nothing is sent twice."""
    [order] = await room.journal(room.order(account))
    lane = room.executor.lanes.get(account.pk)
    await lane.client.submit(lane.signer.sign(_ticket(order, room.market)))
    await room.age(order.id)
    async with open_room(database_url, redis_url, paper, market, "engine-two") as second:
        await second.executor.recover_fully()
        row = await second.until(order.id, OrderStatus.ACCEPTED)
    assert row.reason == "found at the venue"
    assert len(paper.snapshot(account.address)["orders"]) == 1


async def test_duplicate_answer_means_it_exists(room: Any, account: Account, paper: Any) -> None:
    [order] = await room.journal(room.order(account))
    lane = room.executor.lanes.get(account.pk)
    await lane.client.submit(lane.signer.sign(_ticket(order, room.market)))
    room.executor.send([order])
    row = await room.until(order.id, OrderStatus.ACCEPTED)
    assert row.reason == "duplicate"


async def test_refusal_of_resent_bytes_proves_nothing(room: Any, account: Account) -> None:
    """A venue may check a balance before it sees a duplicate: only an order it does not know is rejected."""
    lane, refusal = room.executor.lanes.get(account.pk), Rejected("create_order_insufficient_collateral_balance")
    [order, never_sent] = await room.journal(room.order(account), room.order(account))
    room.executor.send([order])
    await room.until(order.id, OrderStatus.ACCEPTED)
    known = await room.executor.attempts.find_evidence(lane, _signed(order), refusal, time.time_ns())
    assert known.status is OrderStatus.UNKNOWN
    unknown = await room.executor.attempts.find_evidence(lane, _signed(never_sent), refusal, time.time_ns())
    assert unknown.status is OrderStatus.REJECTED


async def test_filled_while_unknown_enters_by_stream(
    room: Any, account: Account, paper: Any, events: Events, redis_url: str
) -> None:
    paper.faults({"kind": "timeout_after_accept", "count": 1, "ms": 6000, "address": account.address})
    [order] = await room.send(room.order(account))
    await room.until(order.id, OrderStatus.UNKNOWN)
    paper.take(order.order_hash)
    await asyncio.sleep(0.3)
    await room.age(order.id)
    recovery = asyncio.create_task(room.executor.recover_fully())
    while not recovery.done():
        await room.digest(redis_url)
        await asyncio.sleep(0.05)
    await room.until(order.id, OrderStatus.FILLED)
    settled = [event for event in events("fill_events") if event.data.order_hash == order.order_hash]
    assert len({event.id for event in settled}) == 1


async def test_account_that_hangs_delays_no_other(room: Any, account: Account, paper: Any) -> None:
    other = await asyncio.to_thread(make_account, paper)
    await room.executor.lanes.refresh()
    await room.executor.warm([other.pk])
    paper.faults({"kind": "latency_ms", "ms": 2000, "address": account.address})
    slow = await room.send(*(room.order(account, price=f"0.{n}") for n in range(10, 30)))
    began = time.monotonic()
    [quick] = await room.send(room.order(other))
    await room.until(quick.id, OrderStatus.ACCEPTED)
    assert time.monotonic() - began < 1.0
    assert (await room.row(slow[0].id)).status == "submitted"
    paper.faults()


async def test_unknown_account_cannot_be_signed_for(room: Any, account: Account) -> None:
    order = room.order(account, account_id=room.order(account).id)
    with pytest.raises(AccountUnavailable):
        room.executor.prepare(order, room.market)


async def test_order_a_stop_held_back_ends_stopped(room: Any, account: Account, paper: Any, events: Events) -> None:
    """Sent after the lift its price would be stale: it ends, and what it was to hedge is decided anew."""
    [order] = await room.journal(room.order(account))
    await asyncio.to_thread(pull_stop, NO_NEW, "test", "drill")
    room.executor.send([order])
    row = await room.until(order.id, OrderStatus.CANCELLED)
    assert row.reason == "stopped"
    await asyncio.to_thread(lift_stop, "test", "over")
    await asyncio.sleep(0.3)
    await room.age(order.id)
    await room.executor.recover_fully()
    assert not paper.snapshot(account.address)["orders"]
    assert told(events, order.id) == ["cancelled"]


async def test_orphan_under_a_stop_ends_by_evidence(room: Any, account: Account, paper: Any) -> None:
    """Its engine died before the send. While its bytes could still be on their way it stays; then it ends."""
    [order] = await room.journal(room.order(account))
    await asyncio.to_thread(pull_stop, NO_NEW, "test", "drill")
    await room.age(order.id)
    await room.executor.recover_fully()
    assert (await room.row(order.id)).status == "submitted"
    await Order.objects.filter(pk=order.id).aupdate(submitted_at=datetime.now(UTC) - timedelta(minutes=1))
    await asyncio.sleep(0.2)
    await room.age(order.id)
    await room.executor.recover_fully()
    row = await room.until(order.id, OrderStatus.CANCELLED)
    assert row.reason == "stopped"
    assert not paper.snapshot(account.address)["orders"]


async def test_order_cleared_meanwhile_is_not_ended(room: Any, account: Account) -> None:
    """Two engines read the same orphan: whoever clears it to leave wins, and the other cannot end it."""
    [order] = await room.journal(room.order(account))
    seen, now = (await room.row(order.id)).submitted_at, datetime.now(UTC)
    async with room.pool.connection() as conn:
        assert await record_cleared(conn, order.id, seen, "engine-two", now)
        assert await record_absent(conn, order.id, seen, "stopped", now) is None
        assert await record_unsent(conn, order.id, room.executor.name, "stopped", now) is None
        assert not await record_cleared(conn, order.id, seen, "engine-three", now)


async def test_hedge_leaves_while_only_hedges_may(room: Any, account: Account) -> None:
    await asyncio.to_thread(pull_stop, HEDGE_ONLY, "test", "drill")
    [hedge, other] = await room.send(
        room.order(account, exposure_id=uuid4()), room.order(account, origin=OrderOrigin.USER)
    )
    await room.until(hedge.id, OrderStatus.ACCEPTED)
    assert (await room.until(other.id, OrderStatus.CANCELLED)).reason == "stopped"


async def test_unannounced_status_is_announced_later(room: Any, account: Account, events: Events) -> None:
    order = room.order(account, status=OrderStatus.DENIED, reason="max_order")
    await room.record(order)
    await room.age(order.id)
    await room.executor.recover_fully()
    assert told(events, order.id) == ["denied"]
    await room.executor.recover_fully()
    assert told(events, order.id) == ["denied"]


async def test_new_account_is_served_within_seconds(room: Any, account: Account, paper: Any) -> None:
    other = await asyncio.to_thread(make_account, paper)
    room.executor._refreshed_at = float("-inf")
    await room.executor.recover()
    [order] = await room.send(room.order(other))
    await room.until(order.id, OrderStatus.ACCEPTED)


def _ticket(order: Any, market: Any) -> Any:
    return OrderTicket(
        client_order_id=order.id,
        market=market,
        outcome=order.outcome,
        action=order.action,
        price=order.price,
        size=order.size,
        salt=order.salt,
    )


def _signed(order: Any) -> Any:
    return SignedOrder(client_order_id=order.id, order_hash=order.order_hash, body=order.body)


async def test_unsent_order_with_cancel_never_leaves(room: Any, account: Account, paper: Any, events: Events) -> None:
    [order] = await room.journal(room.order(account))
    await room.executor.cancel(order.id)
    await room.age(order.id)
    await room.executor.recover_fully()
    assert (await room.row(order.id)).status == "submitted"
    await Order.objects.filter(pk=order.id).aupdate(submitted_at=datetime.now(UTC) - timedelta(minutes=1))
    await asyncio.sleep(0.2)
    await room.age(order.id)
    await room.executor.recover_fully()
    await room.until(order.id, OrderStatus.CANCELLED)
    assert not paper.snapshot(account.address)["orders"]


async def test_halted_account_resends_nothing(room: Any, account: Account, paper: Any) -> None:
    [order] = await room.journal(room.order(account))
    await asyncio.to_thread(change_account_state, account.pk, "halted", by="test", reason="drill")
    await room.executor.lanes.refresh()
    await room.age(order.id)
    await room.executor.recover_fully()
    await asyncio.sleep(0.2)
    row = await room.row(order.id)
    assert (row.status, row.reason) == ("submitted", "account_halted")
    await Order.objects.filter(pk=order.id).aupdate(submitted_at=datetime.now(UTC) - timedelta(minutes=1))
    await room.age(order.id)
    await room.executor.recover_fully()
    assert (await room.row(order.id)).status == "cancelled"
    assert not paper.snapshot(account.address)["orders"]


async def test_nothing_secret_is_logged(room: Any, account: Account, paper: Any, caplog: Any) -> None:
    """Every path above logs; none of it shows a key, a signature or signed bytes."""
    paper.faults({"kind": "timeout_before_accept", "count": 1, "ms": 6000, "address": account.address})
    [unknown] = await room.send(room.order(account))
    await room.until(unknown.id, OrderStatus.UNKNOWN)
    [refused] = await room.send(room.order(account, price="0.90", size="100000"))
    await room.until(refused.id, OrderStatus.REJECTED)
    await room.age(unknown.id)
    await room.executor.recover_fully()
    lane = room.executor.lanes.get(account.pk)
    shown = caplog.text + repr(lane) + repr(room.executor.lanes) + repr(lane.client) + repr(lane.signer)
    assert "order_unknown" in shown
    signature = unknown.body.split(b'"signature":"')[1][:40].decode()
    for secret in (lane.account.credentials.private_key.hex(), signature, "eyJ"):
        assert secret not in shown


async def test_outage_of_database_loses_no_answer(room: Any, account: Account, database_url: str) -> None:
    """The pool's connections are cut again and again while the answer is to be written."""
    [order] = await room.journal(room.order(account))
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as conn:
        room.executor.send([order])
        for _ in range(10):
            await conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'room' AND datname = current_database()"
            )
            await asyncio.sleep(0.03)
    await room.until(order.id, OrderStatus.ACCEPTED)
    assert room.executor.answers.waiting == 0
