"""The admin in a real browser: every page opens, light and dark, without an error or a policy violation.

An action goes from the list through its confirmation to its audit entry; the strategy form, the stop.

With `HEDGEROW_PICTURES` set to a folder the first two tests leave pictures of the main pages there.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db import connection
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import Account, Desk, Order
from accounts.vault import ensure_vault
from alerts.models import Alert
from alerts.raising import raise_alert
from identity.models import AuditEntry, User
from strategies.models import Exposure, Strategy
from streams.names import FIELD, dead_letter_stream
from streams.replays import Plan, carry_out, record_replay
from tests.admin_office import address_of
from tests.browser.driver import KINDS, leave_picture
from tests.browser.stops import ADMIN
from tests.browser.test_every_page import find_faults
from tests.desk_rows import add_fills, add_positions, make_desk
from trading.enums import Severity
from trading.events import FILL_EVENTS, TRADE_EVENTS

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LogIn = Callable[..., Page]
TOO_WIDE = """[...document.querySelectorAll("#content *")]
    .filter(one => !one.closest(".desk-scroll, .overflow-x-auto"))
    .filter(one => one.getBoundingClientRect().right > 390 || one.matches("li, p, td, th, dd, h2") &&
      one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX === "visible")
    .slice(0, 5).map(one => `${one.tagName} ${one.className} ${one.textContent.trim().slice(0, 40)}`)"""
REPLAY = "0" * 32
"""The token of a replay that is under way."""
OURS = ("identity", "alerts", "markets", "accounts", "strategies", "bot")


@pytest.fixture
def desk(redis_url: str) -> None:
    """A busy desk: fills with hedges, positions, alerts, a halted account, an order nobody knows the fate of."""
    now = timezone.now()
    rows = make_desk(now)
    add_fills(rows, now, 120, spacing=timedelta(seconds=20))
    add_positions(rows, now)
    raise_alert(Severity.CRITICAL, "unhedged", "predict-01", "30 shares have been unhedged for 90 s", now=now)
    raise_alert(Severity.WARNING, "proxy_down", "predict-04", "its proxy does not answer", now=now)
    Account.objects.filter(name="predict-03").update(state="halted", state_reason="venue drill", tags=["maker"])
    newest = Order.objects.order_by("-created_at").values_list("pk", flat=True)[1]
    Order.objects.filter(pk=newest).update(status="unknown", reason="no answer within 3 s", submitted_at=now)
    ensure_vault(Path(settings.VAULT_PUBLIC_KEY_FILE).parent)
    with redis.Redis.from_url(redis_url) as bus:
        for number in range(112):
            last = plant(bus, TRADE_EVENTS, b'{"type": "order_update", "data": {"n": %d}}' % number, "database away")
        reason = "the database is back"
        replay = record_replay(bus, REPLAY, Plan(TRADE_EVENTS, last, (), 112, "operator", reason))
        next(carry_out(bus, replay))  # and the rest is still to come
        plant(bus, FILL_EVENTS, b'{"type": "fill", "data": {"trade_id": "t-1"}}', "no account a1")
        plant(bus, FILL_EVENTS, b"\xff", "not JSON")


def plant(bus: redis.Redis, stream: str, body: bytes, why: str) -> str:
    """A dead letter; its entry id."""
    told = {FIELD: body, b"group": b"strategies", b"reason": why, b"original_id": b"1-1", b"deliveries": b"5"}
    return bus.xadd(dead_letter_stream(stream), told).decode()


def main_pages() -> dict[str, str]:
    account = Account.objects.get(name="predict-02")
    order = Order.objects.get(status="unknown")
    strategy = Strategy.objects.get()
    return {
        "index": "/admin/",
        "accounts": address_of(Account),
        "account": address_of(Account, f"{account.pk}/change/"),
        "account-add": address_of(Account, "add/"),
        "account-secrets": address_of(Account, f"{account.pk}/replace-secrets/"),
        "account-close": address_of(Account, f"{account.pk}/close-accounts/"),
        "orders": address_of(Order),
        "order": address_of(Order, f"{order.pk}/change/"),
        "order-resolve": address_of(Order, f"{order.pk}/resolve-orders/"),
        "fills": "/admin/accounts/fill/",
        "positions": "/admin/accounts/position/",
        "strategies": address_of(Strategy),
        "strategy": address_of(Strategy, f"{strategy.pk}/change/"),
        "exposures": "/admin/strategies/exposure/",
        "alerts": "/admin/alerts/alert/",
        "desk-stop": address_of(Desk, "1/stop-desk/"),
        "dead-letters": "/admin/dead-letters/",
        "replay": f"/admin/dead-letters/{REPLAY}/",
        "vault": "/admin/vault/",
        "audit": address_of(AuditEntry),
        "person": address_of(User, f"{User.objects.get(username='operator').pk}/change/"),
    }


def other_pages() -> list[str]:
    """Every list, and the first row of each."""
    pages = []
    for model in (model for label in OURS for model in apps.get_app_config(label).get_models()):
        pages.append(address_of(model))
        row = model._default_manager.first()
        if row is not None and model in admin.site._registry:
            pages.append(address_of(model, f"{quote(str(row.pk))}/change/"))
    return pages


def walk(page: Page) -> Iterator[str]:
    """Come to each main page; its name."""
    for name, address in main_pages().items():
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 200
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        yield name
    page.goto("/admin/dead-letters/")
    page.locator("[name=letter]").nth(1).check()
    page.get_by_role("button", name="Replay the marked…").click()
    expect(page.locator(".desk-rows")).to_contain_text("no account a1")
    yield "dead-letters-replay"


@pytest.mark.parametrize("kind", ["light", "dark"])
def test_every_admin_page_opens_without_an_error(log_in: LogIn, operator: User, desk: None, kind: str) -> None:
    scheme, width = KINDS[kind]
    page = log_in("operator", viewport={"width": width, "height": 900}, color_scheme=scheme)
    seen = []
    for name in walk(page):
        expect(page.locator("body")).to_contain_text("PAPER")
        leave_picture(page, f"admin-{name}-{kind}")
        seen.append(name)
    assert sorted(seen) == sorted(ADMIN)
    for address in other_pages():
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 200, address
        expect(page.locator("body")).to_contain_text("PAPER")


def test_phone_fits_the_admin(log_in: LogIn, operator: User, desk: None) -> None:
    page = log_in("operator", viewport={"width": 390, "height": 844})
    for name in walk(page):
        assert not page.evaluate(TOO_WIDE), f"{name} is cut off, or scrolls sideways"
        leave_picture(page, f"admin-{name}-phone")


def test_accounts_are_halted_from_the_list(log_in: LogIn, operator: User, desk: None) -> None:
    page = log_in("operator")
    page.goto(address_of(Account))
    page.locator("input.action-select[name=_selected_action]").nth(0).check()
    page.locator("input.action-select[name=_selected_action]").nth(1).check()
    page.select_option("select[name=action]", "halt_accounts")
    page.get_by_role("button", name="Run").click()
    expect(page.locator(".desk-rows")).to_contain_text("predict-02")
    expect(page.locator(".desk-rows")).to_contain_text("orders in flight")
    page.locator("form.desk-form button[type=submit]").click()
    assert not Account.objects.filter(state_reason="browser drill").exists(), "the browser asks for a reason first"
    page.fill("[name=reason]", "browser drill")
    page.locator("form.desk-form button[type=submit]").click()
    expect(page.locator("body")).to_contain_text("predict-01 sends nothing from now on.")
    assert Account.objects.filter(state="halted", state_reason="browser drill").count() == 2
    assert AuditEntry.objects.filter(action="account.state_changed", reason="browser drill").count() == 2


def test_account_is_acted_on_from_its_page(log_in: LogIn, operator: User, desk: None) -> None:
    page = log_in("operator", viewport={"width": 1440, "height": 900})
    page.goto(address_of(Account, f"{Account.objects.get(name='predict-03').pk}/change/"))
    page.locator("#main a", has_text="Actions").last.click()
    page.get_by_text("Enable (activate)…").click()
    page.fill("[name=reason]", "drill is over")
    page.locator("form.desk-form button[type=submit]").click()
    expect(page.locator("body")).to_contain_text("predict-03 trades from now on.")
    assert Account.objects.get(name="predict-03").state == "active"


def test_strategy_is_changed_by_its_form(log_in: LogIn, operator: User, desk: None) -> None:
    page = log_in("operator")
    strategy = Strategy.objects.get()
    page.goto(address_of(Strategy, f"{strategy.pk}/change/"))
    page.fill("[name=config-max_loss]", "0.02")
    page.fill("#strategy_form [name=reason]", "wider")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("body")).to_contain_text("is changed; it holds from the next event on.")
    strategy.refresh_from_db()
    assert (strategy.config["max_loss"], strategy.version) == ("0.02", 2)


def test_desk_is_stopped_at_a_level_with_a_reason(log_in: LogIn, operator: User, desk: None) -> None:
    with connection.cursor() as cursor:  # an engine that gives its word to any stop
        cursor.execute("UPDATE accounts_enginelease SET generation_seen = 1000000, renewed_at = now()")
    page = log_in("operator")
    page.goto(address_of(Desk, "1/stop-desk/"))
    page.get_by_label("Cancel everything").check()
    page.fill("[name=reason]", "browser drill")
    page.locator("form.desk-form button[type=submit]").click()
    expect(page.locator("body")).to_contain_text("Stopped at cancel_all")
    assert Desk.objects.get().level == "cancel_all"
    page.goto("/admin/")
    expect(page.locator(".desk-tiles")).to_contain_text("Cancel everything: browser drill")


def test_what_matters_is_in_view_and_figures_stand_right(log_in: LogIn, operator: User, desk: None) -> None:
    page = log_in("operator", viewport={"width": 1360, "height": 900}, color_scheme="dark")
    for address, last in (
        (address_of(Account), "reserved_money"), (address_of(Order), "reason"), (address_of(Alert), "kind_title"),
        (address_of(Exposure), "reason"),
    ):  # fmt: skip
        page.goto(address)
        assert (
            page.evaluate("name => document.querySelector(`.column-${name}`).getBoundingClientRect().right", last)
            < 1360
        )
    page.goto(address_of(Account))
    assert page.evaluate("getComputedStyle(document.querySelector('td.field-reserved_money')).textAlign") == "end"
    page.goto("/admin/")
    colours = (
        "[...document.querySelectorAll('.desk-tile .bad, .desk-tile .bad a')].map(one => getComputedStyle(one).color)"
    )
    assert len(set(page.evaluate(colours))) == 1, "a link to what is bad has the colour of what is bad"
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
    assert not [fault for fault in find_faults(page, ["color-contrast"]) if "/admin/" in str(fault)]


def test_phone_title_is_the_rows_name(log_in: LogIn, operator: User, desk: None) -> None:
    page = log_in("operator", viewport={"width": 390, "height": 844})
    page.goto(address_of(Account, f"{Account.objects.get(name='predict-02').pk}/change/"))
    expect(page.locator("h1")).to_have_text("predict-02", use_inner_text=True)
    page.goto(address_of(Strategy, f"{Strategy.objects.get().pk}/change/"))
    box = page.locator(".desk-pair").first.locator("select").first.bounding_box()
    assert box is not None
    assert box["width"] > 250, "an account's name fits"
