"""The desk in a real browser: seen, live, stopped, without JavaScript, on a phone."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
import redis
from django.db import connection
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import Desk
from identity.models import User
from streams.publisher import publish_now
from tests.desk_rows import add_fills, add_positions, make_desk, make_fill
from trading.enums import Outcome, Platform
from trading.events import FILL_EVENTS, Event, Fill
from trading.ids import event_id

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LogIn = Callable[..., Page]


def test_desk_shows_fills_exposures_and_fleet(log_in: LogIn, viewer: User) -> None:
    now = timezone.now()
    rows = make_desk(now)
    add_fills(rows, now, 30)
    add_positions(rows, now)
    page = log_in("viewer")
    expect(page.locator("#fills tbody tr")).to_have_count(25)
    expect(page.locator("#exposures tbody tr")).to_have_count(5)
    expect(page.locator("#fleet tbody tr")).to_have_count(10)
    expect(page.locator(".mode")).to_have_text("PAPER")
    expect(page.locator("#link-state")).to_have_text("live")
    expect(page.get_by_role("link", name="Stop")).to_have_count(0)


def test_recorded_fill_appears_without_a_reload(log_in: LogIn, viewer: User, redis_url: str) -> None:
    now = timezone.now()
    rows = make_desk(now)
    page = log_in("viewer")
    expect(page.locator("#link-state")).to_have_text("live")
    expect(page.locator("#fills")).to_contain_text("No fills yet")
    page.evaluate("document.body.dataset.mark = 'same page'")
    # The socket is open; give the reader its place on the bus.
    page.wait_for_timeout(1_000)
    fill, order = make_fill(rows.exposures[0], timezone.now(), 4, latency_us=2_310)
    order.save()
    fill.save()
    told = Fill(
        account_id=str(fill.account_id), account_name="predict-01", market_id="100", side=Outcome.YES,
        price=fill.price, shares=fill.size, order_hash=fill.order_hash, trade_id=fill.trade_id,
    )  # fmt: skip
    event = Event(id=event_id("fill", "1"), platform=Platform.PREDICT, timestamp=timezone.now(), data=told)
    with redis.Redis.from_url(redis_url) as client:
        publish_now(client, FILL_EVENTS, event)
    expect(page.locator(f"#fill-{fill.pk}")).to_contain_text("2.31", timeout=4_000)
    expect(page.locator("#summary")).to_contain_text("2.31", timeout=4_000)
    assert page.evaluate("document.body.dataset.mark") == "same page"


def test_stop_is_previewed_reasoned_and_pulled(log_in: LogIn, trader: User) -> None:
    make_desk(timezone.now())
    with connection.cursor() as cursor:  # an engine that gives its word to any stop
        cursor.execute("UPDATE accounts_enginelease SET generation_seen = 1000000, renewed_at = now()")
    page = log_in("trader")
    page.click("#state >> text=Stop…")
    expect(page.locator("#stop")).to_contain_text("Accounts that may order")
    expect(page.get_by_label("No new orders")).to_be_checked()
    page.check("[value=cancel_all]")
    assert not Desk.objects.get(pk=1).stopped, "looking stops nothing"
    page.click("text=Stop the desk now")
    assert not Desk.objects.get(pk=1).stopped, "the browser asks for a reason first"
    page.fill("[name=reason]", "browser drill")
    page.click("text=Stop the desk now")
    expect(page.locator(".notice")).to_contain_text("Stopped: 1 engine confirmed")
    expect(page.locator("#state")).to_contain_text("browser drill")
    expect(page.locator("#state >> text=Lift the stop")).to_have_count(0)
    expect(page.locator("#state progress")).to_be_visible()
    assert Desk.objects.get(pk=1).level == "cancel_all"
    page.click("#state >> text=Stop harder")
    expect(page.locator("[value=no_new]")).to_be_disabled()


def test_another_page_sees_the_stop_at_once(log_in: LogIn, trader: User, operator: User) -> None:
    make_desk(timezone.now())
    watching, acting = log_in("operator"), log_in("trader")
    expect(watching.locator("#link-state")).to_have_text("live")
    watching.wait_for_timeout(1_000)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_enginelease SET generation_seen = 1000000, renewed_at = now()")
    acting.click("#state >> text=Stop…")
    acting.fill("[name=reason]", "two pages")
    acting.click("text=Stop the desk now")
    expect(watching.locator("#state")).to_contain_text("two pages", timeout=4_000)
    watching.click("#state >> text=Lift the stop")
    watching.fill("[name=reason]", "drill is over")
    watching.click("text=Trade again")
    expect(watching.locator("#state strong")).to_have_text("Trading")


def test_everything_works_without_javascript(log_in: LogIn, trader: User) -> None:
    now = timezone.now()
    add_fills(make_desk(now), now, 5)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_enginelease SET generation_seen = 1000000, renewed_at = now()")
    page = log_in("trader", java_script_enabled=False)
    expect(page.locator("#fills tbody tr")).to_have_count(5)
    page.click("#state >> text=Stop…")
    expect(page).to_have_url(re.compile("/desk/stop$"))
    page.fill("[name=reason]", "no script")
    page.click("text=Stop the desk now")
    expect(page.locator(".notice")).to_contain_text("Stopped: 1 engine confirmed")
    assert Desk.objects.get(pk=1).reason == "no script"


def test_ended_session_leads_to_the_login(log_in: LogIn, viewer: User, expected: list[str]) -> None:
    expected.append("/ws/pages' failed: Error during WebSocket handshake: Unexpected response code: 403")
    make_desk(timezone.now())
    page = log_in("viewer")
    page.context.clear_cookies()
    page.evaluate("document.body.dispatchEvent(new CustomEvent('desk-changed'))")
    # Not `wait_for_url`: each panel that is refused leads there, and the second one cuts the first one's way short.
    expect(page).to_have_url(re.compile("/login/"), timeout=8_000)


def test_admin_opens_without_errors(log_in: LogIn, operator: User) -> None:
    now = timezone.now()
    add_fills(make_desk(now), now, 20, spacing=timedelta(seconds=1))
    page = log_in("operator")
    for address in ("/admin/", "/admin/accounts/order/", "/admin/accounts/account/add/", "/admin/strategies/strategy/"):
        page.goto(address)
        expect(page.locator("body")).to_contain_text("PAPER")
