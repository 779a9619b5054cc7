"""The desk page: what it shows, to whom, at what cost in queries."""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.equity import record_equity
from accounts.models import Desk, Fill, Order
from hedgerow.desk import PARTS, answer_fill, load_part, percentile
from hedgerow.templatetags import figures
from tests.desk_rows import add_fills, add_positions, make_desk, make_fill

FRAGMENT = {"HX-Request": "true"}
GOLDEN = {
    "state": 2, "summary": 9, "equity": 4, "health": 3, "alerts": 2, "fleet": 4, "exposures": 1, "fills": 3,
}  # fmt: skip
"""Queries of each part, at any size."""


@pytest.fixture
def now(db: None) -> datetime:
    return timezone.now()


@pytest.fixture
def trader_client(client: Client, trader: object) -> Client:
    client.force_login(trader)  # type: ignore[arg-type]
    return client


def test_every_part_has_a_golden_count() -> None:
    assert GOLDEN.keys() == PARTS.keys()


@pytest.mark.parametrize("part", GOLDEN)
def test_query_count_is_the_same_at_any_size(now: datetime, part: str) -> None:
    rows = make_desk(now, pairs=50)
    add_fills(rows, now, 1_000, spacing=timedelta(seconds=1))
    add_positions(rows, now)
    record_equity(now)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        load_part(part, now)
    assert len(queries) == GOLDEN[part]


def test_an_empty_desk_costs_no_more(now: datetime) -> None:
    for part, count in GOLDEN.items():
        with CaptureQueriesContext(connection) as queries:
            load_part(part, now)
        assert len(queries) <= count


def test_page_shows_fill_hedge_and_milliseconds(trader_client: Client, now: datetime) -> None:
    rows = make_desk(now)
    fill, order = make_fill(rows.exposures[0], now, 3, latency_us=2_140)
    order.save()
    fill.save()
    text = trader_client.get("/").content.decode()
    assert "buy no 40 @ 0.45" in text
    assert "predict-02" in text
    assert ">2.14<" in text
    assert "PAPER" in text
    assert "SIGNED-BYTES" not in text


def test_fragment_has_the_pages_own_address(trader_client: Client, now: datetime) -> None:
    add_fills(make_desk(now), now, 3)
    whole = trader_client.get("/?part=fills")
    part = trader_client.get("/?part=fills", headers=FRAGMENT)
    assert b"<html" in whole.content
    assert b"<html" not in part.content
    assert part.content.count(b'id="fill-') == 3


def test_unknown_part_gives_the_whole_page(trader_client: Client) -> None:
    assert b"<html" in trader_client.get("/?part=secrets", headers=FRAGMENT).content


def test_stranger_is_sent_to_the_login(client: Client, db: None) -> None:
    assert client.get("/").headers["Location"] == "/login/?next=/"
    answer = client.get("/?part=fills", headers=FRAGMENT)
    assert answer.headers["HX-Redirect"] == "/login/"
    assert not answer.content


def test_person_without_a_role_sees_nothing(client: Client, django_user_model: type, db: None) -> None:
    client.force_login(django_user_model.objects.create_user("nobody", password="a-password-of-the-tests"))
    assert client.get("/").status_code == 403


def test_pages_forbid_inline_script_and_style(trader_client: Client, now: datetime) -> None:
    add_fills(make_desk(now), now, 2)
    answer = trader_client.get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    text = answer.content.decode()
    assert not re.findall(r"<script(?![^>]*\bsrc=)", text)
    assert not re.findall(r"<style|\sstyle=|\son\w+=", text)


def test_denied_hedge_shows_its_reason(trader_client: Client, now: datetime) -> None:
    rows = make_desk(now)
    fill, order = make_fill(rows.exposures[0], now, 1, latency_us=None)
    order.save()
    fill.save()
    text = trader_client.get("/").content.decode()
    assert "Denied" in text
    assert "max_order: 10 shares" in text


def test_fill_without_a_pair_says_so(trader_client: Client, now: datetime) -> None:
    rows = make_desk(now)
    fill, _ = make_fill(rows.exposures[0], now, 1)
    fill.account = rows.pairs[0].hedge
    fill.save()
    assert "no pair hedges this account" in trader_client.get("/").content.decode()


def test_fill_of_a_batch_shows_the_shared_hedge(now: datetime) -> None:
    exposure = make_desk(now).exposures[0]
    first, _ = make_fill(exposure, now, 1)
    second, order = make_fill(exposure, now + timedelta(milliseconds=1), 2)
    first.recorded_at = second.recorded_at = order.created_at
    row = answer_fill(first, [exposure], [order])
    assert [leg.is_shared for leg in row.hedges] == [True]
    assert [leg.is_shared for leg in answer_fill(second, [exposure], [order]).hedges] == [False]
    assert row.hedges[0].sent_us == 3_140, "timed from this fill's own arrival"


