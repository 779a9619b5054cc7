"""The order state machine: illegal steps raise, a closed order stays closed but for a fill."""

from decimal import Decimal
from itertools import product

import pytest

from trading.enums import OrderStatus
from trading.errors import IllegalTransition
from trading.orders import IN_FLIGHT, TERMINAL, TRANSITIONS, check_step, remaining, status_after_fill

S = OrderStatus
D = Decimal


@pytest.mark.parametrize(("before", "after"), list(product(OrderStatus, OrderStatus)))
def test_every_step_is_legal_or_raises(before: OrderStatus, after: OrderStatus) -> None:
    if after in TRANSITIONS[before]:
        assert check_step(before, after) is after
    else:
        with pytest.raises(IllegalTransition, match=after):
            check_step(before, after)


def test_every_status_is_in_flight_or_terminal() -> None:
    assert set(OrderStatus) == IN_FLIGHT | TERMINAL
    assert not IN_FLIGHT & TERMINAL
    assert set(TRANSITIONS) == set(OrderStatus)


def test_closed_orders_only_move_by_fills() -> None:
    assert TRANSITIONS[S.DENIED] == TRANSITIONS[S.REJECTED] == frozenset()
    assert TRANSITIONS[S.CANCELLED] == TRANSITIONS[S.EXPIRED] == {S.FILLED}


def test_unknown_is_in_flight_and_not_failed() -> None:
    assert S.UNKNOWN in IN_FLIGHT
    assert remaining(S.UNKNOWN, D(100), D(40)) == 60
    assert S.INITIALIZED not in TRANSITIONS[S.UNKNOWN], "an order that may be live is never sent anew"
    assert S.SUBMITTED not in TRANSITIONS[S.UNKNOWN]


@pytest.mark.parametrize("status", [S.DENIED, S.INITIALIZED])
def test_order_that_never_left_cannot_fill(status: OrderStatus) -> None:
    with pytest.raises(IllegalTransition):
        status_after_fill(status, D(100), D(1))


@pytest.mark.parametrize("status", [S.SUBMITTED, S.UNKNOWN, S.ACCEPTED, S.PARTIALLY_FILLED])
def test_fills_open_and_close_a_live_order(status: OrderStatus) -> None:
    assert status_after_fill(status, D(100), D(1)) is S.PARTIALLY_FILLED
    assert status_after_fill(status, D(100), D(100)) is S.FILLED
    assert status_after_fill(status, D(100), D(101)) is S.FILLED


@pytest.mark.parametrize("status", [S.CANCELLED, S.EXPIRED])
def test_late_partial_fill_leaves_it_closed(status: OrderStatus) -> None:
    assert status_after_fill(status, D(100), D(40)) is status
    assert status_after_fill(status, D(100), D(100)) is S.FILLED
    assert remaining(status, D(100), D(40)) == 0


def test_failed_settlement_reopens_a_filled_order() -> None:
    assert status_after_fill(S.FILLED, D(100), D(60)) is S.PARTIALLY_FILLED
    assert status_after_fill(S.FILLED, D(100), D(0)) is S.ACCEPTED


@pytest.mark.parametrize(
    "before", [S.SUBMITTED, S.UNKNOWN, S.ACCEPTED, S.PARTIALLY_FILLED, S.FILLED, S.CANCELLED, S.EXPIRED]
)
@pytest.mark.parametrize("filled", [D(0), D(40), D(100)])
def test_step_after_a_fill_is_always_legal(before: OrderStatus, filled: Decimal) -> None:
    after = status_after_fill(before, D(100), filled)
    if after is not before:
        check_step(before, after)


def test_remaining_keeps_every_digit() -> None:
    size = D("123456789012345678901.000000000000000001")
    assert remaining(S.ACCEPTED, size, D("0.000000000000000001")) == D("123456789012345678901")
    assert remaining(S.ACCEPTED, D(1), D(2)) == 0
