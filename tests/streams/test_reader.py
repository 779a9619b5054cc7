"""What a reader group keeps true: nothing skipped, nothing lost, whatever dies."""

import asyncio
from collections.abc import Callable
from uuid import UUID

import pytest
import redis
import redis.asyncio

from streams.connection import connect, connect_now, connect_reader
from streams.deadletters import load_dead_letters
from streams.publisher import Publisher
from streams.reader import GroupReader, Message
from tests.streams.conftest import MakeReader
from tests.streams.relay import Relay
from tests.streams.valkey_server import ValkeyServer
from trading.commands import CancelOrder
from trading.enums import Platform
from trading.events import FILL_EVENTS, ORDER_COMMANDS, TRADE_EVENTS, Event

MakeEvent = Callable[[int], Event]


def numbers(messages: list[Message]) -> list[int]:
    return [message.event().id.int for message in messages]


async def read_until(reader: GroupReader, count: int) -> list[Message]:
    found: list[Message] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            found += await reader.read()
    return found


async def test_events_before_the_group_are_read(
    client: redis.asyncio.Redis, make_reader: MakeReader, event: MakeEvent
) -> None:
    await Publisher(client).publish_many(FILL_EVENTS, [event(n) for n in range(5)])
    reader = make_reader()
    await reader.ensure_groups()
    assert numbers(await reader.read()) == [0, 1, 2, 3, 4]


async def test_two_consumers_share_the_messages(
    client: redis.asyncio.Redis, make_reader: MakeReader, event: MakeEvent
) -> None:
    await Publisher(client).publish_many(FILL_EVENTS, [event(n) for n in range(6)])
    one, two = make_reader("one", count=3), make_reader("two", count=3)
    assert sorted(numbers(await one.read()) + numbers(await two.read())) == [0, 1, 2, 3, 4, 5]


async def test_two_groups_each_get_everything(
    client: redis.asyncio.Redis, make_reader: MakeReader, event: MakeEvent
) -> None:
    await Publisher(client).publish(FILL_EVENTS, event(7))
    one, two = make_reader(group="strategies"), make_reader(group="recorder")
    assert numbers(await one.read()) == numbers(await two.read()) == [7]


async def test_acknowledged_messages_never_come_again(
    client: redis.asyncio.Redis, now_client: redis.Redis, make_reader: MakeReader, event: MakeEvent
) -> None:
    await Publisher(client).publish_many(FILL_EVENTS, [event(n) for n in range(3)])
    reader = make_reader()
    await reader.ack(await reader.read())
    assert await make_reader().read() == []
    assert now_client.xpending(FILL_EVENTS, "strategies")["pending"] == 0


async def test_restarted_consumer_gets_its_own_first(
    client: redis.asyncio.Redis, make_reader: MakeReader, event: MakeEvent
) -> None:
    publisher = Publisher(client)
    await publisher.publish_many(FILL_EVENTS, [event(n) for n in range(5)])
    first = make_reader(count=2)
    first_batch = await first.read()
    second_batch = await first.read()
    await first.ack(first_batch)
    restarted = make_reader(count=2)
    again = await restarted.read()
    assert numbers(again) == numbers(second_batch) == [2, 3]
    assert [message.deliveries for message in again] == [2, 2]
    assert numbers(await restarted.read()) == [4]


async def test_dead_readers_messages_are_claimed(
    client: redis.asyncio.Redis, make_reader: MakeReader, event: MakeEvent
) -> None:
    await Publisher(client).publish_many(FILL_EVENTS, [event(n) for n in range(3)])
    dead = make_reader("dead")
    assert len(await dead.read()) == 3
    alive = make_reader("alive", claim_idle_ms=100)
    claimed = await read_until(alive, 3)
    assert numbers(claimed) == [0, 1, 2]
    assert [message.deliveries for message in claimed] == [2, 2, 2]


async def test_held_messages_are_not_claimed(
    client: redis.asyncio.Redis, make_reader: MakeReader, event: MakeEvent
) -> None:
    await Publisher(client).publish(FILL_EVENTS, event(1))
    slow, other = make_reader("slow"), make_reader("other", claim_idle_ms=300)
    held = await slow.read()
    for _ in range(6):
        await slow.hold(held)
        assert await other.read() == []
        await asyncio.sleep(0.05)
    assert numbers(await read_until(other, 1)) == [1]


