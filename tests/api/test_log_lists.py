"""The lists that ClickHouse answers, with ten thousand rows."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from streams.message import Message
from tests.api.conftest import Program
from tests.api.test_lists import MANY, WHO
from trading.enums import Outcome, Platform
from trading.events import FILL_EVENTS, Event, Fill, encode
from warehouse import clickhouse
from warehouse.writer import Batch, Writer

START = datetime(2026, 2, 5, 1, tzinfo=UTC)


@pytest.fixture
def log(clickhouse_url: str, settings: Any) -> Iterator[None]:
    """Ten thousand fills in a database of this test's own."""
    name = f"test_{uuid4().hex}"
    url = settings.CLICKHOUSE_URL = urlunsplit(urlsplit(clickhouse_url)._replace(path=f"/{name}"))
    batch = Batch()
    for n in range(MANY):
        data = Fill(
            account_id="a", account_name="predict-01", market_id="100", side=Outcome.YES,
            price=Decimal("0.55"), shares=Decimal(n + 1), order_hash="0xabc", trade_id=f"t{n}",
        )  # fmt: skip
        event = Event(id=UUID(int=n + 1), timestamp=START + timedelta(seconds=n), platform=Platform.PREDICT, data=data)
        batch.add(Message(FILL_EVENTS, f"{n + 1}-0", encode(event)))
    writer = Writer(url)
    writer.write(batch)
    writer.close()
    yield
    client = clickhouse.connect(url)
    client.command(f"DROP DATABASE {name}")
    client.close()


@pytest.mark.parametrize("path", ["/events", "/trades"])
def test_log_costs_the_same_at_any_size(path: str, log: None, viewer_program: Program) -> None:
    with CaptureQueriesContext(connection) as queries:
        first = viewer_program.get(f"{path}?limit=50")
    assert first.status_code == 200, first.content
    assert len(queries) == WHO
    assert len(first.json()["items"]) == 50
    rest = viewer_program.get(f"{path}?limit=50&cursor={first.json()['next']}").json()["items"]
    assert not {str(row) for row in rest} & {str(row) for row in first.json()["items"]}
