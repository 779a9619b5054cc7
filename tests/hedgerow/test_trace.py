"""One fill's trace: its steps in order and timed, its reasons, and the cost of the page."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from hedgerow.trace import WIDTH, place, steps_of
from markets.history import COLUMNS, warehouse
from strategies.models import Decision
from tests.desk_rows import add_fills, make_desk, make_fill

FRAGMENT = {"HX-Request": "true"}


@pytest.fixture
def now(db: None) -> datetime:
    return timezone.now()


@pytest.fixture
def viewing(client: Client, viewer: object) -> Client:
    client.force_login(viewer)  # type: ignore[arg-type]
    return client


def test_steps_are_timed_from_arrival(now: datetime) -> None:
    fill, order = make_fill(make_desk(now).exposures[0], now, 3, latency_us=2_140)
    steps = place(steps_of(fill, order, []))
    assert [step.what for step in steps] == ["Fill arrived", "Recorded", "Decided", "Order left", "Venue answered"]
    assert [step.since_us for step in steps][:4] == [0, 900, 900, 2_140]
    assert steps[3].took_us == 1_240
    assert sum(step.took_us or 0 for step in steps) == steps[-1].since_us
    assert steps[-1].x + steps[-1].width == pytest.approx(WIDTH, abs=3)


def test_closing_long_after_has_no_bar(now: datetime) -> None:
    """It had one from the left to the right edge: it seemed to begin before the order left."""
    fill, order = make_fill(make_desk(now).exposures[0], now, 3, latency_us=2_140)
    assert order.answered_at is not None
    order.closed_at = order.answered_at + timedelta(seconds=40)
    *timed, closed = place(steps_of(fill, order, []))
    assert (closed.what, closed.x, closed.width) == ("Order closed", WIDTH, 0)
    assert closed.note == "Filled"
    assert [step.x for step in timed] == sorted(step.x for step in timed)
    assert timed[-1].note == "its answer was read", "the order's status of now is not what the venue said then"
    order.closed_at = order.answered_at - timedelta(microseconds=500)
    early = place(steps_of(fill, order, []))[-2]
    assert early.what == "Order closed"
    assert early.x + early.width < WIDTH


def test_order_made_is_not_told_as_none(viewing: Client, now: datetime) -> None:
    exposure = make_desk(now).exposures[0]
    fill, order = make_fill(exposure, now, 3)
    order.save()
    fill.save()
    Decision.objects.create(
        exposure=exposure, cause="fill:3", primary=40, hedged=0, in_flight=0, need=-40, orders=[str(order.pk)],
        reason="dust", at=fill.recorded_at,
    )  # fmt: skip
    for address in (f"/fills/{fill.pk}/trace", f"/strategies/{exposure.strategy_id}/?part=decisions"):
        text = viewing.get(address, headers=FRAGMENT).content.decode()
        assert "Ordered; what is left is too small for the venue&#x27;s minimum and waits for more." in text
        assert "Too small for" not in text
    Decision.objects.update(orders=[])
    text = viewing.get(f"/fills/{fill.pk}/trace").content.decode()
    assert "Too small for the venue&#x27;s minimum; it waits for more." in text


def test_trace_shows_hedge_and_reasons(viewing: Client, now: datetime) -> None:
    exposure = make_desk(now).exposures[0]
    fill, order = make_fill(exposure, now, 3, latency_us=2_140)
    order.save()
    fill.save()
    Decision.objects.create(
        exposure=exposure, cause=f"fill:{fill.trade_id}", primary=40, hedged=0, in_flight=0, need=-40,
        orders=[str(order.pk)], reason="max_order", at=fill.recorded_at,
    )  # fmt: skip
    text = viewing.get(f"/fills/{fill.pk}/trace").content.decode()
    assert "Hedge: buy no 40 @ 0.45 on predict-02" in text
    assert ">2.14<" in text
    assert "The largest order allowed was reached." in text
    assert "SIGNED-BYTES" not in text
    part = viewing.get(f"/fills/{fill.pk}/trace", headers=FRAGMENT).content
    assert b"<html" not in part
    assert f'href="/fills/{fill.pk}/trace"' in viewing.get("/").content.decode()


def test_book_at_the_decision_is_a_ladder(viewing: Client, now: datetime) -> None:
    exposure = make_desk(now).exposures[0]
    fill, order = make_fill(exposure, now, 3)
    order.save()
    fill.save()
    kept = {"at_ms": 1_700_000_000_000, "bids": [["0.54", "12.5"]], "asks": []}
    Decision.objects.create(
        exposure=exposure, cause="fill:3", primary=40, hedged=0, in_flight=0, need=-40, orders=[str(order.pk)],
        book=kept, at=fill.recorded_at,
    )  # fmt: skip
    text = viewing.get(f"/fills/{fill.pk}/trace").content.decode()
    assert ">0.54<" in text
    assert "nobody offered" in text
    assert "22:13:20" in text


def test_decision_without_a_book_shows_the_last_prices(
    viewing: Client, now: datetime, clickhouse_url: str, settings: Settings
) -> None:
    settings.CLICKHOUSE_URL = clickhouse_url
    exposure = make_desk(now).exposures[4]
    fill, order = make_fill(exposure, now, 3)
    order.save()
    fill.save()
    Decision.objects.create(
        exposure=exposure, cause="fill:3", primary=40, hedged=0, in_flight=0, need=-40, orders=[], at=fill.recorded_at
    )
    assert "No prices were kept" in viewing.get(f"/fills/{fill.pk}/trace").content.decode()
    rows = [
        ["predict", "104", now + timedelta(seconds=offset), Decimal(bid), Decimal("0.62"), None]
        for offset, bid in ((-90, "0.41"), (-30, "0.43"), (30, "0.47"))
    ]
    warehouse(clickhouse_url).insert("market_history", rows, column_names=list(COLUMNS))
    text = viewing.get(f"/fills/{fill.pk}/trace").content.decode()
    assert "It looked at no book" in text
    assert ">0.43<" in text
    assert ">0.47<" not in text


def test_fill_without_hedge_says_why(viewing: Client, now: datetime) -> None:
    rows = make_desk(now)
    fill, _ = make_fill(rows.exposures[0], now, 1)
    fill.account = rows.pairs[0].hedge
    fill.save()
    assert "no pair hedges this account" in viewing.get(f"/fills/{fill.pk}/trace").content.decode()
    assert viewing.get("/fills/999999/trace").status_code == 404


def test_query_count_is_the_same_at_any_size(viewing: Client, now: datetime) -> None:
    rows = make_desk(now)
    counts = []
    for _ in range(2):
        fill, order = make_fill(rows.exposures[0], now - timedelta(days=len(counts)), 7_000 + len(counts))
        order.save()
        fill.save()
        with CaptureQueriesContext(connection) as queries:
            viewing.get(f"/fills/{fill.pk}/trace")
        counts.append(len(queries))
        if len(counts) == 1:
            add_fills(rows, now, 300)
    assert counts[0] == counts[1]
