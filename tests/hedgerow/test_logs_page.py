"""The logs page and its CSV, over a real ClickHouse, and without one."""

import csv
import io
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from hedgerow.log_page import SHOWN, cell
from hedgerow.log_rows import summary_of
from markets.models import Market
from tests.log_rows import own_record, write_fills

FRAGMENT = {"HX-Request": "true"}


@pytest.fixture
def record(clickhouse_url: str, settings: Any) -> Iterator[str]:
    """A database of this test's own, that the settings name."""
    with own_record(clickhouse_url, settings) as url:
        yield url


@pytest.fixture
def viewing(client: Client, viewer: object) -> Client:
    client.force_login(viewer)  # type: ignore[arg-type]
    return client


def test_logs_are_searched_and_paged(viewing: Client, record: str) -> None:
    write_fills(record, SHOWN + 7)
    first = viewing.get("/logs/")
    assert len(first.context["found"].rows) == SHOWN
    older = viewing.get(f"/logs/?{first.context['found'].following}")
    assert len(older.context["found"].rows) == 7, "no row twice, none lost"
    one = viewing.get("/logs/?account=account1&text=T5%22")
    assert [row.account_name for row in one.context["found"].rows] == ["account1"]
    assert b"Nothing matches" in viewing.get("/logs/?type=no_such_type").content
    part = viewing.get("/logs/?what=trades", headers=FRAGMENT)
    assert b"<html" not in part.content
    assert part.content.count(b"account0") == SHOWN // 2
    assert part.content.count(b'0.25 <span class="soft">shares</span>') == SHOWN


def test_event_is_told_in_words(viewing: Client, record: str) -> None:
    Market.objects.create(id="predict:123", platform="predict", market_id="123", title="Northport vs Eastvale")
    write_fills(record, 1)
    page = viewing.get("/logs/").content.decode()
    assert "<summary>buy yes, price 0.55, shares 1, fee 0.25 shares</summary>" in page
    assert ">Northport vs Eastvale</td>" in page
    assert 'title="Northport vs Eastvale (predict:123)"' in page
    assert "<option>fill_settled</option>" in page, "types are offered"
    assert ">Northport vs Eastvale</td>" in viewing.get("/logs/?what=trades").content.decode()
    assert viewing.get("/logs/?type=fill settled").context["found"].rows == []
    assert b"<time" in viewing.get("/logs/?type=fill").content


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ('{"account_id":"a","what":"state","value":"halted"}', "state halted"),
        ('{"primary":40.10000000000000000001,"rung":0,"reason":""}', "primary 40.1, rung 0"),
        ('{"hedged":-88.673091498540794321,"need":-0.000008501459205679}', "hedged -88.6731, need 0"),
        ('{"fee":0.545957575757575757,"fee_kind":"shares"}', "fee 0.546 shares"),
        ('{"fee":0.285714,"fee_kind":"collateral"}', "fee 0.2857 USDT"),
        ('{"what":"balance","value":"999932.698124"}', "balance 999,932.70 USDT"),
        ('{"what":"balance","value":"unread"}', "balance unread"),
        ('{"address":"0xab","tags":["maker","two"]}', "address 0xab, tags maker two"),
        ('{"order_hash":"0xab"}', "nothing more"),
        ("no JSON", "no JSON"),
    ],
)
def test_summary_says_what_no_column_says(data: str, words: str) -> None:
    assert summary_of(data) == words


@pytest.mark.parametrize("what", ["events", "trades"])
def test_csv_has_every_row_exactly(viewing: Client, record: str, what: str) -> None:
    write_fills(record, 1_203)
    answer = viewing.get(f"/logs.csv?what={what}")
    assert answer.headers["Content-Disposition"].endswith(f'hedgerow-{what}.csv"')
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len({row["event_id"] for row in rows}) == len(rows) == 1_203
    if what == "trades":
        assert rows[0]["shares"] == "1203"
        assert rows[0]["price"] == "0.55"
        assert (rows[0]["fee"], rows[0]["fee_kind"]) == ("0.25", "shares")


def test_logs_say_when_the_record_is_away(viewing: Client) -> None:
    assert b"The desk trades on" in viewing.get("/logs/").content
    assert viewing.get("/logs.csv").status_code == 503


def test_bad_search_is_explained(viewing: Client) -> None:
    assert b"Select a valid choice" in viewing.get("/logs/?stream=secrets").content
    assert viewing.get("/logs.csv?stream=secrets").status_code == 400


def test_stranger_sees_no_logs(client: Client, db: None) -> None:
    for path in ("/logs/", "/logs.csv", "/equity.json", "/fills/1/trace"):
        assert client.get(path).headers["Location"].startswith("/login/")


def test_no_cell_is_a_formula() -> None:
    assert cell("=cmd()") == "'=cmd()"
    assert cell(Decimal("-0.5")) == "-0.5"
    assert cell(None) == ""
