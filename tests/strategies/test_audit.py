"""The rehearsal's audit: clean when venue, ledger and exposures agree; it notices every way in which they may not."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import msgspec
import pytest

from accounts.models import Account, Fill, Order, Position
from markets.models import Market
from markets.specs import spec_from_row
from strategies.demo import DemoPair
from strategies.models import Exposure, Pair, Strategy
from strategies.rehearsal.audit import Baseline, audit
from strategies.rehearsal.desk import Stand
from strategies.rehearsal.quiet import LATELY, what_settles
from strategies.rehearsal.report import count_hedged, make_report, percentile_ms
from strategies.rehearsal.truth import parse_truth

D = Decimal
NOW = datetime(2026, 2, 5, 1, 0, tzinfo=UTC)
PRIMARY, HEDGE = "0x" + "11" * 20, "0x" + "22" * 20
QUOTE_HASH, HEDGE_HASH = "0x" + "a" * 64, "0x" + "b" * 64


def leg(address, order_hash, outcome, price, is_maker):
    return {
        "orderId": "1",
        "hash": order_hash,
        "address": address,
        "outcome": outcome,
        "action": "buy",
        "price": str(int(D(price) * 10**18)),
        "executed": str(int(D(price) * 10**18)),
        "size": str(50 * 10**18),
        "value": "0",
        "fee": "0",
        "isMaker": is_maker,
    }


def snapshots():
    """One fill of the primary's quote and the hedge's own, as the venue's control plane tells them."""
    at = int(NOW.timestamp() * 1000) + 5
    simulated = "0x" + "33" * 20
    quote = {
        "settlementId": "s1",
        "marketId": 9001,
        "state": "settled",
        "matchedAt": at,
        "legs": [leg(simulated, "0xc", "no", "0.45", False), leg(PRIMARY, QUOTE_HASH, "yes", "0.55", True)],
    }
    hedge = {
        "settlementId": "s2",
        "marketId": 9001,
        "state": "settled",
        "matchedAt": at + 3,
        "legs": [leg(HEDGE, HEDGE_HASH, "no", "0.45", False), leg(simulated, "0xd", "yes", "0.55", True)],
    }
    return [
        {
            "accounts": [{"address": PRIMARY, "shares": {"1": str(50 * 10**18)}}],
            "orders": [{"hash": QUOTE_HASH, "createdAt": at - 2}],
            "accepted": {QUOTE_HASH: 1},
            "matches": [quote],
        },
        {
            "accounts": [{"address": HEDGE, "shares": {"2": str(50 * 10**18)}}],
            "orders": [{"hash": HEDGE_HASH, "createdAt": at + 2}],
            "accepted": {HEDGE_HASH: 1},
            "matches": [hedge],
        },
    ]


class World:
    """The rows that tell the same story."""

    def __init__(self):
        self.market = Market.objects.create(
            id="predict:9001",
            platform="predict",
            market_id="9001",
            title="A market",
            status="open",
            yes_token="1",
            no_token="2",
            tick=D("0.01"),
            lot=D("0.01"),
            min_size=D("0.01"),
            min_value=D("0.9"),
            synced_at=NOW,
        )
        self.primary = Account.objects.create(name="p", platform="predict", address=PRIMARY)
        self.hedge = Account.objects.create(name="h", platform="predict", address=HEDGE)
        strategy = Strategy.objects.create(name="demo", config={"max_loss": "0.06"})
        self.pair = Pair.objects.create(strategy=strategy, primary=self.primary, hedge=self.hedge)
        self.exposure = Exposure.objects.create(
            strategy=strategy,
            pair=self.pair,
            market=self.market,
            primary_account=self.primary,
            hedge_account=self.hedge,
            primary=D(50),
            hedged=D(-50),
            updated_at=NOW,
        )
        self.order(self.primary, "yes", "0.55", QUOTE_HASH, "", None)
        self.hedge_order = self.order(self.hedge, "no", "0.45", HEDGE_HASH, "fill:s1", self.exposure.pk)
        self.fill(self.primary, "s1", QUOTE_HASH, "yes", "0.55")
        self.fill(self.hedge, "s2", HEDGE_HASH, "no", "0.45")
        for account, outcome in ((self.primary, "yes"), (self.hedge, "no")):
            Position.objects.create(account=account, market=self.market, outcome=outcome, size=D(50), updated_at=NOW)

    def order(self, account, outcome, price, order_hash, cause, exposure_id):
        return Order.objects.create(
            id=uuid4(),
            account=account,
            market=self.market,
            outcome=outcome,
            action="buy",
            price=D(price),
            size=D(50),
            filled=D(50),
            status="filled",
            order_hash=order_hash,
            cause=cause,
            exposure_id=exposure_id,
            created_at=NOW + timedelta(milliseconds=1),
            updated_at=NOW,
        )

    def fill(self, account, settlement_id, order_hash, outcome, price):
        return Fill.objects.create(
            account=account,
            market=self.market,
            trade_id=f"{settlement_id}:{order_hash}",
            order_hash=order_hash,
            outcome=outcome,
            action="buy",
            price=D(price),
            size=D(50),
            settlement="settled",
            received_at=NOW + timedelta(milliseconds=9),
            recorded_at=NOW,
        )

    def stand(self):
        return Stand(DemoPair(self.pair, self.primary, self.hedge, "9001"), spec_from_row(self.market))

    def settles(self, told=None, now=NOW + timedelta(seconds=1)):
        return what_settles([self.stand()], parse_truth(told or snapshots(), [PRIMARY, HEDGE], 0), now)

    def audit(self, told=None):
        truth = parse_truth(told or snapshots(), [PRIMARY, HEDGE], int(NOW.timestamp() * 1000))
        stand = self.stand()
        zero = Baseline(owed={stand.key: D(0)}, net={stand.key: D(0)})
        return audit([stand], truth, NOW, zero)


