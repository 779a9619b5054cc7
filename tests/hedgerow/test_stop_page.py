"""The stop's page: four levels, each with what it touches; harder is possible, milder is not; how far it has come."""

from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.levels import LEVELS
from accounts.models import Desk, Order, Position
from accounts.stop_preview import preview_levels, preview_stop
from tests.desk_rows import add_fills, make_desk

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def trading(client: Client, trader: object, redis_url: str) -> Client:
    client.force_login(trader)  # type: ignore[arg-type]
    return client


def test_each_level_says_what_it_touches(trading: Client) -> None:
    rows = make_desk(timezone.now())
    add_fills(rows, timezone.now(), 3)
    Order.objects.update(status="accepted", filled=0, size=10, price=Decimal("0.45"))
    Position.objects.create(
        account=rows.pairs[0].primary, market=rows.markets[0], outcome="yes", size=Decimal("12.5"),
        updated_at=timezone.now(),
    )  # fmt: skip
    text = trading.get("/desk/stop").content.decode()
    for level in ("hedge_only", "no_new", "cancel_all", "flatten"):
        assert f'value="{level}"' in text
    assert text.count("3 at the venues, worth 13.50 USDT, stay") == 2
    assert text.count("3 at the venues, worth 13.50 USDT, taken off") == 2
    assert "1 holding, 12.5 shares, sold" in text
    assert not Desk.objects.get(pk=1).stopped


def test_levels_come_from_one_count(trading: Client) -> None:
    """Counted one after the other they contradicted each other while orders moved."""
    rows = make_desk(timezone.now())
    add_fills(rows, timezone.now(), 5)
    hedge, other, *resting = Order.objects.values_list("pk", flat=True)
    Order.objects.filter(pk__in=resting).update(status="accepted", filled=0, size=10, price=Decimal("0.45"))
    Order.objects.filter(pk=hedge).update(status="initialized", filled=0, exposure_id=uuid4())
    Order.objects.filter(pk=other).update(status="submitted", filled=0, exposure_id=None)
    with CaptureQueriesContext(connection) as queries:
        levels = preview_levels()
    assert sum('FROM "accounts_order"' in query["sql"] for query in queries) == 1
    assert len(queries) == 5
    assert levels == [preview_stop(level) for level in LEVELS]
    assert [(told.held_back, told.resting, told.resting_value) for told in levels] == [
        (1, 3, Decimal("13.5")), (2, 3, Decimal("13.5")), (2, 3, Decimal("13.5")), (2, 3, Decimal("13.5")),
    ]  # fmt: skip
    with CaptureQueriesContext(connection) as queries:
        trading.get("/desk/stop")
    assert sum("SUM" in query["sql"] and 'FROM "accounts_order"' in query["sql"] for query in queries) == 1


def test_nothing_is_offered_to_be_lifted_that_is_not_stopped(client: Client, operator: object, redis_url: str) -> None:
    client.force_login(operator)  # type: ignore[arg-type]
    trading = client.get("/desk/lift").content.decode()
    assert "there is nothing to lift" in trading
    assert "Trade again" not in trading
    assert "Stay stopped" not in trading
    client.post("/desk/stop", {"reason": "drill"})
    stopped = client.get("/desk/lift").content.decode()
    assert "Trade again" in stopped
    assert "nothing to lift" not in stopped


def test_stop_grows_harder_but_never_milder(trading: Client) -> None:
    trading.post("/desk/stop", {"reason": "first", "level": "cancel_all"})
    milder = trading.post("/desk/stop", {"reason": "second", "level": "hedge_only"}).content.decode()
    assert "stopped harder than that already" in milder
    assert Desk.objects.get(pk=1).level == "cancel_all"
    offered = trading.get("/desk/stop").content.decode()
    assert offered.count(" disabled") == 2
    trading.post("/desk/stop", {"reason": "third", "level": "flatten"})
    assert Desk.objects.get(pk=1).level == "flatten"


def test_progress_of_clearing_is_on_the_desk(trading: Client) -> None:
    rows = make_desk(timezone.now())
    trading.post("/desk/stop", {"reason": "clear it", "level": "cancel_all"})
    assert "Clear: nothing of ours rests" in trading.get("/").content.decode()
    add_fills(rows, timezone.now(), 4)
    asked = timezone.now()
    ids = list(Order.objects.values_list("pk", flat=True))
    Order.objects.filter(pk__in=ids[:3]).update(status="accepted", filled=0, cancel_requested_at=asked)
    Order.objects.filter(pk=ids[3]).update(status="cancelled", filled=0, cancel_requested_at=asked)
    text = trading.get("/").content.decode()
    assert 'title="cancel_all">Cancel all<' in text
    assert "3 orders still at the venues, 3 asked to be cancelled" in text
    assert '<progress max="4" value="1">' in text
    Order.objects.filter(pk=ids[0]).update(origin="closing")
    text = trading.get("/").content.decode()
    assert "2 orders still at the venues, 2 asked to be cancelled; 1 closing order besides." in text
    Order.objects.filter(pk__in=ids[1:3]).update(status="cancelled")
    assert "Clear: nothing of ours rests at a venue but 1 closing order." in trading.get("/").content.decode()


def test_stopped_desk_is_not_offered_to_trade_on(trading: Client) -> None:
    add_fills(make_desk(timezone.now()), timezone.now(), 1)
    Order.objects.update(status="unknown")
    offered = trading.get("/desk/stop").content.decode()
    assert "Keep trading</a>" in offered
    assert "1 order at the venues nobody knows the fate of: it can still fill." in offered
    trading.post("/desk/stop", {"reason": "first", "level": "cancel_all"})
    offered = trading.get("/desk/stop").content.decode()
    assert "Keep trading" not in offered
    assert "Leave it as it is</a>" in offered
