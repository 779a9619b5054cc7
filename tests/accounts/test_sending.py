"""Attempts that begin at once: what has left when `send` returns, and that each place taken is given back."""

import asyncio
import time
from typing import Any

from accounts.lanes import IN_ALL, PER_ACCOUNT
from accounts.levels import NO_NEW, OTHER
from accounts.models import Account, Order
from accounts.stop import pull_stop
from tests.accounts.test_executor import Events, _signed
from trading.enums import OrderStatus
from trading.errors import Rejected
from trading.events import TRADE_EVENTS
from venues.contract import Submission


async def test_order_has_left_when_send_returns(room: Any, account: Account, paper: Any) -> None:
    """With a warm connection nothing is waited for: the event loop stands still while the venue is asked."""
    [order] = await room.journal(room.order(account))
    await room.executor.warm([account.pk])
    room.executor.send([order])
    deadline = time.monotonic() + 5
    while not (seen := paper.snapshot(account.address)["orders"]) and time.monotonic() < deadline:
        pass
    assert [found["hash"] for found in seen] == [order.order_hash]
    assert room.executor.gate.sending == 1
    await room.until(order.id, OrderStatus.ACCEPTED)
    assert room.executor.gate.sending == 0


async def test_order_sent_twice_leaves_once(room: Any, account: Account) -> None:
    [order] = await room.journal(room.order(account))
    await room.executor.warm([account.pk])
    room.executor.send([order])
    room.executor.send([order])
    assert room.executor.sending == 1
    await room.executor.deliver(account.pk, _signed(order), OTHER)
    assert (await room.until(order.id, OrderStatus.ACCEPTED)).reason == ""


async def test_words_the_database_cannot_hold_are_written(room: Any, account: Account) -> None:
    """One answer that could not be written would hold up every other."""
    refusal = Rejected("create_order_\0odd", "a\0b")
    [order] = await room.journal(room.order(account))

    async def refuse() -> Submission:
        raise refusal

    lane = room.executor.lanes.get(account.pk)
    said = await room.executor.attempts._answered(lane, _signed(order), refuse(), time.time_ns(), again=False)
    room.executor.answers.put(said)
    assert (await room.until(order.id, OrderStatus.REJECTED)).reason == "create_order_odd: ab"


async def test_note_of_an_announcement_comes_with_others(room: Any, account: Account, events: Events) -> None:
    """A status is on the bus at once and noted soon; one that a fill has moved on is not noted over it."""
    first, filled = await room.send(room.order(account), room.order(account, price="0.39"))
    for order in (first, filled):
        await room.until(order.id, OrderStatus.ACCEPTED)
    deadline = time.monotonic() + 5
    while len(events(TRADE_EVENTS)) < 2 and time.monotonic() < deadline:
        await asyncio.sleep(0.001)
    assert (await room.row(first.id)).announced == ""
    await Order.objects.filter(pk=filled.id).aupdate(status="filled", announced="filled")
    while (await room.row(first.id)).announced != "accepted":
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    assert (await room.row(filled.id)).announced == "filled"


async def test_every_place_is_given_back(room: Any, account: Account, paper: Any) -> None:
    """Whatever became of an order: more than a lane holds at once, held back by a stop, refused, unknown."""
    lane = room.executor.lanes.get(account.pk)
    await room.executor.warm([account.pk])
    many = await room.send(*(room.order(account, price=f"0.{n}") for n in range(10, 10 + PER_ACCOUNT + 4)))
    for order in many:
        await room.until(order.id, OrderStatus.ACCEPTED)
    [refused] = await room.send(room.order(account, price="0.90", size="100000"))
    await room.until(refused.id, OrderStatus.REJECTED)
    paper.faults({"kind": "http_5xx", "count": 1, "address": account.address})
    [unknown] = await room.send(room.order(account))
    await room.until(unknown.id, OrderStatus.UNKNOWN)
    await asyncio.to_thread(pull_stop, NO_NEW, "test", "drill")
    [stopped] = await room.send(room.order(account))
    assert room.executor.gate.sending == 0
    await room.until(stopped.id, OrderStatus.CANCELLED)
    taken = [lane.slots.take() for _ in range(PER_ACCOUNT + 1)]
    assert taken == [True] * PER_ACCOUNT + [False]
    assert sum(room.executor.lanes._road.take() for _ in range(IN_ALL + 1)) == IN_ALL


async def test_lane_that_goes_meanwhile_loses_no_answer(room: Any, account: Account) -> None:
    """The account's keys change between the sending and the first look at the answer."""
    [order] = await room.journal(room.order(account))
    await room.executor.warm([account.pk])
    room.executor.send([order])
    lane = room.executor.lanes._lanes.pop(account.pk)
    await room.until(order.id, OrderStatus.ACCEPTED)
    assert room.executor.gate.sending == 0
    await lane.client.close()
