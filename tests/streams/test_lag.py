"""Lag figures and dead letters, as operators see them."""

import asyncio
from collections.abc import Callable
from typing import Any

import redis
import redis.asyncio

from streams.deadletters import get_dead_letter, load_dead_letters, move, purge
from streams.lag import GroupLag, load_lag, load_stream_lag
from streams.names import FIELD, dead_letter_stream
from streams.publisher import publish_now, publish_raw_now
from tests.streams.conftest import MakeReader
from trading.events import FILL_EVENTS, Event

MakeEvent = Callable[[int], Event]


def by_group(figures: list[GroupLag]) -> dict[str, GroupLag]:
    return {each.group: each for each in figures}


def test_groups_that_never_read_are_shown(now_client: redis.Redis, event: MakeEvent) -> None:
    for number in range(3):
        publish_now(now_client, FILL_EVENTS, event(number))
    lag = by_group(load_stream_lag(now_client, FILL_EVENTS))
    assert lag["strategies"].exists is False
    assert (lag["strategies"].lag, lag["strategies"].length) == (3, 3)
    assert "bot" not in lag


async def test_lag_counts_pending_and_undelivered(
    now_client: redis.Redis, make_reader: MakeReader, event: MakeEvent
) -> None:
    for number in range(5):
        publish_now(now_client, FILL_EVENTS, event(number))
    reader = make_reader(count=3)
    messages = await reader.read()
    await reader.ack(messages[:1])
    await asyncio.sleep(0.02)
    figures = by_group([each for each in load_lag(now_client) if each.stream == FILL_EVENTS])["strategies"]
    assert (figures.exists, figures.pending, figures.lag) == (True, 2, 2)
    assert 20 <= figures.oldest_unacknowledged_ms < 10_000


async def test_group_that_is_done_has_no_age(
    now_client: redis.Redis, make_reader: MakeReader, event: MakeEvent
) -> None:
    publish_now(now_client, FILL_EVENTS, event(1))
    reader = make_reader()
    await reader.ack(await reader.read())
    figures = by_group(load_stream_lag(now_client, FILL_EVENTS))["strategies"]
    assert (figures.pending, figures.lag, figures.oldest_unacknowledged_ms) == (0, 0, 0)


async def test_deleted_entries_leave_lag_countable(
    now_client: redis.Redis, make_reader: MakeReader, event: MakeEvent
) -> None:
    entry_ids = [publish_now(now_client, FILL_EVENTS, event(number)) for number in range(5)]
    await make_reader(count=1).read()
    now_client.xdel(FILL_EVENTS, entry_ids[2])
    assert by_group(load_stream_lag(now_client, FILL_EVENTS))["strategies"].lag == 3


async def test_dead_letter_carries_its_reason(
    now_client: redis.Redis, make_reader: MakeReader, event: MakeEvent
) -> None:
    publish_now(now_client, FILL_EVENTS, event(1))
    reader = make_reader()
    (message,) = await reader.read()
    await reader.dead_letter(message, "no account a1")
    (letter,) = load_dead_letters(now_client)
    assert (letter.stream, letter.group, letter.reason) == (FILL_EVENTS, "strategies", "no account a1")
    assert (letter.original_id, letter.deliveries, letter.body) == (message.entry_id, 1, message.body)
    assert now_client.xpending(FILL_EVENTS, "strategies")["pending"] == 0
    assert load_stream_lag(now_client, FILL_EVENTS)[0].dead_letters == 1


async def test_replayed_letter_is_handled_again(
    now_client: redis.Redis, make_reader: MakeReader, event: MakeEvent
) -> None:
    publish_now(now_client, FILL_EVENTS, event(1))
    reader = make_reader()
    await reader.dead_letter((await reader.read())[0], "down")
    (letter,) = load_dead_letters(now_client, FILL_EVENTS)
    assert move(now_client, letter.stream, [letter.entry_id]).get(letter.entry_id) is not None
    assert [message.event() for message in await reader.read()] == [event(1)]
    assert load_dead_letters(now_client) == []
    assert move(now_client, letter.stream, [letter.entry_id]).get(letter.entry_id) is None
    assert await reader.read() == []


def test_purge_removes_one_letter_only(now_client: redis.Redis) -> None:
    for reason in (b"first", b"second"):
        now_client.xadd(dead_letter_stream(FILL_EVENTS), {FIELD: b"x", b"reason": reason})
    newest, oldest = load_dead_letters(now_client, FILL_EVENTS)
    assert (newest.reason, oldest.reason) == ("second", "first")
    assert purge(now_client, newest)
    assert not purge(now_client, newest)
    assert get_dead_letter(now_client, FILL_EVENTS, oldest.entry_id) == oldest
    assert get_dead_letter(now_client, FILL_EVENTS, newest.entry_id) is None


def test_bytes_published_now_arrive_unchanged(now_client: redis.Redis) -> None:
    publish_raw_now(now_client, FILL_EVENTS, b"\x00\xff")
    entries: Any = now_client.xrange(FILL_EVENTS)
    assert [fields for _, fields in entries] == [{FIELD: b"\x00\xff"}]
