"""Pages that act on accounts and orders: test a connection, close accounts, resolve an order; and who may not."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from accounts.close_page import load_progress
from accounts.models import Account, ConnectionTest, Order, Position
from identity.models import AuditEntry
from tests.desk_rows import DeskRows, add_fills, make_desk

FRAGMENT = {"HX-Request": "true"}


@pytest.fixture
def rows(db: None) -> DeskRows:
    return make_desk(timezone.now())


@pytest.fixture
def trading(client: Client, trader: object) -> Client:
    client.force_login(trader)  # type: ignore[arg-type]
    return client


@pytest.fixture
def unknown_order(rows: DeskRows) -> Order:
    add_fills(rows, timezone.now() - timedelta(minutes=9), 1)
    Order.objects.update(status="unknown", filled=0, submitted_at=timezone.now() - timedelta(minutes=9))
    return Order.objects.get()


def test_test_is_asked_for_and_followed(trading: Client, rows: DeskRows) -> None:
    account = rows.pairs[0].primary
    assert "Never tested" in trading.get(f"/accounts/{account.pk}/").content.decode()
    answer = trading.post(f"/accounts/{account.pk}/test", headers=FRAGMENT).content.decode()
    assert "<html" not in answer
    assert ConnectionTest.objects.get().account_id == account.pk
    assert "0 of 6 steps" in answer or "Test the connection" in answer
    ConnectionTest.objects.update(status="failed", problem="The key is not the account's.", finished_at=timezone.now())
    shown = trading.get(f"/accounts/{account.pk}/").content.decode()
    assert "The key is not the account&#x27;s." in shown
    assert "every 1s" not in shown, "a test that is over is not polled"


def test_plan_of_closing_orders_nothing(trading: Client, rows: DeskRows) -> None:
    account = rows.pairs[0].primary
    Position.objects.create(
        account=account, market=rows.markets[0], outcome="yes", size=Decimal(30), updated_at=timezone.now()
    )
    shown = trading.get(f"/accounts/close?account={account.pk}").content.decode()
    assert f"Close {account.name}" in shown
    assert "the market takes no orders" in shown or "the venue did not show its book" in shown
    without_reason = trading.post("/accounts/close", {"account": account.pk, "confirm": "1", "max_slippage": "0.05"})
    assert "This field is required" in without_reason.content.decode()
    assert not Order.objects.exists()


def test_closing_is_followed_at_its_address(trading: Client, rows: DeskRows) -> None:
    account = rows.pairs[0].primary
    form = {"account": str(account.pk), "confirm": "1", "max_slippage": "0.05", "seen": "0.05", "reason": "it is over"}
    answer = trading.post("/accounts/close", form, follow=True)
    address = answer.redirect_chain[-1][0]
    assert "Done: 0 of 0 closing orders" in answer.content.decode()
    add_fills(rows, timezone.now(), 1)
    Order.objects.update(account=account, origin="closing", status="partially_filled", size=20, filled=5)
    Order.objects.update(created_at=timezone.now())
    part = trading.get(address, headers=FRAGMENT).content.decode()
    assert "0 of 1 closing order over, 5 of 20 shares sold" in part
    assert "every 1s" in part
    Order.objects.update(status="denied", reason="self_cross: it would trade with our own order")
    refused = trading.get(address, headers=FRAGMENT).content.decode()
    assert "5 of 20 sold, denied: self_cross" in refused
    Order.objects.update(status="filled", filled=20)
    assert load_progress([account.pk], timezone.now() - timedelta(minutes=1)).is_done


def test_marked_accounts_go_on_to_tests_and_closing(trading: Client, rows: DeskRows) -> None:
    ids = [str(rows.pairs[0].primary.pk), str(rows.pairs[0].hedge.pk)]
    to_close = trading.post("/accounts/state", {"account": ids, "state": "close"})
    assert to_close.url.startswith("/accounts/close?account=")
    trading.post("/accounts/state", {"account": ids, "state": "test"})
    assert ConnectionTest.objects.count() == 2
    assert Account.objects.filter(state="active").count() == 10


def test_unknown_order_is_resolved_with_evidence(trading: Client, unknown_order: Order) -> None:
    address = f"/orders/{unknown_order.pk}/resolve"
    assert address in trading.get("/orders/").content.decode()
    shown = trading.get(address).content.decode()
    assert unknown_order.order_hash in shown
    poor = trading.post(address, {"found": "ended", "text": "saw it on the venue's page"}).content.decode()
    assert "give what can be looked up" in poor
    assert Order.objects.get().status == "unknown"
    answer = trading.post(address, {"found": "never_arrived", "text": "no trace at the venue, by hash and by id"})
    assert answer.url == f"/orders/{unknown_order.pk}/"
    assert Order.objects.get().status == "cancelled"
    entry = AuditEntry.objects.get(action="order.resolved")
    assert (entry.who, entry.source) == ("trader", "page")
    again = trading.get(address, follow=True).content.decode()
    assert "there is nothing to resolve" in again


def test_market_without_a_grid_is_told_not_broken(trading: Client, rows: DeskRows) -> None:
    ticket = {
        "account": str(rows.pairs[0].primary_id), "market": "will the rate be cut in december?", "side": "yes",
        "action": "buy", "price": "0.55", "shares": "10", "order_type": "limit", "reason": "by title",
        "client_order_id": "0d3f5b9e-2f7e-4b8e-9a6e-0a1b2c3d4e5f", "check": "1",
    }  # fmt: skip
    assert "the grid of market 101 is not known yet" in trading.post("/orders/new", ticket).content.decode()


def test_viewer_sees_no_way_and_is_refused(
    client: Client, viewer: object, rows: DeskRows, unknown_order: Order
) -> None:
    client.force_login(viewer)  # type: ignore[arg-type]
    account = rows.pairs[0].primary
    shown = client.get(f"/accounts/{account.pk}/").content.decode()
    shown += client.get("/accounts/").content.decode() + client.get(f"/orders/{unknown_order.pk}/").content.decode()
    shown += client.get("/orders/").content.decode() + client.get("/").content.decode()
    for sign in ("/test", "accounts/close", "/resolve", "/cancel", "/desk/stop", 'type="checkbox"', "Change it"):
        assert sign not in shown, sign
    for address in (
        f"/accounts/{account.pk}/test", "/accounts/close", "/accounts/state", f"/orders/{unknown_order.pk}/resolve",
        f"/orders/{unknown_order.pk}/cancel", "/orders/new", "/desk/stop", "/desk/lift", "/accounts/add",
        "/accounts/import", "/strategies/new",
    ):  # fmt: skip
        answer = client.post(address, {"account": str(account.pk), "reason": "I would like to", "confirm": "1"})
        assert answer.status_code == 403, address
    assert not ConnectionTest.objects.exists()
    assert Order.objects.get().status == "unknown"
