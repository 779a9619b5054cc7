"""The recorder: every event is in ClickHouse once, whoever dies in between."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit, urlunsplit

import pytest

from streams.connection import connect_now
from streams.deadletters import load_dead_letters
from streams.publisher import Publisher
from streams.reader import GroupReader
from streams.trim import trim
from tests.warehouse.conftest import MakeFill
from trading.events import FILL_EVENTS
from warehouse.clickhouse import Client
from warehouse.queries import count_events, load_events, load_trades
from warehouse.recorder import Recorder
from warehouse.schema import apply_schema
from warehouse.writer import Writer

MakeReader = Callable[[str], GroupReader]


async def record_until(recorder: Recorder, done: Callable[[], Awaitable[bool]]) -> None:
    """Run `recorder` until `done`, then stop it as SIGTERM does."""
    stop = asyncio.Event()
    running = asyncio.create_task(recorder.run(stop))
    async with asyncio.timeout(30):
        while not await done() and not running.done():
            await asyncio.sleep(0.02)
    stop.set()
    await running


def recorded(recorder: Recorder, count: int) -> Callable[[], Awaitable[bool]]:
    async def done() -> bool:
        return recorder.recorded >= count

    return done


class Gate:
    """A TCP relay before ClickHouse that can be shut: what a dead server looks like to its client."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.is_open = False
        self.refused = 0
        self.url = urlunsplit(
            parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{self._listener.getsockname()[1]}")
        )
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if not self.is_open:
                    self.refused += 1
                    client.close()
                    continue
                server = socket.create_connection(self._target)
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for side in (source, sink):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
                side.close()

    def close(self) -> None:
        # shutdown, because close alone does not wake a blocked accept.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


async def test_every_event_is_stored_and_acknowledged(
    publisher: Publisher, make_reader: MakeReader, warehouse: Client, warehouse_url: str, redis_url: str, fill: MakeFill
) -> None:
    await publisher.publish_many(FILL_EVENTS, [fill(n) for n in range(300)])
    recorder = Recorder(make_reader("one"), Writer(warehouse_url), max_rows=100, max_wait_s=0.1)
    await record_until(recorder, recorded(recorder, 300))
    assert count_events(warehouse) == 300
    assert len(load_trades(warehouse, limit=1000)) == 300
    with connect_now(redis_url) as client:
        assert client.xpending(FILL_EVENTS, "recorder")["pending"] == 0
        assert trim(client, FILL_EVENTS, keep_ms=-10_000, required=["recorder"]) == 300


async def test_event_published_twice_counts_once(
    publisher: Publisher, make_reader: MakeReader, warehouse: Client, warehouse_url: str, fill: MakeFill
) -> None:
    recorder = Recorder(make_reader("one"), Writer(warehouse_url), max_rows=1, max_wait_s=0)
    for _ in range(2):
        await publisher.publish(FILL_EVENTS, fill(1))
        await publisher.publish(FILL_EVENTS, fill(2))
    await record_until(recorder, recorded(recorder, 4))
    assert count_events(warehouse) == len(load_events(warehouse)) == len(load_trades(warehouse)) == 2


async def test_crash_after_insert_counts_once(
    publisher: Publisher, make_reader: MakeReader, warehouse: Client, warehouse_url: str, fill: MakeFill
) -> None:
    """Killed between the insert and the acknowledgement: the next start inserts the same rows again."""
    await publisher.publish_many(FILL_EVENTS, [fill(n) for n in range(5)])
    reader = make_reader("one")
    recorder = Recorder(reader, Writer(warehouse_url))
    for message in await reader.read():
        await recorder._take(message)
    recorder._writer.write(recorder._batch)
    assert count_events(warehouse) == 5
    again = Recorder(make_reader("one"), Writer(warehouse_url), max_wait_s=0)
    await record_until(again, recorded(again, 5))
    assert count_events(warehouse) == 5


async def test_clickhouse_down_loses_nothing(
    publisher: Publisher, make_reader: MakeReader, warehouse: Client, warehouse_url: str, redis_url: str, fill: MakeFill
) -> None:
    gate = Gate(warehouse_url)
    recorder = Recorder(make_reader("one"), Writer(gate.url), max_rows=10, max_wait_s=0.05)
    await publisher.publish_many(FILL_EVENTS, [fill(n) for n in range(20)])

    async def done() -> bool:
        if gate.refused >= 2 and not gate.is_open:
            assert recorder.recorded == 0
            with connect_now(redis_url) as client:
                assert trim(client, FILL_EVENTS, keep_ms=-10_000, required=["recorder"]) == 0
            await publisher.publish_many(FILL_EVENTS, [fill(n) for n in range(20, 40)])
            gate.is_open = True
        return recorder.recorded >= 40

    await record_until(recorder, done)
    gate.close()
    assert count_events(warehouse) == 40


async def test_stop_while_clickhouse_is_down_keeps_the_messages(
    publisher: Publisher, make_reader: MakeReader, warehouse: Client, warehouse_url: str, fill: MakeFill
) -> None:
    gate = Gate(warehouse_url)
    recorder = Recorder(make_reader("one"), Writer(gate.url), max_wait_s=0)
    await publisher.publish(FILL_EVENTS, fill(1))

    async def refused() -> bool:
        return gate.refused > 0

    await record_until(recorder, refused)
    gate.close()
    assert recorder.recorded == 0
    again = Recorder(make_reader("one"), Writer(warehouse_url), max_wait_s=0)
    await record_until(again, recorded(again, 1))
    assert count_events(warehouse) == 1


async def test_what_cannot_be_a_row_is_dead_lettered(
    publisher: Publisher, make_reader: MakeReader, warehouse: Client, warehouse_url: str, redis_url: str, fill: MakeFill
) -> None:
    await publisher.publish(FILL_EVENTS, fill(1, shares="1E+30"))
    await publisher.publish(FILL_EVENTS, fill(2, price="0.1234567890123456789"))
    await publisher.publish(FILL_EVENTS, fill(3))
    recorder = Recorder(make_reader("one"), Writer(warehouse_url), max_wait_s=0)
    await record_until(recorder, recorded(recorder, 1))
    assert [event.event_id.int for event in load_events(warehouse)] == [3]
    with connect_now(redis_url) as client:
        reasons = [letter.reason for letter in load_dead_letters(client, FILL_EVENTS)]
    assert len(reasons) == 2
    assert all("does not fit the trade log" in reason for reason in reasons)


def test_schema_is_applied_once_and_again(warehouse: Client) -> None:
    assert apply_schema(warehouse) == apply_schema(warehouse) == 1
    steps = warehouse.query("SELECT version FROM schema_version").result_rows
    assert [tuple(step) for step in steps] == [(1,)]


@pytest.mark.parametrize("url", ["clickhouse://h/d", "http:///d", "http://h:1/a-b", "http://h:1/x;DROP"])
def test_unusable_addresses_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="CLICKHOUSE_URL"):
        Writer(url)._connected()
