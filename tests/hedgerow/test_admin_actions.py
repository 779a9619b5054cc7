"""Actions of the admin beyond accounts and strategies: the stop, alerts, orders, limits. Each asks for a reason, checks
the role, leaves an audit entry, and without either changes nothing."""

import html
import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.models import Desk, Order
from alerts.kinds import title_of
from alerts.models import Alert
from alerts.raising import raise_alert
from identity.models import AuditEntry, User
from identity.roles import record_role_permissions
from markets.models import Market, MarketLimit, VenueState
from tests.admin_office import address_of
from tests.desk_rows import add_fills, make_desk
from trading.enums import Severity

pytestmark = pytest.mark.django_db(transaction=True)
DESK = address_of(Desk, "1/")


@pytest.fixture
def roles() -> None:
    record_role_permissions()


@pytest.fixture
def order(redis_url: str) -> Order:
    """An accepted order of an account, a quarter of an hour old."""
    now = timezone.now() - timedelta(minutes=15)
    add_fills(make_desk(now), now, 1)
    row: Order = Order.objects.get()
    Order.objects.filter(pk=row.pk).update(status="accepted", filled=0, submitted_at=now)
    return row


def audited(action: str) -> list[tuple[str, str, str]]:
    return list(AuditEntry.objects.filter(action=action).values_list("who", "reason", "source"))


def test_stop_shows_every_level_then_stops(office: Client, redis_url: str) -> None:
    make_desk(timezone.now())
    with connection.cursor() as cursor:  # an engine that gives its word to any stop
        cursor.execute("UPDATE accounts_enginelease SET generation_seen = 1000000, renewed_at = now()")
    page = office.get(f"{DESK}stop-desk/").content.decode()
    for level in ("hedge_only", "no_new", "cancel_all", "flatten"):
        assert f'value="{level}"' in page
    assert "engine:1:test" in page
    assert "This touches 1 desk:" in page
    assert "<strong>the desk, trading</strong>" in page
    assert page.count("At the venues, resting or of unknown outcome: no orders") == 1
    assert "Hedges only. Hedges still leave." in page, "what a level means stands at its choice"
    assert "no holdings to sell" in page
    office.post(f"{DESK}stop-desk/", {"confirmed": "yes", "level": "cancel_all", "reason": ""})
    office.post(f"{DESK}stop-desk/", {"confirmed": "yes", "level": "", "reason": "no level"})
    assert not Desk.objects.get().stopped, "neither without a reason nor without a level"
    office.post(f"{DESK}stop-desk/", {"confirmed": "yes", "level": "cancel_all", "reason": "venue is odd"})
    desk = Desk.objects.get()
    assert (desk.stopped, desk.level, desk.reason) == (True, "cancel_all", "venue is odd")
    assert audited("desk.stopped") == [("operator", "venue is odd", "admin")]
    milder = {"confirmed": "yes", "level": "no_new", "reason": "milder"}
    assert b"would loosen it" in office.post(f"{DESK}stop-desk/", milder, follow=True).content
    office.post(f"{DESK}lift-stop/", {"confirmed": "yes", "reason": "it is over"})
    assert not Desk.objects.get().stopped
    assert audited("desk.lifted") == [("operator", "it is over", "admin")]


def test_trader_stops_and_cannot_lift(client: Client, trader: User, roles: None, redis_url: str) -> None:
    client.force_login(trader)
    client.post(f"{DESK}stop-desk/", {"confirmed": "yes", "level": "no_new", "reason": "drill"})
    assert Desk.objects.get().stopped
    assert client.post(f"{DESK}lift-stop/", {"confirmed": "yes", "reason": "mischief"}).status_code == 403
    assert Desk.objects.get().stopped


def test_venue_and_limits_are_changed_with_a_reason(office: Client, redis_url: str) -> None:
    make_desk(timezone.now())
    venue = {"confirmed": "yes", "platform": "predict", "state": "halted"}
    office.post(f"{DESK}change-venue/", venue | {"reason": ""})
    assert not VenueState.objects.exists()
    office.post(f"{DESK}change-venue/", venue | {"reason": "maintenance"})
    assert VenueState.objects.values_list("platform", "state").get() == ("predict", "halted")
    assert audited("venue.state_changed") == [("operator", "maintenance", "admin")]
    market = address_of(Market, "predict:100/limit-markets/")
    office.post(market, {"confirmed": "yes", "max_position": "500", "price_band": "", "reason": "thin book"})
    assert MarketLimit.objects.get().max_position == Decimal(500)
    assert audited("market.limit_changed") == [("operator", "thin book", "admin")]


