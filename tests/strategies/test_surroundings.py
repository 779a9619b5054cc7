"""The open orders beside an exposure: by market, and with what the same batch has ordered since."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import msgspec

from accounts.ledger.rows import NewOrder, OrderProgress
from strategies.exposures import OpenOrder
from strategies.surroundings import Surroundings, at, resting_order, with_orders
from trading.enums import Action, Outcome

D = Decimal
NOW = datetime(2026, 2, 5, 1, 0, tzinfo=UTC)
ACCOUNT, OTHER, STRATEGY = UUID(int=11), UUID(int=12), UUID(int=2)


def open_order(number, market_key, status="accepted", *, asked=False):
    return OpenOrder(UUID(int=number), None, OTHER, market_key, "yes", "buy", D("0.50"), D(10), status, asked)


def new_order(number, action=Action.BUY, account=ACCOUNT):
    return NewOrder(
        id=UUID(int=number),
        account_id=account,
        market_key="predict:1",
        outcome=Outcome.NO,
        action=action,
        price=D("0.45"),
        size=D(100),
        strategy_id=STRATEGY,
        exposure_id=UUID(int=1),
    )


def surroundings(*open_orders):
    return Surroundings(
        open_orders=open_orders,
        positions={},
        unsettled={},
        day_notional={},
        specs={},
        books={},
        now=NOW,
        funds={ACCOUNT: D(1000)},
    )


def test_open_orders_lie_by_market_as_they_were_read():
    one, two, three = open_order(1, "predict:1"), open_order(2, "predict:2"), open_order(3, "predict:1")

    resting = surroundings(one, two, three).resting

    assert resting == {"predict:1": (resting_order(one), resting_order(three)), "predict:2": (resting_order(two),)}


def test_only_an_order_the_venue_has_can_be_cancelled():
    orders = [open_order(1, "predict:1"), open_order(2, "predict:1", "unknown"), open_order(3, "predict:1", asked=True)]

    assert [resting_order(order).cancellable for order in orders] == [True, False, False]


def test_new_orders_rest_beside_those_that_were_read():
    around = surroundings(open_order(1, "predict:1"), open_order(2, "predict:2"))

    after = with_orders(with_orders(around, [new_order(7)]), [new_order(8, Action.SELL)])

    assert [order.client_order_id.int for order in after.resting["predict:1"]] == [1, 7, 8]
    assert after.resting["predict:2"] == around.resting["predict:2"]
    assert not any(order.cancellable for order in after.resting["predict:1"][1:])
    assert len(around.resting["predict:1"]) == 1


def test_new_orders_are_still_there_when_the_clock_goes_on():
    after = with_orders(surroundings(open_order(1, "predict:1")), [new_order(7)])

    hour = NOW.replace(hour=2)
    assert at(after, hour) == msgspec.structs.replace(after, now=hour)
    assert at(after, hour).resting == msgspec.structs.replace(after, now=hour).resting == after.resting


def test_new_order_that_fills_later_rests_with_what_is_left_of_it():
    order = new_order(7)
    after = with_orders(surroundings(open_order(1, "predict:1")), [order])
    moved = OrderProgress(
        order.id, order.exposure_id, ACCOUNT, "predict:1", "no", "buy", D("0.45"), D(100), D(60), "partially_filled"
    )

    whole, rest = at(after, NOW, [moved]).resting["predict:1"]

    assert (whole.client_order_id.int, whole.remaining) == (1, D(10))
    assert (rest.client_order_id.int, rest.remaining, rest.cancellable) == (7, D(40), True)


def test_new_orders_spend_what_the_next_exposure_may_spend():
    around = surroundings()

    after = with_orders(around, [new_order(7), new_order(8, Action.SELL), new_order(9, account=OTHER)])

    assert after.funds == {ACCOUNT: D(955)}
    assert after.day_notional == {(ACCOUNT, STRATEGY): D(90), (OTHER, STRATEGY): D(45)}


def test_no_new_order_changes_nothing():
    around = surroundings(open_order(1, "predict:1"))

    assert with_orders(around, []) is around