def test_hedge_after_a_denied_one_is_shown_too(now: datetime) -> None:
    """The strategy was stopped; started again, the sweep hedged what was owed."""
    exposure = make_desk(now).exposures[0]
    fill, denied = make_fill(exposure, now, 1, latency_us=None)
    _, again = make_fill(exposure, now + timedelta(seconds=5), 2, latency_us=None)
    _, sent = make_fill(exposure, now + timedelta(seconds=9), 3)
    _, next_one = make_fill(exposure, now + timedelta(seconds=20), 4)
    again.cause = sent.cause = f"sweep:{exposure.pk}:4"
    assert denied.status == again.status == "denied"
    later = [denied, again, sent, next_one]
    assert [leg.order for leg in answer_fill(fill, [exposure], later).hedges] == [denied, sent]
    assert [leg.is_shared for leg in answer_fill(fill, [exposure], later).hedges] == [False, False]
    assert [leg.order for leg in answer_fill(fill, [exposure], [denied, again]).hedges] == [denied]
    denied.status, denied.filled = "cancelled", Decimal(1)
    assert [leg.order for leg in answer_fill(fill, [exposure], later).hedges] == [denied], "it filled in part"


def test_earlier_hedge_is_not_taken_for_this_fill(now: datetime) -> None:
    exposure = make_desk(now).exposures[0]
    _, earlier = make_fill(exposure, now - timedelta(seconds=3), 1)
    fill, _ = make_fill(exposure, now, 2)
    exposure.reason = "below the minimum"
    row = answer_fill(fill, [exposure], [earlier])
    assert not row.hedges
    assert row.note == "below the minimum"


def test_percentiles_are_values_that_happened() -> None:
    values = list(range(1, 101))
    assert percentile(values, 50) == 50
    assert percentile(values, 99) == 99
    assert percentile([7], 99) == 7
    assert percentile([], 50) is None


def test_profit_carries_sign_and_colour() -> None:
    assert figures.profit(Decimal("12.345")) == '<span class="gain">+12.34</span>'
    assert figures.profit(Decimal("-0.5")) == '<span class="loss">\N{MINUS SIGN}0.50</span>'
    assert figures.profit(Decimal("-0.001")) == "0.00"


@pytest.mark.parametrize(
    ("value", "text"),
    [("1250", "1,250"), ("0.5", "0.5"), ("-3", "\N{MINUS SIGN}3"), ("0", "0"), ("100", "100"), ("0.00004", "0")],
)
def test_shares_show_only_digits_that_count(value: str, text: str) -> None:
    assert figures.shares(Decimal(value)) == text


@pytest.mark.parametrize(
    ("value", "text"), [("21", "21.00"), ("36.99", "36.99"), ("0.4223", "0.4223"), ("0", "0.00"), ("-3", "−3.00")]
)
def test_points_of_a_column_stand_below_each_other(value: str, text: str) -> None:
    assert figures.shares(Decimal(value), 2) == text
    assert figures.signed_shares(Decimal(value), 2) == (text if value in ("0", "-3") else f"+{text}")


@pytest.mark.parametrize(("value", "text"), [("0.5", "0.50"), ("0.55", "0.55"), ("0.123", "0.123"), ("1", "1.00")])
def test_prices_show_at_least_cents(value: str, text: str) -> None:
    assert figures.price(Decimal(value).quantize(Decimal("1e-18"))) == text


def test_times_of_another_day_carry_their_day(now: datetime) -> None:
    assert f">{now:%H:%M:%S}." in figures.clock(now)
    before = now - timedelta(days=1)
    assert f">{before:%Y-%m-%d %H:%M:%S}." in figures.clock(before)


def test_ages_are_in_their_largest_unit() -> None:
    assert figures.in_words(timedelta(seconds=59.9)) == "59 s"
    assert figures.in_words(timedelta(minutes=61)) == "1 h"
    assert figures.in_words(timedelta(days=3, hours=1)) == "3 d"
    assert figures.in_words(timedelta(seconds=-2)) == "0 s"