@pytest.fixture
def world(db):
    return World()


def test_agreement_is_clean(world):
    findings = world.audit()
    assert findings.is_clean, findings.details
    assert (findings.venue_fills, findings.ledger_fills, findings.dust_shares) == (2, 2, 0)


def test_fill_missing_from_the_ledger_is_lost(world):
    Fill.objects.filter(account=world.primary).delete()
    assert world.audit().lost == 1


def test_fill_with_another_size_is_lost(world):
    Fill.objects.filter(account=world.primary).update(size=D(49))
    assert world.audit().lost == 1


def test_fill_the_venue_does_not_know_is_phantom(world):
    world.fill(world.hedge, "s9", "0x" + "e" * 64, "no", "0.45")
    assert world.audit().phantom == 1


def test_failed_settlement_must_be_failed_in_the_ledger(world):
    told = snapshots()
    told[1]["matches"][0]["state"] = "failed"
    assert world.audit(told).lost == 1


def test_two_hedge_orders_for_one_cause_are_a_duplicate(world):
    world.order(world.hedge, "no", "0.45", "0x" + "f" * 64, "fill:s1", world.exposure.pk)
    assert world.audit().duplicates >= 1


def test_order_at_the_venue_without_a_row_is_a_duplicate(world):
    told = snapshots()
    told[1]["orders"].append({"hash": "0x" + "9" * 64, "createdAt": int(NOW.timestamp() * 1000) + 7})
    told[1]["accepted"]["0x" + "9" * 64] = 1
    assert world.audit(told).duplicates == 1


def test_order_taken_twice_is_a_duplicate(world):
    told = snapshots()
    told[1]["accepted"][HEDGE_HASH] = 2
    assert world.audit(told).duplicates == 1


def test_undecided_order_is_unknown(world):
    Order.objects.filter(pk=world.hedge_order.pk).update(status="unknown")
    findings = world.audit()
    assert (findings.orders_unknown, findings.is_clean) == (1, False)


def test_unhedged_shares_are_not_dust(world):
    Exposure.objects.update(hedged=D(-20), need=D(-30), lots=[["30", "0.55"]])
    findings = world.audit()
    assert (findings.unhedged_shares, findings.exposure_differences) == (D(30), 1)


def test_dust_is_told_apart(world):
    Exposure.objects.update(hedged=D(-49), need=D(-1), lots=[["1", "0.55"]])
    findings = world.audit()
    assert (findings.unhedged_shares, findings.dust_shares) == (D(0), D(1))


def test_position_the_venue_does_not_hold_is_a_difference(world):
    Position.objects.filter(account=world.hedge).update(size=D(51))
    findings = world.audit()
    assert (findings.position_differences, findings.is_clean) == (1, False)


def test_nothing_settles_once_venue_and_ledger_are_done(world):
    assert world.settles() == ""


def test_rehearsal_waits_for_what_the_venue_has_not_settled(world):
    told = snapshots()
    told[1]["matches"][0]["state"] = "pending"
    assert "not settled at the venue" in world.settles(told)


def test_rehearsal_waits_for_the_word_of_a_settlement(world):
    """It brings the share fee: noted before it, the exposure owes too little for the venue's shares, for good."""
    Fill.objects.filter(account=world.hedge).update(settlement="matched")
    assert world.settles() == "1 fills are not settled in the ledger"


def test_rehearsal_waits_for_a_fill_that_is_late(world):
    Fill.objects.filter(account=world.primary).delete()
    assert world.settles() == "1 fills are not in the ledger"


def test_rehearsal_does_not_wait_for_what_is_long_over(world):
    Fill.objects.filter(account=world.primary).delete()
    Fill.objects.filter(account=world.hedge).update(settlement="matched")
    assert world.settles(now=NOW + LATELY + timedelta(seconds=1)) == ""


def test_report_passes_only_when_all_fills_were_made(world):
    findings = world.audit()
    common = {"latencies_us": [1500, 2500], "hedge_orders": 1, "seconds": D("2.0")}
    assert make_report(findings, wanted=1, fills=1, hedged=1, **common).ok
    assert not make_report(findings, wanted=2, fills=1, hedged=1, **common).ok
    assert not make_report(findings, wanted=1, fills=1, hedged=0, **common).ok
    line = msgspec.json.decode(make_report(findings, wanted=1, fills=1, hedged=1, **common).encode())
    assert line["fill_to_order_ms"] == {"p50": 1.5, "p99": 2.5}
    assert {"fills", "hedged", "duplicates", "lost", "unhedged_shares", "orders_unknown", "hedges_per_s"} <= line.keys()


def test_newest_fills_are_the_unhedged_ones():
    assert count_hedged([D(10), D(20), D(30)], D(0)) == 3
    assert count_hedged([D(10), D(20), D(30)], D(5)) == 2
    assert count_hedged([D(10), D(20), D(30)], D(11)) == 1


def test_percentile_is_of_the_nearest_rank():
    assert percentile_ms([1000, 2000, 3000, 4000], 50) == D("2.00")
    assert percentile_ms([1000], 99) == D("1.00")
    assert percentile_ms([], 50) is None
