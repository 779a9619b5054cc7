"""What the worker tells of every ten seconds, over real rows and a real bus; and that it resolves with its cause."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
import redis
from asgiref.sync import sync_to_async

from accounts.ledger.orders import load_orders
from accounts.models import Account, EngineLease, Fill, Order, Reconciliation, SealedSecret
from accounts.reconciliation import STALE_AFTER, TELL_AFTER
from accounts.registration import change_account_state
from accounts.standing import load_standing
from accounts.stop import lift_stop, pull_stop
from accounts.unsettled import SLOW_AFTER
from accounts.watching import ENGINE_MISSING_AFTER, GRAVE_AFTER, MANY, watch_desk
from alerts.models import Alert
from alerts.querysets import load_open
from alerts.raising import acknowledge
from markets.models import Market
from trading.enums import TradingState

NOW = datetime.now(UTC)
Look = Callable[..., dict[str, tuple[str, str]]]


@pytest.fixture
def market(transactional_db: None) -> Market:
    amounts = dict.fromkeys(("tick", "lot", "min_size", "min_value"), Decimal("0.01"))
    return Market.objects.create(
        id="predict:1", platform="predict", market_id="1", title="Rain?", status="open", fee_rate_bps=0, **amounts
    )


@pytest.fixture
def account(market: Market) -> Account:
    return make_account(1)


def make_account(number: int) -> Account:
    """Connected, and with a sealed key; everything long ago."""
    account = Account.objects.create(
        name=f"account {number}", platform="predict", address=f"0x{number:040}", connection="connected"
    )
    SealedSecret.objects.create(account=account, kind="private_key", sealed=b"x", vault_key="x")
    Account.objects.filter(pk=account.pk).update(
        created_at=NOW - timedelta(days=1), connection_at=NOW - timedelta(hours=1)
    )
    return account


@pytest.fixture
def look(redis_url: str, transactional_db: None) -> Look:
    """One look so many seconds after now, with an engine alive; gives the open alerts by kind."""

    def at(seconds: int = 0, *, engine: bool = True) -> dict[str, tuple[str, str]]:
        now = NOW + timedelta(seconds=seconds)
        EngineLease.objects.all().delete()
        if engine:
            EngineLease.objects.create(name="engine", pid=1, generation_seen=0, started_at=now, renewed_at=now)
        watch_desk(now)
        return {alert.kind: (alert.severity, alert.text) for alert in load_open()}

    return at


def make_order(account: Account, **fields: Any) -> Order:
    values: dict[str, Any] = {
        "account": account,
        "market_id": "predict:1",
        "outcome": "yes",
        "action": "buy",
        "price": Decimal("0.4"),
        "size": Decimal(10),
        "status": "unknown",
        "reason": "timeout",
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Order.objects.create(**{**values, **fields})


def test_quiet_desk_raises_nothing(account: Account, look: Look) -> None:
    assert look() == {}


def test_order_unknown_beyond_the_bound(account: Account, look: Look, settings: Any) -> None:
    order = make_order(account)
    assert look(settings.UNKNOWN_ALERT_S - 1) == {}
    severity, text = look(settings.UNKNOWN_ALERT_S + 1)["order_unknown"]
    assert severity == "warning"
    assert "timeout" in text
    assert " (Rain?). The last look said" in text
    assert look(int(GRAVE_AFTER.total_seconds()))["order_unknown"][0] == "critical"
    Order.objects.filter(pk=order.pk).update(status="cancelled")
    assert look(400) == {}


def test_bound_is_a_setting(account: Account, look: Look, settings: Any) -> None:
    settings.UNKNOWN_ALERT_S = 100
    make_order(account)
    assert look(99) == {}
    assert "order_unknown" in look(101)


def test_slow_settlement_is_told_and_not_reversed(account: Account, look: Look) -> None:
    fill = Fill.objects.create(
        account=account,
        market_id="predict:1",
        trade_id="t",
        order_hash="0x1",
        outcome="yes",
        action="buy",
        price=Decimal("0.4"),
        size=Decimal(7),
        received_at=NOW,
        recorded_at=NOW,
    )
    assert look(int(SLOW_AFTER.total_seconds()) - 1) == {}
    assert "1 fills, 7 shares" in look(int(SLOW_AFTER.total_seconds()) + 1)["settlement_slow"][1]
    Fill.objects.filter(pk=fill.pk).update(settlement="settled")
    assert look(90) == {}


def test_stream_lost_beyond_the_bound(account: Account, look: Look, settings: Any) -> None:
    Account.objects.filter(pk=account.pk).update(connection="connecting", connection_at=NOW)
    assert look(settings.CONNECTION_ALERT_S - 1) == {}
    assert look(settings.CONNECTION_ALERT_S + 1)["connection_lost"] == ("warning", "connecting for 61 s.")
    Account.objects.update(connection="connected")
    assert look(70) == {}


def test_whole_venue_lost_is_one_alert(look: Look, market: Market) -> None:
    for number in range(MANY + 1):
        make_account(number)
    Account.objects.update(connection="offline", connection_at=NOW)
    assert f"{MANY + 1} of {MANY + 1} accounts" in look(3600)["connection_lost"][1]
    assert load_open().count() == 1


def test_account_without_a_key_is_not_missed(account: Account, look: Look) -> None:
    SealedSecret.objects.all().delete()
    Account.objects.update(connection="offline")
    assert look(3600) == {}


def test_outage_grows_critical_once_the_truth_is_stale(account: Account, look: Look) -> None:
    Account.objects.update(reconciled_at=NOW)
    Reconciliation.objects.create(
        account=account, checked_at=NOW, unreachable_since=NOW, explanations=["the venue cannot be read: timeout"]
    )
    told, stale = int(TELL_AFTER.total_seconds()), int(STALE_AFTER.total_seconds())
    assert look(told - 1) == {}
    assert look(told + 1)["venue_unreachable"][0] == "warning"
    severity, text = look(stale)["venue_unreachable"]
    assert severity == "critical"
    assert text == (
        "Not compared for 10 min: the venue cannot be read: timeout. Only hedges and orders that reduce leave."
    )
    Reconciliation.objects.update(unreachable_since=None)
    assert look(stale + 1) == {}


def test_missing_engine_is_told_after_a_restarts_time(account: Account, look: Look) -> None:
    bound = int(ENGINE_MISSING_AFTER.total_seconds())
    assert look(0, engine=False) == {}
    assert look(bound - 1, engine=False) == {}
    assert look(bound + 1, engine=False)["engine_missing"][0] == "critical"
    assert look(bound + 2) == {}
    assert look(bound + 3, engine=False) == {}, "counted anew"


def test_dead_letter_that_arrives_later_is_told_again(
    account: Account, look: Look, redis_url: str, operator: Any
) -> None:
    with redis.Redis.from_url(redis_url) as bus:
        bus.xadd("fill_events:dead", {"event": b"x", "reason": b"not an event", "group": b"strategies"})
        assert look()["dead_letters"] == ("warning", "1 on fill_events; the newest: not an event.")
        acknowledge(load_open().get().pk, operator)
        assert look(1) == {}
        later = int((datetime.now(UTC) + timedelta(minutes=1)).timestamp() * 1000)
        bus.xadd("fill_events:dead", {"event": b"y", "reason": b"no price"}, id=f"{later}-0")
        assert look(2)["dead_letters"][1] == "2 on fill_events; the newest: no price."
        bus.delete("fill_events:dead")
    assert look(3) == {}


def test_bus_that_is_away_leaves_the_rest_watched(account: Account, look: Look, settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    make_order(account)
    assert set(look(60)) == {"order_unknown"}


def test_stop_tells_who_why_and_how_far(account: Account, look: Look, operator: Any) -> None:
    pull_stop("no_new", operator, "prices look wrong", ttl_s=0.1)
    assert load_open().get().text == "operator stopped the desk at “No new orders”: prices look wrong"
    acknowledge(load_open().get().pk, operator)
    assert look() == {}, "acknowledged, and still in force"
    pull_stop("cancel_all", operator, "worse", ttl_s=0.1)
    assert "Cancel all" in look(1)["desk_stopped"][1]
    lift_stop(operator, "over")
    assert look(2) == {}
    assert not Alert.objects.filter(resolved_at=None).exists()


def test_stop_whose_alert_was_lost_is_told_by_the_watch(account: Account, look: Look, operator: Any) -> None:
    pull_stop("flatten", operator, "out", ttl_s=0.1)
    Alert.objects.all().delete()
    assert look()["desk_stopped"][0] == "critical"


def test_halted_account_is_told_until_it_trades(account: Account, operator: Any, redis_url: str) -> None:
    change_account_state(account.pk, TradingState.HALTED, by=operator, reason="key may be out")
    alert = load_open().get()
    assert (alert.kind, alert.text) == ("account_halted", "operator halted it: key may be out")
    change_account_state(account.pk, TradingState.ACTIVE, by=operator, reason="it was not")
    assert not load_open().exists()


async def test_age_of_the_truth_is_read_with_the_standing(account: Account, database_url: str) -> None:
    order = await sync_to_async(make_order)(account, status="initialized")
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as conn:
        [row] = await load_orders(conn, [order.pk])
        assert (await load_standing(conn, row, NOW)).is_stale, "never compared since it was made, a day ago"
        await Account.objects.filter(pk=account.pk).aupdate(reconciled_at=NOW - STALE_AFTER + timedelta(seconds=1))
        assert not (await load_standing(conn, row, NOW)).is_stale