def test_vendored_files_match_their_hashes() -> None:
    folder = Path(settings.BASE_DIR) / "static" / "vendor"
    listed = re.findall(r"\| `([^`]+)` \|[^|]+\|[^|]+\| `([0-9a-f]{64})`", (folder / "VENDORED.md").read_text())
    assert {name for name, _ in listed} == {file.name for file in folder.glob("*.min.*")}
    for name, digest in listed:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_static_files_are_served_and_cached(client: Client) -> None:
    first = client.get("/static/css/1-tokens.css")
    assert first.status_code == 200
    assert first.headers["Content-Type"].startswith("text/css")
    again = client.get("/static/css/1-tokens.css", headers={"If-Modified-Since": first.headers["Last-Modified"]})
    assert again.status_code == 304
    assert client.get("/static/../manage.py").status_code == 400


@pytest.mark.django_db(transaction=True)
def test_stop_needs_a_preview_and_a_reason(trader_client: Client, redis_url: str) -> None:
    preview = trader_client.get("/desk/stop", headers=FRAGMENT)
    assert b"Engines that must confirm" in preview.content
    refused = trader_client.post("/desk/stop", {"reason": ""})
    assert b"required" in refused.content
    assert not Desk.objects.get(pk=1).stopped
    answer = trader_client.post("/desk/stop", {"reason": "fingers are fat"}, follow=True)
    desk = Desk.objects.get(pk=1)
    assert desk.stopped
    assert desk.reason == "fingers are fat"
    assert b"Stopped: 0 engines confirmed" in answer.content


@pytest.mark.django_db(transaction=True)
def test_stop_names_engines_that_confirmed(trader_client: Client, redis_url: str) -> None:
    rows = make_desk(datetime.now(UTC))
    assert rows
    # A lease that has already seen a later generation has given its word.
    connection.cursor().execute("UPDATE accounts_enginelease SET generation_seen = 1000000, renewed_at = now()")
    answer = trader_client.post("/desk/stop", {"reason": "drill"}, headers=FRAGMENT)
    assert answer.headers["HX-Redirect"] == "/"
    assert "Stopped: 1 engine confirmed" in trader_client.get("/").content.decode()


@pytest.mark.django_db(transaction=True)
def test_only_an_admin_lifts_a_stop(client: Client, trader: object, operator: object, redis_url: str) -> None:
    client.force_login(trader)  # type: ignore[arg-type]
    client.post("/desk/stop", {"reason": "drill"})
    assert b"Lift the stop" not in client.get("/").content
    assert client.post("/desk/lift", {"reason": "let me"}).status_code == 403
    assert Desk.objects.get(pk=1).stopped, "a refused lift lifts nothing"
    client.force_login(operator)  # type: ignore[arg-type]
    assert b"Lift the stop" in client.get("/").content
    client.post("/desk/lift", {"reason": "drill is over"})
    assert not Desk.objects.get(pk=1).stopped


def test_viewer_cannot_stop(client: Client, viewer: object) -> None:
    client.force_login(viewer)  # type: ignore[arg-type]
    assert client.get("/").status_code == 200
    assert b"/desk/stop" not in client.get("/").content
    assert client.post("/desk/stop", {"reason": "why not"}).status_code == 403


def test_stop_refuses_a_forged_request(trader: object) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(trader)  # type: ignore[arg-type]
    assert client.post("/desk/stop", {"reason": "forged"}).status_code == 403
    assert not Desk.objects.filter(stopped=True).exists()


def copy_rows(model: type[models.Model], times: int, changed: dict[str, str], moments: tuple[str, ...]) -> None:
    """Each row of the table `times` more, every copy in its own quarter of an hour before."""
    columns = [field.column for field in model._meta.fields if field.column != "id" or "id" in changed]
    values = [changed.get(name, f"{name} - n * interval '15 min'" if name in moments else name) for name in columns]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {model._meta.db_table} ({', '.join(columns)})"
            f" SELECT {', '.join(values)} FROM {model._meta.db_table}, generate_series(1, {times}) n"
        )


def test_a_hundred_thousand_fills_load_fast(now: datetime) -> None:
    rows = make_desk(now, pairs=50)
    add_fills(rows, now, 1_000, spacing=timedelta(milliseconds=500))
    twin = {"id": "gen_random_uuid()", "order_hash": "md5(order_hash || n)"}
    copy_rows(Order, 99, twin, ("created_at", "sent_at", "updated_at"))
    copy_rows(Fill, 99, {"trade_id": "trade_id || '-' || n"}, ("received_at", "recorded_at"))
    connection.cursor().execute("ANALYZE")
    assert Fill.objects.count() == Order.objects.count() == 100_000
    began = datetime.now(UTC)
    for part in PARTS:
        load_part(part, now)
    assert datetime.now(UTC) - began < timedelta(seconds=1.5)
