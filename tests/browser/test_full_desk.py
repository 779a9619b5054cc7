"""The planted desk agrees with itself, and has a row for every list."""

from collections import defaultdict
from decimal import Decimal

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import F, Q, Sum

from accounts.close_page import load_progress
from accounts.models import Account, EquityPoint, Fill, Order, Position
from alerts.kinds import AlertKind
from alerts.models import Alert
from identity.models import User
from strategies.models import Exposure
from tests.browser.full_desk import RESERVE, make_full_desk
from tests.browser.full_trades import FILLS, OPENING, UNKNOWN_FOR
from tests.browser.office_pages import MAIN, find_pages
from trading.orders import IN_FLIGHT

pytestmark = pytest.mark.django_db(transaction=True)
FLYING = [status.value for status in IN_FLIGHT]


@pytest.fixture(autouse=True)
def desk(redis_url: str, operator: User) -> None:
    make_full_desk(redis_url)


def test_orders_are_filled_as_their_fills_say() -> None:
    wrong = Order.objects.annotate(booked=Sum("fills__size", default=Decimal(0))).exclude(filled=F("booked"))
    assert not wrong.exists()
    assert Order.objects.filter(status="filled").exclude(filled=F("size")).count() == 0
    assert Order.objects.filter(status="unknown").values_list("filled", "answered_at").get() == (0, None)
    assert Fill.objects.filter(exposure_id__isnull=True).count() > FILLS // 2


def test_exposures_owe_what_is_not_hedged() -> None:
    for exposure in Exposure.objects.select_related("market"):
        mine = Fill.objects.filter(account=exposure.primary_account, market=exposure.market)
        hedges = Fill.objects.filter(exposure_id=exposure.pk)
        flying = Order.objects.filter(exposure_id=exposure.pk, status__in=FLYING)
        left = flying.aggregate(left=Sum(F("size") - F("filled"), default=Decimal(0)))["left"]
        assert exposure.primary == bought(mine)
        assert exposure.hedged == -bought(hedges)
        assert exposure.in_flight == -left
        assert exposure.need == -exposure.primary - exposure.hedged - exposure.in_flight
        assert exposure.unhedged == abs(exposure.primary + exposure.hedged)
        assert (exposure.unhedged_since is None) == (exposure.unhedged == 0)
    assert {row.reason for row in Exposure.objects.filter(unhedged__gt=0)} == {"", "dust", "max_market_position"}


def bought(fills: object) -> Decimal:
    total: dict[str, Decimal] = defaultdict(Decimal)
    for action, size in fills.values_list("action", "size"):  # type: ignore[attr-defined]
        total[action] += size
    return total["buy"] - total["sell"]


def test_balances_and_result_follow_from_the_fills() -> None:
    for account in Account.objects.all():
        moved = Position.objects.filter(account=account).aggregate(cash=Sum("cash", default=Decimal(0)))["cash"]
        assert account.collateral == OPENING + moved
    newest = EquityPoint.objects.first()
    assert newest is not None
    assert newest.realized == Position.objects.aggregate(total=Sum("realized"))["total"]
    assert newest.collateral == Account.objects.aggregate(total=Sum("collateral"))["total"]
    assert Position.objects.filter(size__lt=0).count() == 0


def test_closing_account_still_holds_what_it_has_not_sold() -> None:
    account = Account.objects.get(name=RESERVE)
    first = Order.objects.filter(account=account, origin="closing").order_by("created_at")[0]
    told = load_progress([account.pk], first.created_at)
    assert (told.orders, told.ended, told.wanted, told.sold, told.resting) == (3, 2, 120, 57, 0)
    assert told.held == told.wanted - told.sold


def test_alerts_are_true_of_the_rows() -> None:
    kinds = set(Alert.objects.values_list("kind", flat=True))
    assert kinds <= {kind.value for kind in AlertKind}
    unknown = Alert.objects.get(kind=AlertKind.ORDER_UNKNOWN)
    minutes = UNKNOWN_FOR.total_seconds() // 60
    assert f"Open for {minutes:.0f} min" in unknown.text
    for kind, wanted in (
        (AlertKind.CONNECTION_LOST, Q(connection="unavailable")),
        (AlertKind.ACCOUNT_HALTED, Q(state="halted")),
        (AlertKind.IMBALANCE, Q(imbalances__isnull=False)),
    ):
        names = {
            subject.split(" in ")[0] for subject in Alert.objects.filter(kind=kind).values_list("subject", flat=True)
        }
        assert names == set(Account.objects.filter(wanted).values_list("name", flat=True))


def test_every_list_and_row_of_the_admin_has_something_to_show() -> None:
    pages = [page for page in (*MAIN, *find_pages()) if page.model is not None]
    for page in pages:
        assert page.row()
        assert page.address.startswith("/admin/")
    assert {page.model for page in pages} == {*shown_models(), Group}


def shown_models() -> set[type]:
    """Every model of ours that the admin shows."""
    return {model for model in admin.site._registry if model._meta.app_label != "auth"}
