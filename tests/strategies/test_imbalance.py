"""The venue's word on positions against the ledger: believed after two reads, told, and then acted on."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from accounts.models import Account, Fill, Position
from alerts.models import Alert
from markets.models import Market
from strategies.imbalance import check_imbalances
from strategies.models import Imbalance, Pair, Strategy
from trading.enums import Outcome
from venues.contract import VenuePosition

D = Decimal
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
def account(db):
    Market.objects.create(
        id="predict:1",
        platform="predict",
        market_id="1",
        title="Rain?",
        status="open",
        tick=D("0.01"),
        lot=D("0.01"),
        min_size=D("0.01"),
        min_value=D("0.9"),
        fee_rate_bps=0,
    )
    account = Account.objects.create(name="hedge", platform="predict", address="0x" + "2" * 40)
    primary = Account.objects.create(name="primary", platform="predict", address="0x" + "1" * 40)
    strategy = Strategy.objects.create(name="neutral", state="active", config={"imbalance_halt": "50"})
    Pair.objects.create(strategy=strategy, primary=primary, hedge=account)
    Position.objects.create(account=account, market_id="predict:1", outcome="no", size=D(100), updated_at=NOW)
    return account


def read(account, size, seconds, outcome=Outcome.NO):
    held = [VenuePosition(market_id="1", outcome=outcome, size=D(size))] if size else []
    return check_imbalances({account.pk: held}, NOW + timedelta(seconds=seconds))


def test_agreement_leaves_no_row(account):
    assert read(account, "100", 0) == []
    assert not Imbalance.objects.exists()


def test_one_read_is_never_believed(account):
    assert read(account, "80", 0) == []
    assert read(account, "80", 5) == [], "too close to be another read"
    assert not Alert.objects.exists()
    assert read(account, "100", 30) == []
    assert not Imbalance.objects.exists()


def test_two_reads_apart_tell_a_person(account):
    read(account, "80", 0)
    (believed,) = read(account, "90", 30)
    assert (believed.believed, believed.difference) == (D(-10), D(-10))
    read(account, "90", 60)
    alert = Alert.objects.get()
    assert (alert.kind, alert.severity, alert.count) == ("imbalance", "warning", 2)
    assert alert.subject == "hedge in Rain?"
    assert "The venue holds 90 no, the ledger says 100" in alert.text
    assert Strategy.objects.get().state == "active"


def test_large_difference_halts_the_strategy(account):
    read(account, "30", 0)
    read(account, "30", 30)
    strategy = Strategy.objects.get()
    assert (strategy.state, Alert.objects.get().severity) == ("halted", "critical")
    assert "70 shares apart" in strategy.state_reason
    assert strategy.state_reason.startswith("hedge in Rain?: ")


def test_position_nobody_booked_is_found(account):
    read(account, "100", 0)
    check_imbalances(
        {
            account.pk: [
                VenuePosition(market_id="1", outcome=Outcome.NO, size=D(100)),
                VenuePosition(market_id="777", outcome=Outcome.YES, size=D(5)),
            ]
        },
        NOW + timedelta(seconds=30),
    )
    row = Imbalance.objects.get()
    assert (row.market_key, row.outcome, row.difference, row.in_ledger) == ("predict:777", "yes", D(5), D(0))


def test_unsettled_purchase_explains_the_difference(account):
    Fill.objects.create(
        account=account,
        market_id="predict:1",
        trade_id="t1",
        outcome="no",
        action="buy",
        price=D("0.4"),
        size=D(40),
        settlement="matched",
        received_at=NOW,
        recorded_at=NOW,
    )
    assert read(account, "60", 0) + read(account, "60", 30) == []
    assert not Imbalance.objects.exists()


def test_resolved_market_is_left_alone(account):
    Market.objects.update(status="resolved")
    read(account, "0", 0)
    assert read(account, "0", 30) == []


def test_account_that_could_not_be_read_is_no_difference(account):
    assert check_imbalances({}, NOW) == []
    assert not Imbalance.objects.exists()
