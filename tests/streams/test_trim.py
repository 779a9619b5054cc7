"""Trimming: what any group has not acknowledged is never touched."""

import random
from collections.abc import Callable
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.connection import connect_now
from streams.names import ALL_STREAMS, READER_GROUPS
from streams.publisher import publish_now
from streams.trim import trim, trim_all
from tests.streams.valkey_server import ValkeyServer
from trading.events import FILL_EVENTS, MARKET_EVENTS, Event

MakeEvent = Callable[[int], Event]
REQUIRED = ("strategies", "recorder")
AT_ONCE = -10_000
"""A window that ends ahead of the clock: an entry of this very millisecond is not kept for its youth."""


def ids(client: redis.Redis, stream: str = FILL_EVENTS) -> list[bytes]:
    entries: Any = client.xrange(stream)
    return [entry_id for entry_id, _ in entries]


def take(client: redis.Redis, group: str, count: int, consumer: str = "c") -> list[bytes]:
    answer: Any = client.xreadgroup(group, consumer, {FILL_EVENTS: ">"}, count=count)
    return [entry_id for _, entries in answer for entry_id, _ in entries]


@pytest.fixture
def published(now_client: redis.Redis, event: MakeEvent) -> list[bytes]:
    for number in range(10):
        publish_now(now_client, FILL_EVENTS, event(number))
    for group in REQUIRED:
        now_client.xgroup_create(FILL_EVENTS, group, id="0")
    return ids(now_client)


def test_nothing_goes_before_every_group_exists(now_client: redis.Redis, event: MakeEvent) -> None:
    publish_now(now_client, FILL_EVENTS, event(1))
    now_client.xgroup_create(FILL_EVENTS, "strategies", id="0")
    now_client.xack(FILL_EVENTS, "strategies", *take(now_client, "strategies", 10))
    assert trim(now_client, FILL_EVENTS, keep_ms=AT_ONCE) == 0
    assert len(ids(now_client)) == 1


def test_oldest_pending_entry_stops_the_trim(now_client: redis.Redis, published: list[bytes]) -> None:
    for group in REQUIRED:
        taken = take(now_client, group, 10)
        now_client.xack(FILL_EVENTS, group, *(taken if group == "recorder" else taken[:4] + taken[5:]))
    assert trim(now_client, FILL_EVENTS, keep_ms=AT_ONCE) == 4
    assert ids(now_client) == published[4:]


def test_undelivered_entries_stop_the_trim(now_client: redis.Redis, published: list[bytes]) -> None:
    now_client.xack(FILL_EVENTS, "strategies", *take(now_client, "strategies", 10))
    now_client.xack(FILL_EVENTS, "recorder", *take(now_client, "recorder", 7))
    assert trim(now_client, FILL_EVENTS, keep_ms=AT_ONCE) == 7
    assert ids(now_client) == published[7:]


def test_group_outside_the_table_counts_too(now_client: redis.Redis, published: list[bytes]) -> None:
    now_client.xgroup_create(FILL_EVENTS, "visitor", id="0")
    for group in REQUIRED:
        now_client.xack(FILL_EVENTS, group, *take(now_client, group, 10))
    assert trim(now_client, FILL_EVENTS, keep_ms=AT_ONCE) == 0
    now_client.xgroup_destroy(FILL_EVENTS, "visitor")
    assert trim(now_client, FILL_EVENTS, keep_ms=AT_ONCE) == 10


def test_young_entries_are_kept(now_client: redis.Redis, published: list[bytes]) -> None:
    for group in REQUIRED:
        now_client.xack(FILL_EVENTS, group, *take(now_client, group, 10))
    assert trim(now_client, FILL_EVENTS, keep_ms=60_000) == 0
    assert trim_all(now_client, keep_ms=AT_ONCE)[FILL_EVENTS] == 10


def test_trimming_an_empty_bus_does_nothing(now_client: redis.Redis) -> None:
    assert trim_all(now_client, keep_ms=AT_ONCE) == dict.fromkeys(ALL_STREAMS, 0)
    assert now_client.keys() == []


def test_every_stream_has_a_required_reader() -> None:
    for stream in ALL_STREAMS:
        assert any(stream in group.streams and not group.is_optional for group in READER_GROUPS.values()), stream
    assert MARKET_EVENTS in READER_GROUPS["recorder"].streams


@given(seed=st.integers(0, 2**32), steps=st.integers(1, 25))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_acks_never_lose_an_entry(valkey: ValkeyServer, event: MakeEvent, seed: int, steps: int) -> None:
    chance = random.Random(seed)
    client = connect_now(valkey.url)
    client.flushall()
    unacknowledged: dict[str, set[bytes]] = {group: set() for group in REQUIRED}
    delivered: dict[str, list[bytes]] = {group: [] for group in REQUIRED}
    for group in REQUIRED:
        client.xgroup_create(FILL_EVENTS, group, id="0", mkstream=True)
    for step in range(steps):
        for number in range(chance.randrange(4)):
            entry_id = publish_now(client, FILL_EVENTS, event(100 * step + number)).encode()
            for group in REQUIRED:
                unacknowledged[group].add(entry_id)
        group = chance.choice(REQUIRED)
        delivered[group] += take(client, group, chance.randint(1, 4), consumer=chance.choice("ab"))
        for entry_id in chance.sample(delivered[group], chance.randint(0, len(delivered[group]))):
            delivered[group].remove(entry_id)
            client.xack(FILL_EVENTS, group, entry_id)
            unacknowledged[group].discard(entry_id)
        trim(client, FILL_EVENTS, keep_ms=AT_ONCE)
        needed = set.union(*unacknowledged.values())
        left = ids(client)
        assert needed <= set(left)
        if left and len(left) > len(needed):
            # What is left beyond need lies above the oldest needed entry: the trim is exact.
            assert left[0] in needed
    client.close()
