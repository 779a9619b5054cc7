"""The pages of markets: search, the book or why there is none, the price history."""

import re
from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from markets.history import COLUMNS, load_traded, warehouse
from markets.models import Market
from markets.querysets import find_market
from markets.tasks import tell
from streams.connection import connect_now
from streams.message import Message
from tests.desk_rows import add_fills, make_desk
from tests.log_rows import own_record
from trading.enums import Outcome, Platform
from trading.events import FILL_EVENTS, Event, Fill, encode
from trading.ids import event_id
from warehouse.writer import Batch, Writer

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
    drawn = viewer_client.get("/markets/predict:100/history.json").json()
    assert (drawn["bid"][-1], drawn["ask"][0], len(drawn["at"])) == ("0.48", "0.6", 9)
    assert 'data-series="bid:gain:Bid ask:loss:Ask"' in viewer_client.get("/markets/predict:100/").content.decode()
    assert ">0.48<" in viewer_client.get("/markets/?part=list", headers=FRAGMENT).content.decode()


def test_our_last_fill_is_shown_to_who_sees_every_account(
    viewer_client: Client, viewer: Any, clickhouse_url: str, settings: Settings
) -> None:
    make_desk(timezone.now())
    with own_record(clickhouse_url, settings) as url:
        write_fill(url, "t1", Outcome.YES, "0.41", timedelta(minutes=3))
        write_fill(url, "t2", Outcome.NO, "0.35", timedelta(minutes=2))
        write_fill(url, "t2", Outcome.NO, "0.35", timedelta(minutes=2))
        write_fill(url, "t0", Outcome.YES, "0.44", timedelta(minutes=9))
        told = re.sub(r"<[^>]+>", " ", viewer_client.get("/markets/?part=list", headers=FRAGMENT).content.decode())
        assert re.search(r"0\.65\s+2 min", told), "the newest one, priced in YES"
        assert "0.41" not in told
        viewer.account_tags = ["maker"]
        viewer.save()
        kept = viewer_client.get("/markets/?part=list", headers=FRAGMENT).content.decode()
        assert "0.65" not in kept
        assert "Our last fill" not in kept, "it may be another's account"


def write_fill(url: str, trade: str, side: Outcome, price: str, ago: timedelta) -> None:
    """One fill in market 100, as the recorder writes it."""
    data = Fill(account_id="a", account_name="predict-01", market_id="100", side=side, price=Decimal(price),
                shares=Decimal(5), order_hash="0x1", trade_id=trade)  # fmt: skip
    event = Event(id=event_id("fill", trade), timestamp=timezone.now() - ago, platform=Platform.PREDICT, data=data)
    batch = Batch()
    batch.add(Message(FILL_EVENTS, "1-0", encode(event)))
    with closing(Writer(url)) as writer:
        writer.write(batch)


def test_market_is_found_by_what_a_person_types(viewer_client: Client) -> None:
    make_desk(timezone.now())
    Market.objects.create(id="polymarket:1", platform="polymarket", market_id="1", title="Elsewhere", status="closed")
    offered = viewer_client.get("/markets/picks?market=rate", headers=FRAGMENT).content.decode()
    assert '<option value="predict:101">Will the rate be cut in December? (predict, open)' in offered
    assert offered.count("<option") == 1
    assert 'value="101"' in viewer_client.get("/markets/picks?market_id=rate&by=id").content.decode()
    everything = viewer_client.get("/markets/picks?q=").content.decode()
    assert everything.count("<option") == 6
    assert everything.rstrip().endswith("(polymarket, closed)</option>"), "those that take orders come first"
    assert [getattr(find_market(typed), "pk", None) for typed in ("predict:101", "101", "elsewhere", "will")] == [
        "predict:101", "predict:101", "polymarket:1", None,
    ]  # fmt: skip
    assert viewer_client.get("/markets/?platform=polymarket").content.count(b"/markets/polymarket:") == 1


def test_sync_is_asked_for_and_followed(client: Client, trader: object, redis_url: str) -> None:
    client.force_login(trader)  # type: ignore[arg-type]
    with connect_now(redis_url) as bus:
        before = bus.llen("celery:worker")
        followed = client.post("/markets/sync", follow=True)
        assert bus.llen("celery:worker") == before + 1
    address = followed.redirect_chain[-1][0]
    token = address.partition("token=")[2]
    assert "0 of 1 venues read: waiting for a worker" in followed.content.decode()
    tell(token, 2, 2, "500 markets read")
    assert "1 of 2 500 markets read" in client.get(address, headers=FRAGMENT).content.decode()
    tell(token, 3, 2, "venues read")
    over = client.get(address, headers=FRAGMENT).content.decode()
    assert "Done: 2 of 2 venues read" in over
    assert "every 500ms" not in over


def test_viewer_asks_for_no_sync(viewer_client: Client) -> None:
    assert "Read them now" not in viewer_client.get("/markets/").content.decode()
    assert viewer_client.post("/markets/sync").status_code == 403
