"""The pages of markets: search, the book or why there is none, the price history."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from markets.history import COLUMNS, load_traded, warehouse
from markets.models import Market
from tests.desk_rows import add_fills, make_desk

FRAGMENT = {"HX-Request": "true"}


@pytest.fixture
def viewer_client(client: Client, viewer: object) -> Client:
    client.force_login(viewer)  # type: ignore[arg-type]
    return client


def test_markets_are_searched_and_filtered(viewer_client: Client) -> None:
    make_desk(timezone.now())
    assert viewer_client.get("/markets/").content.count(b"/markets/predict:") == 5
    assert viewer_client.get("/markets/?q=btc").content.count(b"/markets/predict:") == 1
    part = viewer_client.get("/markets/?part=list&status=closed", headers=FRAGMENT).content.decode()
    assert "No market matches" in part
    assert "<html" not in part


def test_empty_catalogue_says_what_comes(viewer_client: Client) -> None:
    assert "read from the venues every minute" in viewer_client.get("/markets/").content.decode()


def test_unreadable_book_is_said_so(viewer_client: Client) -> None:
    make_desk(timezone.now())
    Market.objects.create(id="polymarket:1", platform="polymarket", market_id="1", title="Elsewhere", status="open")
    for key in ("predict:100", "polymarket:1"):
        assert "The book cannot be read now" in viewer_client.get(f"/markets/{key}/").content.decode()
    assert viewer_client.get("/markets/predict:999/").status_code == 404


def test_only_markets_traded_lately_are_priced(db: None) -> None:
    now = timezone.now()
    rows = make_desk(now)
    assert load_traded(now) == []
    add_fills(rows, now, 2)
    assert [market.pk for market in load_traded(now)] == ["predict:100", "predict:101"]
    assert load_traded(now + timedelta(days=2)) == []


def test_kept_prices_are_drawn(viewer_client: Client, clickhouse_url: str, settings: Settings) -> None:
    now: datetime = timezone.now()
    make_desk(now)
    settings.CLICKHOUSE_URL = clickhouse_url
    rows = [
        ["predict", "100", now - timedelta(minutes=9 - n), Decimal("0.40") + n * Decimal("0.01"), Decimal("0.60"), None]
        for n in range(9)
    ]
    warehouse(clickhouse_url).insert("market_history", rows, column_names=list(COLUMNS))
    part = viewer_client.get("/markets/predict:100/?part=history", headers=FRAGMENT).content.decode()
    assert "<polyline" in part
    assert "0.40 to 0.60" in part
    assert ">0.48<" in viewer_client.get("/markets/?part=list", headers=FRAGMENT).content.decode()
