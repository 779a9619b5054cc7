"""A ClickHouse database and a Redis for each test, both real."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import pytest
import redis.asyncio

from streams.connection import connect, connect_reader
from streams.names import READER_GROUPS, RECORDER
from streams.publisher import Publisher
from streams.reader import GroupReader
from trading.enums import FeeKind, Outcome, Platform
from trading.events import Event, Fill
from warehouse.clickhouse import Client
from warehouse.clickhouse import connect as connect_warehouse

START = datetime(2026, 2, 5, 1, tzinfo=UTC)
MakeFill = Callable[..., Event]


@pytest.fixture
def warehouse_url(clickhouse_url: str) -> Iterator[str]:
    """An empty database of this test's own."""
    name = f"test_{uuid4().hex}"
    url = urlunsplit(urlsplit(clickhouse_url)._replace(path=f"/{name}"))
    yield url
    client = connect_warehouse(url)
    client.command(f"DROP DATABASE {name}")
    client.close()


@pytest.fixture
def warehouse(warehouse_url: str) -> Iterator[Client]:
    client = connect_warehouse(warehouse_url)
    yield client
    client.close()


@pytest.fixture
async def publisher(redis_url: str) -> AsyncIterator[Publisher]:
    client = connect(redis_url)
    yield Publisher(client)
    await client.aclose()


@pytest.fixture
async def make_reader(redis_url: str) -> AsyncIterator[Callable[[str], GroupReader]]:
    clients: list[redis.asyncio.Redis] = []

    def make(name: str) -> GroupReader:
        clients.append(connect_reader(redis_url))
        return GroupReader(clients[-1], RECORDER, name, READER_GROUPS[RECORDER].streams, count=50, block_ms=20)

    yield make
    for client in clients:
        await client.aclose()


@pytest.fixture
def fill() -> MakeFill:
    """The nth of a row of distinct fills, a second apart."""

    def make(number: int, price: str = "0.55", shares: str = "100", market_id: str = "123") -> Event:
        return Event(
            id=UUID(int=number),
            timestamp=START + timedelta(seconds=number, microseconds=123457),
            platform=Platform.PREDICT,
            data=Fill(
                account_id=f"a{number % 2}",
                account_name=f"account{number % 2}",
                market_id=market_id,
                side=Outcome.YES,
                price=Decimal(price),
                shares=Decimal(shares),
                order_hash="0xabc",
                trade_id=f"s{number}:0xabc",
                fee=Decimal("0.736923076923076923"),
                fee_kind=FeeKind.SHARES,
            ),
        )

    return make
