"""A market's prices over time, from a real ClickHouse: exact, in even steps, bounded; and what is said without one."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from markets.bars import MOST_BARS
from markets.history import COLUMNS, middle, warehouse
from tests.api.conftest import Program
from tests.desk_rows import DeskRows

NOON = datetime(2026, 2, 5, 12, tzinfo=UTC)
PATH = "/markets/predict:100/history"


@pytest.fixture
def kept(clickhouse_url: str, settings: Any, desk: DeskRows) -> Iterator[None]:
    """Two hours of market 100's prices, one a minute, and some of another's."""
    settings.CLICKHOUSE_URL = clickhouse_url
    client = warehouse(clickhouse_url)
    client.command("TRUNCATE TABLE market_history")
    rows: list[list[Any]] = []
    for minute in range(120):
        bid, ask = Decimal("0.4") + Decimal(minute) / 1000, Decimal("0.6")
        rows.append(["predict", "100", NOON + timedelta(minutes=minute), bid, ask, middle(bid, ask)])
    rows.append(["predict", "101", NOON, Decimal("0.9"), None, None])
    client.insert("market_history", rows, column_names=list(COLUMNS))
    yield
    client.command("TRUNCATE TABLE market_history")


def span(since: datetime, until: datetime, resolution: str) -> str:
    return f"?since={since:%Y-%m-%dT%H:%M:%SZ}&until={until:%Y-%m-%dT%H:%M:%SZ}&resolution={resolution}"


def test_steps_hold_the_last_price_and_the_span(kept: None, viewer_program: Program) -> None:
    told = viewer_program.get(PATH + span(NOON, NOON + timedelta(hours=2), "1h")).json()
    first, second = told["items"]
    assert (first["time"], second["time"]) == ("2026-02-05T12:00:00Z", "2026-02-05T13:00:00Z")
    assert (first["bid"], first["ask"], first["mid"]) == ("0.459", "0.6", "0.5295")
    assert (first["low"], first["high"], first["samples"]) == ("0.5", "0.5295", 60)
    assert second["bid"] == "0.519"


def test_span_is_since_inclusive_until_exclusive(kept: None, viewer_program: Program) -> None:
    told = viewer_program.get(PATH + span(NOON + timedelta(minutes=5), NOON + timedelta(minutes=8), "1m")).json()
    assert [item["bid"] for item in told["items"]] == ["0.405", "0.406", "0.407"]


def test_empty_side_is_null_and_other_markets_stay_out(kept: None, viewer_program: Program) -> None:
    told = viewer_program.get("/markets/predict:101/history" + span(NOON, NOON + timedelta(hours=2), "5m")).json()
    [only] = told["items"]
    assert (only["bid"], only["ask"], only["mid"], only["low"]) == ("0.9", None, None, None)


@pytest.mark.parametrize(
    ("since", "until", "resolution", "code"),
    [
        (NOON, NOON, "1m", "span_empty"),
        (NOON, NOON - timedelta(days=1), "1m", "span_empty"),
        (NOON, NOON + timedelta(minutes=MOST_BARS + 1), "1m", "span_too_long"),
        (NOON, NOON + timedelta(days=1), "2s", "request_invalid"),
    ],
)
def test_span_that_cannot_be_answered_says_why(
    since: datetime, until: datetime, resolution: str, code: str, kept: None, viewer_program: Program
) -> None:
    answer = viewer_program.get(PATH + span(since, until, resolution))
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.json()["detail"]


def test_unknown_market_has_no_history(kept: None, viewer_program: Program) -> None:
    assert viewer_program.get("/markets/predict:none/history").json()["code"] == "market_not_found"


def test_record_away_is_told_and_harms_nothing(viewer_program: Program, desk: DeskRows, settings: Any) -> None:
    settings.CLICKHOUSE_URL = "http://127.0.0.1:9"
    answer = viewer_program.get(PATH)
    assert (answer.status_code, answer.json()["code"]) == (503, "record_away")
    assert viewer_program.get("/markets/predict:100").status_code == 200
