"""The equity curve: what a point knows, what it does not, and what a chart is given."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.equity import MOST_POINTS, load_equity, load_result_since, measure, record_equity, remove_old_points
from accounts.models import Account, EquityPoint, Position
from tests.desk_rows import DeskRows, make_desk, make_fill


@pytest.fixture
def now(db: None) -> datetime:
    return timezone.now()


@pytest.fixture
def rows(now: datetime) -> DeskRows:
    return make_desk(now, pairs=1)


def hold(rows: DeskRows, outcome: str, size: str, cost: str, realized: str = "0") -> None:
    Position.objects.create(
        account=rows.pairs[0].primary,
        market=rows.markets[0],
        outcome=outcome,
        size=Decimal(size),
        cost=Decimal(cost),
        realized=Decimal(realized),
        updated_at=timezone.now(),
    )


def test_shares_are_worth_their_last_price(rows: DeskRows, now: datetime) -> None:
    fill, order = make_fill(rows.exposures[0], now, 1)
    order.save()
    fill.save()
    hold(rows, "yes", "10", "5", realized="1.5")
    hold(rows, "no", "4", "2")
    point = measure(now)
    assert point.value == Decimal("10") * Decimal("0.55") + Decimal("4") * Decimal("0.45")
    assert point.profit == Decimal("1.5") + point.value - 7
    assert point.equity == point.collateral + point.value


def test_equity_does_not_jump_by_what_a_balance_lacks(rows: DeskRows, now: datetime) -> None:
    """A position has its fill at once; the balance read before it settled has not paid for it yet."""
    balances = sum((account.collateral for account in Account.objects.all()), Decimal(0))
    fill, order = make_fill(rows.exposures[0], now, 1)
    order.save()
    fill.fee, fill.fee_kind = Decimal("0.2"), "collateral"
    fill.save()
    paid = fill.price * fill.size + Decimal("0.2")
    Account.objects.update(balance_at=now)

    def collateral(**changes: object) -> Decimal | None:
        type(fill).objects.update(**changes)
        return measure(now).collateral

    assert collateral() == balances - paid
    assert collateral(settlement="settled", settled_at=now + timedelta(seconds=1)) == balances - paid
    assert collateral(settled_at=now - timedelta(seconds=1)) == balances
    assert collateral(settlement="failed", settled_at=now + timedelta(seconds=1)) == balances
    assert collateral(settlement="matched", action="sell", fee_kind="shares") == balances + fill.price * fill.size
    assert collateral(received_at=now - timedelta(hours=2)) == balances, "no balance is so old"


def test_unpriced_share_is_unknown_not_zero(rows: DeskRows, now: datetime) -> None:
    hold(rows, "yes", "10", "5")
    point = measure(now)
    assert (point.value, point.equity, point.profit, point.unmarked) == (None, None, None, 1)
    assert point.collateral is not None


def test_resolved_market_is_worth_its_payout(rows: DeskRows, now: datetime) -> None:
    rows.markets[0].payout_yes = Decimal(0)
    rows.markets[0].save()
    hold(rows, "yes", "10", "5")
    hold(rows, "no", "3", "1")
    assert measure(now).value == 3


def test_balance_never_read_leaves_collateral_unknown(rows: DeskRows, now: datetime) -> None:
    Account.objects.filter(pk=rows.pairs[0].hedge_id).update(balance_at=None)
    point = measure(now)
    assert point.collateral is None
    assert point.value == 0, "nothing is held, and that is known"


def test_desk_without_accounts_records_nothing(now: datetime) -> None:
    assert record_equity(now) is None
    assert not EquityPoint.objects.exists()


def make_points(now: datetime, count: int, spacing: timedelta) -> None:
    EquityPoint.objects.bulk_create(
        EquityPoint(at=now - n * spacing, collateral=1000, value=0, cost=0, realized=Decimal(100 - n), accounts=2)
        for n in range(count)
    )


def test_chart_gets_few_points_of_many(now: datetime) -> None:
    make_points(now, 3_000, timedelta(seconds=30))
    with CaptureQueriesContext(connection) as queries:
        points = load_equity(now - timedelta(days=1), now)
    assert len(queries) == 1
    assert 300 < len(points) <= MOST_POINTS + 2
    assert [p.at for p in points] == sorted(p.at for p in points)
    assert points[-1].at == now, "the newest is never thinned away"


def test_chart_of_a_young_desk_keeps_every_point(now: datetime) -> None:
    make_points(now, 9, timedelta(seconds=30))
    assert len(load_equity(now - timedelta(days=1), now)) == 9


def test_result_since_begins_at_the_last_point_before(now: datetime) -> None:
    """What came between midnight and the day's first point belongs to the day."""
    assert load_result_since(now - timedelta(hours=1)) is None
    make_points(now, 10, timedelta(minutes=1))
    assert load_result_since(now - timedelta(minutes=5, seconds=1)) == 6
    assert load_result_since(now + timedelta(seconds=1)) is None


def test_result_of_a_desk_that_began_since_is_all_of_it(now: datetime) -> None:
    make_points(now, 3, timedelta(minutes=1))
    assert load_result_since(now - timedelta(hours=1)) == 100


def test_result_since_an_unknown_point_is_unknown(now: datetime) -> None:
    make_points(now, 3, timedelta(minutes=1))
    EquityPoint.objects.filter(at=now - timedelta(minutes=2)).update(value=None)
    assert load_result_since(now - timedelta(minutes=1)) is None


def test_old_points_are_dropped(now: datetime) -> None:
    make_points(now, 3, timedelta(days=300))
    assert remove_old_points(now) == 1
