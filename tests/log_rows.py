"""Rows in a ClickHouse of a test's own, for tests of whatever reads the log."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

from streams.message import Message
from trading.enums import FeeKind, Outcome, Platform
from trading.events import FILL_EVENTS, Event, Fill, encode
from warehouse.clickhouse import connect
from warehouse.writer import Batch, Writer

START = datetime(2026, 2, 5, 1, tzinfo=UTC)


@contextmanager
def own_record(clickhouse_url: str, settings: Any) -> Iterator[str]:
    """A database that is gone afterwards, and that the settings name meanwhile."""
    name = f"test_{uuid4().hex}"
    url = urlunsplit(urlsplit(clickhouse_url)._replace(path=f"/{name}"))
    settings.CLICKHOUSE_URL = url
    yield url
    client = connect(url)
    client.command(f"DROP DATABASE {name}")
    client.close()


def write_fills(url: str, count: int) -> None:
    batch = Batch()
    for n in range(count):
        data = Fill(
            account_id=f"a{n % 2}", account_name=f"account{n % 2}", market_id="123", side=Outcome.YES,
            price=Decimal("0.55"), shares=Decimal(n + 1), order_hash="0xabc", trade_id=f"t{n}",
            fee=Decimal("0.25"), fee_kind=FeeKind.SHARES,
        )  # fmt: skip
        event = Event(id=UUID(int=n + 1), timestamp=START + timedelta(seconds=n), platform=Platform.PREDICT, data=data)
        batch.add(Message(FILL_EVENTS, f"{n + 1}-0", encode(event)))
    writer = Writer(url)
    writer.write(batch)
    writer.close()
