"""The market sync: rows follow the venue's word, and every change that matters is published once."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import psycopg
import pytest
from django.db import connection

from markets.models import Market
from markets.specs import load_specs, spec_from_row
from markets.sync import record_markets
from trading.enums import MarketStatus, Platform
from trading.events import Event, MarketChanged
from trading.instruments import MarketSpec

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)

SPEC = MarketSpec(
    platform=Platform.PREDICT,
    market_id="123",
    title="Rain on Sunday",
    question="Will it rain on Sunday?",
    slug="rain-sunday",
    category="Weather",
    status=MarketStatus.OPEN,
    yes_token="11" * 38,
    no_token="22" * 38,
    condition_id="0x" + "33" * 32,
    tick=Decimal("0.01"),
    lot=Decimal("0.01"),
    min_size=Decimal(1),
    min_value=Decimal("0.9"),
    fee_rate_bps=200,
    is_neg_risk=True,
    ends_at_ms=1_767_225_600_123,
)


def record(*specs: MarketSpec, gone: tuple[str, ...] = (), now: datetime = NOW) -> list[tuple[str, str, str]]:
    return facts(record_markets(Platform.PREDICT, specs, gone, now)[1])


def facts(events: list[Event]) -> list[tuple[str, str, str]]:
    return [(e.data.market_id, e.data.what, e.data.value) for e in events if isinstance(e.data, MarketChanged)]


@pytest.mark.django_db
def test_spec_survives_the_row_exactly() -> None:
    assert record(SPEC) == [("123", "listed", "open")]
    assert spec_from_row(Market.objects.get(id="predict:123")) == SPEC


@pytest.mark.django_db
def test_same_word_twice_changes_nothing() -> None:
    record(SPEC)
    result, events = record_markets(Platform.PREDICT, [SPEC], (), LATER)
    assert (result.added, result.changed, events) == (0, 0, [])
    assert Market.objects.get().synced_at == LATER


@pytest.mark.django_db
def test_only_what_trading_hangs_on_is_published() -> None:
    record(SPEC)
    changed = msgspec.structs.replace(SPEC, title="Rain!", status=MarketStatus.PAUSED, fee_rate_bps=0)
    assert record(changed, now=LATER) == [("123", "status", "paused"), ("123", "fee_rate_bps", "0")]
    assert Market.objects.get().title == "Rain!"


@pytest.mark.django_db
def test_market_gone_from_the_venue_closes_once() -> None:
    record(SPEC)
    assert record(gone=("123",), now=LATER) == [("123", "status", "closed")]
    assert record(gone=("123",), now=LATER) == []
    assert Market.objects.get().status == "closed"


@pytest.mark.django_db
def test_two_runs_at_once_tell_the_change_under_one_id() -> None:
    record(SPEC)
    changed = msgspec.structs.replace(SPEC, tick=Decimal("0.001"))
    _, first = record_markets(Platform.PREDICT, [changed], (), LATER)
    Market.objects.update(tick=SPEC.tick, synced_at=NOW)
    _, second = record_markets(Platform.PREDICT, [changed], (), LATER)
    assert [event.id for event in first] == [event.id for event in second]


async def test_stub_gives_no_spec_until_synced(database_url: str) -> None:
    row = await Market.objects.acreate(id="predict:123", platform="predict", market_id="123", tick=Decimal("0.01"))
    assert spec_from_row(row) is None
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as conn:
        assert await load_specs(conn, ["predict:123"]) == {}
        await Market.objects.aupdate(synced_at=NOW)
        specs = await load_specs(conn, ["predict:123", "predict:404"])
    assert list(specs) == ["predict:123"]
    assert str(specs["predict:123"].tick) == "0.01"


@pytest.mark.django_db
def test_sync_fills_in_a_stub_and_says_so() -> None:
    Market.objects.create(id="predict:123", platform="predict", market_id="123")
    assert record(SPEC) == [("123", "listed", "open")]
    assert spec_from_row(Market.objects.get()) == SPEC


@pytest.mark.django_db
@pytest.mark.parametrize("platform", ["predict", "polymarket"])
@pytest.mark.parametrize("view", ["accounts", "trades", "positions"])
def test_analyst_views_read_without_secrets(platform: str, view: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {platform}_{view}")
        columns = {column.name for column in cursor.description or ()}
    assert not columns & {"body", "sealed", "proxy_label", "salt"}
    assert "name" in columns or "account_name" in columns