async def test_unfinished_message_is_tried_again(
    client: redis.asyncio.Redis, make_reader: MakeReader, event: MakeEvent
) -> None:
    await Publisher(client).publish(FILL_EVENTS, event(1))
    reader = make_reader(claim_idle_ms=60)
    deliveries = [(await read_until(reader, 1))[0].deliveries for _ in range(4)]
    assert deliveries == [1, 2, 3, 4]


async def test_killed_redis_mid_stream_loses_nothing(
    valkey: ValkeyServer, client: redis.asyncio.Redis, make_reader: MakeReader, event: MakeEvent
) -> None:
    total = 400
    seen: list[int] = []

    async def publish() -> None:
        publisher = connect(valkey.url)
        number = 0
        while number < total:
            try:
                await Publisher(publisher).publish_many(FILL_EVENTS, [event(n) for n in range(number, number + 10)])
                number += 10
            except redis.RedisError:
                await asyncio.sleep(0.02)
        await publisher.aclose()

    async def read() -> None:
        reader = make_reader(count=7)
        while len(set(seen)) < total:
            messages = await reader.read()
            seen.extend(numbers(messages))
            await reader.ack(messages)

    async def kill() -> None:
        for _ in range(3):
            await asyncio.sleep(0.1)
            valkey.kill()
            await asyncio.sleep(0.1)
            await asyncio.to_thread(valkey.start)

    async with asyncio.timeout(30):
        await asyncio.gather(publish(), read(), kill())
    assert set(seen) == set(range(total))
    now = connect_now(valkey.url)
    assert await make_reader().read() == []
    assert now.xpending(FILL_EVENTS, "strategies")["pending"] == 0
    now.close()


async def test_messages_in_hand_survive_an_outage_once(
    valkey: ValkeyServer, client: redis.asyncio.Redis, make_reader: MakeReader, event: MakeEvent
) -> None:
    await Publisher(client).publish_many(FILL_EVENTS, [event(n) for n in range(4)])
    reader = make_reader(count=2)
    in_hand = await reader.read()
    valkey.kill()
    await reader.ack(in_hand[:1])
    assert await reader.read() == []
    valkey.start()
    assert numbers(await read_until(reader, 2)) == [2, 3]
    assert numbers(await make_reader().read()) == [1, 2, 3]


@pytest.mark.parametrize("how", ["cut", "cancelled"])
async def test_entries_of_a_lost_answer_come_again(
    valkey: ValkeyServer, client: redis.asyncio.Redis, event: MakeEvent, how: str
) -> None:
    """Redis handed the entries out and we never heard of it: they are pending, and `>` would pass them over."""
    async with Relay(valkey.port) as relay, asyncio.timeout(20):
        connection = connect_reader(relay.url)
        reader = GroupReader(connection, "strategies", "one", (FILL_EVENTS,), block_ms=5000)
        await Publisher(client).publish(FILL_EVENTS, event(0))
        await reader.ack(await reader.read())
        reading = asyncio.create_task(reader.read())
        await asyncio.sleep(0.05)
        relay.lose_answers = True
        await Publisher(client).publish_many(FILL_EVENTS, [event(1), event(2)])
        await relay.lost.wait()
        relay.lose_answers = False
        if how == "cut":
            relay.cut()
            assert await reading == []
        else:
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
        assert numbers(await read_until(reader, 2)) == [1, 2]
        await connection.aclose()


async def test_cancelled_read_skips_nothing(
    valkey: ValkeyServer, client: redis.asyncio.Redis, make_reader: MakeReader, event: MakeEvent
) -> None:
    reader = make_reader(block_ms=5000)
    found: list[int] = []
    for number in range(20):
        reading = asyncio.create_task(reader.read())
        await asyncio.sleep(0.005)
        publishing = asyncio.create_task(Publisher(client).publish(FILL_EVENTS, event(number)))
        await asyncio.sleep(0.0005 * (number % 4))
        reading.cancel()
        found += [
            n
            for result in await asyncio.gather(reading, return_exceptions=True)
            if not isinstance(result, BaseException)
            for n in numbers(result)
        ]
        await publishing
    while len(found) < 20:
        found += numbers(await reader.read())
    assert sorted(found) == list(range(20))


