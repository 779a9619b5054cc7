"""The lists that ClickHouse answers, with ten thousand rows."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.api.conftest import Program
from tests.api.test_lists import MANY, WHO
from tests.log_rows import own_record, write_fills


@pytest.fixture
def log(clickhouse_url: str, settings: Any) -> Iterator[None]:
    """Ten thousand fills in a database of this test's own."""
    with own_record(clickhouse_url, settings) as url:
        write_fills(url, MANY)
        yield


@pytest.mark.parametrize("path", ["/events", "/trades"])
def test_log_costs_the_same_at_any_size(path: str, log: None, viewer_program: Program) -> None:
    with CaptureQueriesContext(connection) as queries:
        first = viewer_program.get(f"{path}?limit=50")
    assert first.status_code == 200, first.content
    assert len(queries) == WHO
    assert len(first.json()["items"]) == 50
    rest = viewer_program.get(f"{path}?limit=50&cursor={first.json()['next']}").json()["items"]
    assert not {str(row) for row in rest} & {str(row) for row in first.json()["items"]}
