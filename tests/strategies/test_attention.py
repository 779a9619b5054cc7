"""Alerts of exposures and strategies: raised with their cause, resolved when it is gone."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from accounts.models import Account
from alerts.conditions import key_of
from alerts.kinds import KINDS, AlertKind
from alerts.models import Alert
from alerts.querysets import load_open
from alerts.raising import raise_alert
from markets.models import Market
from strategies.attention import resolve_exposure_alerts
from strategies.control import Actor, start_strategy, stop_strategy
from strategies.halting import stop_by_itself
from strategies.models import Exposure, Pair, Strategy
from strategies.reasons import Reason
from strategies.watching import _TOLD

D = Decimal
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
def exposure(db):
    amounts = dict.fromkeys(("tick", "lot", "min_size", "min_value"), D("0.01"))
    Market.objects.create(
        id="predict:1", platform="predict", market_id="1", title="Rain?", status="open", fee_rate_bps=0, **amounts
    )
    primary = Account.objects.create(name="primary", platform="predict", address="0x" + "1" * 40)
    hedge = Account.objects.create(name="hedge", platform="predict", address="0x" + "2" * 40)
    strategy = Strategy.objects.create(name="neutral", state="halted")
    pair = Pair.objects.create(strategy=strategy, primary=primary, hedge=hedge)
    return Exposure.objects.create(
        strategy=strategy,
        pair=pair,
        market_id="predict:1",
        primary_account=primary,
        hedge_account=hedge,
        need=D(-5),
        created_at=NOW,
        updated_at=NOW,
    )


@pytest.mark.parametrize("reason", ["dust_overdue", "rung_stuck", "no_account", "market_closed", "rejected:no_balance"])
def test_alert_ends_with_the_exposures_reason(exposure, reason):
    kind = AlertKind.HEDGE_REJECTED if reason.startswith("rejected") else AlertKind(reason)
    Exposure.objects.update(reason=reason)
    raise_alert(KINDS[kind].severity, kind, "s", "t", dedup_key=key_of(kind, str(exposure.pk)))
    assert resolve_exposure_alerts(NOW) == 0
    Exposure.objects.update(reason="hedged")
    assert resolve_exposure_alerts(NOW) == 1
    assert not load_open().exists()


def test_refusal_is_over_once_nothing_is_owed(exposure):
    kind = AlertKind.HEDGE_REJECTED
    Exposure.objects.update(reason="rejected:no_balance", need=0)
    raise_alert(KINDS[kind].severity, kind, "s", "t", dedup_key=key_of(kind, str(exposure.pk)))
    assert resolve_exposure_alerts(NOW) == 1


def test_strategy_stopped_by_a_person_is_told_until_it_starts(exposure, operator):
    strategy_id, by = exposure.strategy_id, Actor(who=operator)
    start_strategy(strategy_id, by=by)
    stop_strategy(strategy_id, by=by, reason="too wide")
    alert = Alert.objects.get()
    assert (alert.kind, alert.subject, alert.text) == ("strategy_halted", "neutral", "operator stopped it: too wide")
    start_strategy(strategy_id, by=by)
    assert not load_open().exists()


def test_strategy_that_halts_itself_is_told_once(exposure, operator):
    """Its ladder's end or the imbalance has raised the alert already."""
    start_strategy(exposure.strategy_id, by=Actor(who=operator))
    stop_by_itself(exposure.strategy_id, "the ladder ended")
    assert not Alert.objects.exists()


def test_every_reason_that_is_told_is_a_kind():
    assert all(AlertKind(reason.value) for reason in _TOLD if isinstance(reason, Reason))
