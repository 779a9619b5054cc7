"""Accounts, orders, markets and first run in a real browser: wizard, CSV, ticket, bulk change, live, small screens."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
import redis
from django.conf import settings
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import Account, Order
from accounts.vault import ensure_vault
from identity.models import User
from streams.publisher import publish_now
from tests.desk_rows import add_fills, add_positions, make_desk
from trading.enums import Platform
from trading.events import ACCOUNT_EVENTS, AccountChanged, Event
from trading.ids import event_id

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LogIn = Callable[..., Page]
FAKE_KEY = "11" * 32
"""An obviously fake private key."""


@pytest.fixture
def desk() -> None:
    now = timezone.now()
    rows = make_desk(now)
    for market in rows.markets:
        market.lot = market.min_size = Decimal("0.01")
        market.fee_rate_bps = 200
        market.save()
    add_fills(rows, now, 120)
    add_positions(rows, now)
    Account.objects.filter(name="predict-03").update(state="halted", state_reason="venue drill", tags=["maker"])
    newest = Order.objects.order_by("-created_at").values_list("pk", flat=True)[1]
    Order.objects.filter(pk=newest).update(status="unknown", reason="no answer within 3 s")


@pytest.fixture
def sealed() -> None:
    ensure_vault(Path(settings.VAULT_PUBLIC_KEY_FILE).parent)


def test_account_is_added_by_wizard(log_in: LogIn, operator: User, sealed: None) -> None:
    page = log_in("operator")
    page.click("nav >> text=Accounts")
    page.click("text=Add the first one")
    page.fill("[name=name]", "first")
    page.click("text=Next")
    page.fill("[name=max_order]", "50")
    page.click("text=Next")
    page.fill("[name=private_key]", FAKE_KEY)
    page.click("main >> text=Add the account")
    expect(page.locator("#account-title")).to_have_text("first")
    assert Account.objects.get().max_order == 50
    assert FAKE_KEY not in page.content()


def test_csv_is_checked_then_imported(log_in: LogIn, operator: User, sealed: None) -> None:
    page = log_in("operator")
    page.goto("/accounts/import")
    right = "name,private_key\n" + "".join(f"a{n},{f'{n:02x}' * 32}\n" for n in range(1, 13))
    wrong = right + "bad,nonsense\n"
    page.set_input_files("[name=file]", {"name": "a.csv", "mimeType": "text/csv", "buffer": wrong.encode()})
    page.click("text=Check it")
    expect(page.locator("#result")).to_contain_text("64 hex digits")
    page.set_input_files("[name=file]", {"name": "a.csv", "mimeType": "text/csv", "buffer": right.encode()})
    page.click("text=Check it")
    expect(page.locator("#result")).to_contain_text("All 12 lines are right")
    assert not Account.objects.exists()
    page.click("text=Make the accounts")
    expect(page.locator("#result")).to_contain_text("12 accounts are made")
    expect(page.locator("#progress")).to_contain_text("12 of 12 made")


def test_marked_accounts_are_halted(log_in: LogIn, trader: User, desk: None) -> None:
    page = log_in("trader")
    page.goto("/accounts/")
    page.check("[aria-label='Mark predict-01']")
    page.check("[aria-label='Mark predict-02']")
    page.click("text=Go on…")
    expect(page.locator("h1")).to_have_text("Change 2 accounts")
    page.fill("[name=reason]", "browser drill")
    page.click("text=Change them")
    expect(page.locator(".notice").first).to_contain_text("2 accounts are halted")
    assert Account.objects.filter(state_reason="browser drill").count() == 2


def test_all_accounts_are_marked_at_once(log_in: LogIn, trader: User, desk: None) -> None:
    page = log_in("trader")
    page.goto("/accounts/")
    page.check("[aria-label='Mark all accounts shown']")
    expect(page.locator("#fleet td.tick input:checked")).to_have_count(10)
    page.uncheck("[aria-label='Mark predict-03']")
    expect(page.locator("#mark-all")).not_to_be_checked()
    page.click("text=Go on…")
    expect(page.locator("h1")).to_have_text("Change 9 accounts")


def test_ticket_is_previewed_and_placed(log_in: LogIn, trader: User, desk: None) -> None:
    page = log_in("trader", java_script_enabled=False)
    page.goto("/orders/")
    page.click("text=New order…")
    page.select_option("[name=account]", label="predict-01")
    page.fill("[name=market]", "predict:100")
    page.fill("[name=shares]", "10")
    page.fill("[name=price]", "0.55")
    page.fill("[name=reason]", "a try")
    page.click("text=Check it")
    expect(page.locator("#preview")).to_contain_text("5.50")
    page.click("text=Place this order")
    expect(page.locator("#order-title")).to_have_text("buy yes 10 @ 0.55")
    assert Order.objects.filter(origin="user").count() == 1


def test_denied_reason_leads_to_its_orders(log_in: LogIn, trader: User, desk: None) -> None:
    refused = Order.objects.order_by("-created_at").values_list("pk", flat=True)[4:7]
    Order.objects.filter(pk__in=list(refused)).update(status="denied", reason="price_band: 0.9 is far from the mark")
    page = log_in("trader")
    page.goto("/orders/")
    expect(page.locator("main")).to_contain_text("Denied here within a day: price_band 3")
    page.click("main >> text=price_band >> nth=0")
    expect(page.locator("#orders tbody tr")).to_have_count(3)


def test_changed_account_shows_without_a_reload(log_in: LogIn, trader: User, desk: None, redis_url: str) -> None:
    page = log_in("trader")
    page.goto("/accounts/")
    page.check("[aria-label='Mark predict-07']")
    expect(page.locator("#link-state")).to_have_text("live")
    page.wait_for_timeout(1_000)
    account = Account.objects.get(name="predict-05")
    Account.objects.filter(pk=account.pk).update(state="reducing")
    told = AccountChanged(account_id=str(account.pk), account_name=account.name, what="state", value="reducing")
    event = Event(id=event_id("a", "1"), platform=Platform.PREDICT, timestamp=timezone.now(), data=told)
    with redis.Redis.from_url(redis_url) as client:
        publish_now(client, ACCOUNT_EVENTS, event)
    expect(page.locator(f"#account-{account.pk}")).to_contain_text("Reducing", timeout=4_000)
    expect(page.locator("[aria-label='Mark predict-07']")).to_be_checked()