async def test_lost_group_is_made_again(
    client: redis.asyncio.Redis, now_client: redis.Redis, make_reader: MakeReader, event: MakeEvent
) -> None:
    reader = make_reader()
    await reader.ensure_groups()
    now_client.flushall()
    await Publisher(client).publish(FILL_EVENTS, event(1))
    assert numbers(await read_until(reader, 1)) == [1]


async def test_undecodable_event_goes_to_dead_letters(
    client: redis.asyncio.Redis, now_client: redis.Redis, make_reader: MakeReader, event: MakeEvent
) -> None:
    publisher = Publisher(client)
    await publisher.publish_raw(FILL_EVENTS, b'{"type": "no_such_thing"')
    await add_fields(client, {b"other": b"field"})
    await publisher.publish(FILL_EVENTS, event(1))
    reader = make_reader()
    assert numbers(await reader.read()) == [1]
    letters = load_dead_letters(now_client, FILL_EVENTS)
    assert [letter.body for letter in reversed(letters)] == [b'{"type": "no_such_thing"', b""]
    assert all(letter.group == "strategies" and "not an event" in letter.reason for letter in letters)
    assert numbers(await make_reader().read()) == [1]


async def add_fields(client: redis.asyncio.Redis, fields: dict[bytes, bytes]) -> None:
    await client.execute_command("XADD", FILL_EVENTS, "*", *(part for pair in fields.items() for part in pair))  # type: ignore[no-untyped-call]


async def test_order_commands_keep_their_bytes(client: redis.asyncio.Redis, make_reader: MakeReader) -> None:
    command = CancelOrder(
        platform=Platform.PREDICT,
        account_id="a1",
        client_order_id=UUID(int=1),
    )
    publisher = Publisher(client)
    await publisher.publish_command(command)
    await publisher.publish_raw(ORDER_COMMANDS, b"wake")
    sent, raw = await make_reader(streams=(ORDER_COMMANDS,)).read()
    assert sent.command() == command
    assert raw.body == b"wake"


async def test_several_streams_are_read_together(
    client: redis.asyncio.Redis, make_reader: MakeReader, event: MakeEvent
) -> None:
    publisher = Publisher(client)
    await publisher.publish(TRADE_EVENTS, event(1))
    await publisher.publish(FILL_EVENTS, event(2))
    streams = (FILL_EVENTS, TRADE_EVENTS)
    assert sorted(numbers(await make_reader(streams=streams).read())) == [1, 2]
    assert sorted(numbers(await make_reader(streams=streams).read())) == [1, 2]


async def test_client_with_timeouts_is_refused(client: redis.asyncio.Redis, valkey: ValkeyServer) -> None:
    with pytest.raises(ValueError, match="connect_reader"):
        GroupReader(client, "strategies", "one", (FILL_EVENTS,))
    plain = redis.asyncio.Redis.from_url(valkey.url)
    with pytest.raises(ValueError, match="connect_reader"):
        GroupReader(plain, "strategies", "one", (FILL_EVENTS,))


@pytest.mark.parametrize("count", [0, 1, 2, 2500])
async def test_many_events_keep_their_order(
    client: redis.asyncio.Redis, make_reader: MakeReader, event: MakeEvent, count: int
) -> None:
    ids = await Publisher(client).publish_many(FILL_EVENTS, [event(n) for n in range(count)])
    found = await client.xrange(FILL_EVENTS)
    assert [entry_id.decode() for entry_id, _ in found] == ids
    assert numbers(await read_until(make_reader(count=4000), count)) == list(range(count))


def test_answers_are_read_by_the_c_parser(valkey: ValkeyServer) -> None:
    """redis-py falls back on its own parser in silence, at three times the CPU time a message."""
    for client in (connect(valkey.url), connect_reader(valkey.url)):
        parser = client.connection_pool.make_connection()._parser
        assert type(parser).__name__ == "_AsyncHiredisParser"
