"""A real Valkey per test module, emptied before each test, and clients on it."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from uuid import UUID

import pytest
import redis
import redis.asyncio

from streams.connection import connect, connect_now, connect_reader
from streams.reader import GroupReader
from tests.streams.valkey_server import ValkeyServer
from trading.events import FILL_EVENTS, AccountChanged, Event

MakeReader = Callable[..., GroupReader]


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    server = ValkeyServer(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def now_client(valkey: ValkeyServer) -> Iterator[redis.Redis]:
    client = connect_now(valkey.url)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
async def client(valkey: ValkeyServer, now_client: redis.Redis) -> AsyncIterator[redis.asyncio.Redis]:
    client = connect(valkey.url)
    yield client
    await client.aclose()


@pytest.fixture
async def make_reader(valkey: ValkeyServer, now_client: redis.Redis) -> AsyncIterator[MakeReader]:
    clients: list[redis.asyncio.Redis] = []

    def make(
        consumer: str = "one", group: str = "strategies", streams: tuple[str, ...] = (FILL_EVENTS,), **options: int
    ) -> GroupReader:
        clients.append(connect_reader(valkey.url))
        return GroupReader(clients[-1], group, consumer, streams, **{"block_ms": 50, **options})

    yield make
    for each in clients:
        await each.aclose()


@pytest.fixture
def event() -> Callable[[int], Event]:
    """The nth of a row of distinct events."""

    def make(number: int) -> Event:
        return Event(
            id=UUID(int=number),
            timestamp=datetime(2026, 2, 5, 1, tzinfo=UTC),
            data=AccountChanged(account_id="a1", account_name="account1", what="balance", value=str(number)),
        )

    return make
