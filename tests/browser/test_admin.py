"""Acting in the admin in a real browser: an action goes from the list through its confirmation to its audit entry; the
strategy form, the stop."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import Account, Desk, Order
from accounts.vault import ensure_vault
from alerts.kinds import AlertKind
from alerts.models import Alert
from alerts.raising import raise_alert
from identity.models import AuditEntry, User
from strategies.models import Exposure, Strategy
from tests.admin_office import address_of
from tests.browser.test_every_page import find_faults
from tests.desk_rows import add_fills, add_positions, make_desk
from trading.enums import Severity

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LogIn = Callable[..., Page]


@pytest.fixture
def desk(redis_url: str) -> None:
    """A busy desk: fills with hedges, positions, a halted account and its alert, an order nobody knows the fate of."""
    now = timezone.now()
    rows = make_desk(now)
    add_fills(rows, now, 120, spacing=timedelta(seconds=20))
    add_positions(rows, now)
    Account.objects.filter(name="predict-03").update(state="halted", state_reason="venue drill", tags=["maker"])
    told = "operator halted it: venue drill"
    raise_alert(Severity.WARNING, AlertKind.ACCOUNT_HALTED, "predict-03", told, now=now)
    newest = Order.objects.order_by("-created_at").values_list("pk", flat=True)[1]
    Order.objects.filter(pk=newest).update(
        status="unknown", reason="no answer within 3 s", filled=0, attempts=1, submitted_at=now, answered_at=None
    )
    ensure_vault(Path(settings.VAULT_PUBLIC_KEY_FILE).parent)


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
    page.get_by_label("Cancel all").check()
    page.fill("[name=reason]", "browser drill")
    page.locator("form.desk-form button[type=submit]").click()
    expect(page.locator("body")).to_contain_text("Stopped, Cancel all:")
    assert Desk.objects.get().level == "cancel_all"
    page.goto("/admin/")
    expect(page.locator(".desk-tiles")).to_contain_text("Cancel all: browser drill")


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
    frame = page.locator("[data-simplebar]:has(#result_list)").bounding_box()
    row = page.locator("#result_list tr").last.bounding_box()
    assert frame is not None
    assert row is not None
    assert frame["y"] + frame["height"] >= row["y"] + row["height"] + 11, "the scroll bar lies below the last row"
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