def test_limits_begin_as_they_are_in_boxes_one_sees(office: Client, redis_url: str) -> None:
    make_desk(timezone.now())
    desk, market = f"{DESK}limit-every-market/", address_of(Market, "predict:100/limit-markets/")
    assert "now: any number of shares, any price" in office.get(desk).content.decode()
    told = {"confirmed": "yes", "max_position": "500", "price_band": "", "reason": "thin books"}
    done = office.post(desk, told, follow=True).content.decode()
    assert "Every market: at most 500 shares, any price." in done
    page = office.get(desk).content.decode()
    [shares, price] = [box for box in re.findall(r"<input [^>]*>", page) if 'type="number"' in box]
    assert 'value="500"' in shares, "confirming it as it is takes no limit away"
    assert "value=" not in price
    assert all("border" in box for box in (shares, price)), "a box without a border is invisible"
    assert "no limit of its own" in office.get(market).content.decode()
    done = office.post(market, told | {"max_position": "", "price_band": "0.1"}, follow=True).content.decode()
    assert "shares as in every market, at most 0.1 from the mark." in done
    assert 'value="0.1"' in office.get(market).content.decode()


def test_alerts_are_acknowledged_with_a_reason(office: Client, redis_url: str) -> None:
    alert_id = raise_alert(Severity.WARNING, "unhedged", "predict-01", "for a test")
    step = {"action": "acknowledge_alerts", "_selected_action": [str(alert_id)]}
    page = office.post(address_of(Alert), step).content.decode()
    assert "predict-01" in page
    assert f"<li>{title_of('unhedged')}: for a test</li>" in page
    office.post(address_of(Alert), step | {"confirmed": "yes", "reason": ""})
    assert Alert.objects.get().acknowledged_at is None
    office.post(address_of(Alert), step | {"confirmed": "yes", "reason": "seen, hedged by hand"})
    assert Alert.objects.get().acknowledged_by.username == "operator"  # type: ignore[union-attr]
    assert audited("alert.acknowledged") == [("operator", "seen, hedged by hand", "admin")]


def test_order_is_cancelled_with_a_reason(office: Client, order: Order) -> None:
    step = {"action": "cancel_orders", "_selected_action": [str(order.pk)]}
    page = office.post(address_of(Order), step).content.decode()
    assert "accepted, 0 of" in page
    assert ">Cancel at the venue</button>" in page
    assert ">Go back</a>" in page
    assert ">Cancel<" not in page, "nobody has to guess which of two cancels the order"
    office.post(address_of(Order), step | {"confirmed": "yes", "reason": ""})
    assert Order.objects.get().cancel_requested_at is None
    office.post(address_of(Order), step | {"confirmed": "yes", "reason": "wrong price"})
    assert Order.objects.get().cancel_requested_at is not None
    assert audited("order.cancel_requested") == [("operator", "wrong price", "admin")]


def test_unknown_order_is_resolved_by_evidence_only(office: Client, order: Order) -> None:
    page = address_of(Order, f"{order.pk}/resolve-orders/")
    assert b"there is nothing to resolve" in office.get(page).content
    Order.objects.filter(pk=order.pk).update(status="unknown")
    shown = html.unescape(office.get(page).content.decode())
    assert f"{order.account} on Predict, {order.market}" in shown
    assert "signed as" in shown
    told = {"confirmed": "yes", "found": "ended", "reference": "", "reason": "the venue lists it as expired"}
    refused = office.post(page, told).content.decode()
    assert "Give what can be looked up" in refused
    assert "the venue lists it as expired" in refused, "what was typed is kept"
    refused = office.post(page, told | {"reference": "ticket 12", "reason": "gone"}).content.decode()
    assert 'value="ticket 12"' in refused
    assert Order.objects.get().status == "unknown"
    office.post(page, told | {"reference": "ticket 12"})
    assert Order.objects.get().status == "cancelled"
    assert audited("order.resolved") == [("operator", "the venue lists it as expired", "admin")]


def test_viewer_can_do_none_of_this(client: Client, viewer: User, roles: None, order: Order) -> None:
    viewer.is_staff = True
    viewer.save()
    client.force_login(viewer)
    alert_id = raise_alert(Severity.WARNING, "unhedged", "predict-01", "for a test")
    done = {"confirmed": "yes", "reason": "mischief", "level": "no_new", "platform": "predict", "state": "halted"}
    tails = (f"{DESK}stop-desk/", f"{DESK}lift-stop/", f"{DESK}reduce-desk/", f"{DESK}change-venue/",
             address_of(Order, f"{order.pk}/cancel-orders/"), address_of(Order, f"{order.pk}/resolve-orders/"),
             address_of(Alert, f"{alert_id}/acknowledge-alerts/"),
             address_of(Market, "predict:100/limit-markets/"))  # fmt: skip
    for address in tails:
        assert client.post(address, done).status_code == 403, address
    assert not AuditEntry.objects.exists()
    assert not Desk.objects.get().stopped
