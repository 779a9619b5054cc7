"""Figures on the pages say what they are: the unit of every sum, what is counted, how old it is, what to do."""

import re
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from accounts.equity import record_equity
from accounts.models import Fill, Position
from alerts.models import Alert
from tests.desk_rows import DeskRows, add_fills, add_positions, make_desk, make_fill

FRAGMENT = {"HX-Request": "true"}


@pytest.fixture
def now(db: None) -> datetime:
    return timezone.now()


@pytest.fixture
def rows(now: datetime) -> DeskRows:
    rows = make_desk(now, pairs=2)
    add_fills(rows, now, 4)
    add_positions(rows, now)
    return rows


@pytest.fixture
def trading(client: Client, trader: object) -> Client:
    client.force_login(trader)  # type: ignore[arg-type]
    return client


def words(page: str) -> str:
    """The page's words, one space between them."""
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_fee_says_whether_it_is_shares_or_money(trading: Client, rows: DeskRows, now: datetime) -> None:
    """A taker's purchase pays in shares, a sale in collateral: one column, two units."""
    account = rows.pairs[0].primary
    bought, order = make_fill(rows.exposures[0], now, 90)
    sold, _ = make_fill(rows.exposures[0], now, 91)
    bought.fee, bought.fee_kind = Decimal("0.5128"), "shares"
    sold.fee, sold.fee_kind, sold.action = Decimal("0.2653"), "collateral", "sell"
    order.account = account
    order.save()
    bought.order_id = order.pk
    Fill.objects.bulk_create([bought, sold])
    page = words(trading.get(f"/accounts/{account.pk}/").content.decode())
    assert "0.5128 shares" in page
    assert "0.2653 USDT" in page
    assert "0.5128 shares" in words(trading.get(f"/orders/{order.pk}/").content.decode())


def test_every_sum_has_its_unit(trading: Client, rows: DeskRows, now: datetime) -> None:
    for exposure in rows.exposures:
        exposure.need, exposure.unhedged, exposure.at_risk = Decimal(7), Decimal(3), Decimal("1.5")
        exposure.save()
    Position.objects.update(size=Decimal(10), cost=Decimal(4))
    record_equity(now - timedelta(seconds=20))
    desk = words(trading.get("/").content.decode())
    for told in ("Realized +18.59 USDT collateral ", "Result today ", "Collateral, USDT", "Open, shares"):
        assert told in desk, told
    assert re.search(r"Result in all \S+ USDT realized \S+ USDT, 2\d s ago", desk)
    assert re.search(r"Equity \S+ USDT collateral \S+ USDT, 2\d s ago", desk)
    accounts = words(trading.get("/accounts/").content.decode())
    assert "Free, USDT Reserved, USDT Net shares Realized, USDT" in accounts
    one = words(trading.get(f"/accounts/{rows.pairs[0].primary_id}/").content.decode())
    assert "Cost, USDT Realized, USDT" in one
    strategies = words(trading.get("/strategies/").content.decode())
    assert "Open exposures Unhedged, shares At risk, USDT" in strategies
    market = words(trading.get(f"/markets/{rows.markets[0].pk}/").content.decode())
    assert "worth at least 0.90 USDT" in market


def test_fills_today_say_that_hedges_count(trading: Client, rows: DeskRows) -> None:
    """The tile counts all fills, the minute below it only those that are no hedges."""
    tile = words(trading.get("/", {"part": "summary"}, headers=FRAGMENT).content.decode())
    assert re.search(r"hedges' own included; last full minute: \d+ fills?, \d+ hedge orders?", tile)


def test_alerts_say_what_to_do(trading: Client, now: datetime) -> None:
    for number, kind in enumerate(("imbalance", "settlement_failed", "of_another_build")):
        Alert.objects.create(
            severity="warning", kind=kind, subject=f"predict-0{number}", text="It is so.", dedup_key=kind,
            raised_at=now, last_seen_at=now,
        )  # fmt: skip
    part = words(trading.get("/", {"part": "alerts"}, headers=FRAGMENT).content.decode())
    assert "3 warnings" in part
    assert "Look for trades, transfers or redemptions made outside" in part
    assert "If it repeats, look at the account&#x27;s balance" in part
    Alert.objects.exclude(kind="of_another_build").delete()
    part = words(trading.get("/", {"part": "alerts"}, headers=FRAGMENT).content.decode())
    assert "1 warning " in part
    assert "It is so. 0 s ago" in part


def test_setup_names_its_command(trading: Client, rows: DeskRows) -> None:
    page = trading.get("/setup/").content.decode()
    assert "<code>manage.py rehearse --fills 500</code> makes fills" in page
