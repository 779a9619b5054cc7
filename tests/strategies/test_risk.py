"""Risk: limits shrink or deny with a reason, halted sends nothing, reducing only lowers a position."""

from decimal import Decimal
from uuid import UUID

import pytest

from strategies.config import DeltaNeutralConfig
from strategies.handlers.plan import AccountView, PlannedHedge, RestingOrder
from strategies.reasons import Reason
from strategies.risk import Allow, Deny, Shrink, after, check, shrunk
from trading.commands import PlaceOrder
from trading.enums import Action, Outcome, Platform, TradingState

D = Decimal


def leg(action=Action.BUY, side=Outcome.NO, price="0.45", shares="100", denied=None):
    order = PlaceOrder(
        platform=Platform.PREDICT,
        account_id="account2",
        market_id="123",
        side=side,
        price=D(price),
        shares=D(shares),
        action=action,
        client_order_id=UUID(int=7),
    )
    return PlannedHedge(order=order, denied=denied)


def hedge_account(**changed):
    return AccountView(id="account2", name="account2", **changed)


def test_without_limits_it_may_leave(hedge_state):
    assert check(leg(), hedge_state()) == Allow()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"desk_state": TradingState.HALTED}, Reason.DESK_HALTED),
        ({"strategy_state": TradingState.HALTED}, Reason.STRATEGY_HALTED),
        ({"hedge_account": hedge_account(state=TradingState.HALTED)}, Reason.ACCOUNT_HALTED),
    ],
)
def test_halted_anywhere_sends_nothing(hedge_state, changed, reason):
    for action in Action:
        assert check(leg(action), hedge_state(hedge_positions={Outcome.NO: D(500)}, **changed)) == Deny(reason)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"desk_state": TradingState.REDUCING}, Reason.DESK_REDUCING),
        ({"strategy_state": TradingState.REDUCING}, Reason.STRATEGY_REDUCING),
        ({"hedge_account": hedge_account(state=TradingState.REDUCING)}, Reason.ACCOUNT_REDUCING),
    ],
)
def test_reducing_lets_only_reductions_out(hedge_state, changed, reason):
    flat = hedge_state(**changed)
    assert check(leg(), flat) == Deny(reason)
    holding = hedge_state(hedge_positions={Outcome.NO: D(60)}, **changed)
    assert check(leg(Action.SELL, shares="50"), holding) == Allow()
    assert check(leg(Action.SELL, shares="80"), holding) == Shrink(D(60), reason)
    assert check(leg(Action.BUY, side=Outcome.YES, shares="80"), holding) == Shrink(D(60), reason)


@pytest.mark.parametrize(
    ("settings", "reason", "size"),
    [
        ({"max_order": D(40)}, Reason.MAX_ORDER, D(40)),
        ({"max_position": D(70)}, Reason.MAX_POSITION, D(70)),
        ({"max_notional_per_day": D(9)}, Reason.MAX_NOTIONAL_PER_DAY, D(20)),
    ],
)
def test_limit_shrinks_wherever_it_is_set(hedge_state, settings, reason, size):
    assert check(leg(), hedge_state(config=DeltaNeutralConfig(**settings))) == Shrink(size, reason)
    assert check(leg(), hedge_state(hedge_account=hedge_account(**settings))) == Shrink(size, reason)


def test_tightest_limit_gives_size_and_reason(hedge_state):
    state = hedge_state(config=DeltaNeutralConfig(max_order=D(40), max_position=D(30)))
    assert check(leg(), state) == Shrink(D(30), Reason.MAX_POSITION)


def test_position_limit_counts_what_is_in_flight(hedge_state):
    coming = RestingOrder(
        client_order_id=UUID(int=8),
        account_id="account2",
        outcome=Outcome.NO,
        action=Action.BUY,
        price=D("0.40"),
        remaining=D(50),
    )
    state = hedge_state(
        config=DeltaNeutralConfig(max_position=D(100)), hedge_positions={Outcome.NO: D(30)}, own_resting=(coming,)
    )
    assert check(leg(), state) == Shrink(D(20), Reason.MAX_POSITION)


def test_what_is_left_below_the_minimum_is_denied(hedge_state):
    assert check(leg(), hedge_state(config=DeltaNeutralConfig(max_order=D(1)))) == Deny(Reason.MAX_ORDER)


def test_spent_day_denies(hedge_state):
    state = hedge_state(config=DeltaNeutralConfig(max_notional_per_day=D(10)), strategy_day_notional=D(10))
    assert check(leg(), state) == Deny(Reason.MAX_NOTIONAL_PER_DAY)


def test_price_outside_the_band_is_denied(hedge_state):
    state = hedge_state(config=DeltaNeutralConfig(min_price=D("0.50")))
    assert check(leg(), state) == Deny(Reason.PRICE_BAND)


def test_what_the_handler_denied_stays_denied(hedge_state):
    assert check(leg(denied=Reason.SELF_CROSS), hedge_state()) == Deny(Reason.SELF_CROSS)


def test_second_leg_sees_the_first(hedge_state):
    state = hedge_state(config=DeltaNeutralConfig(max_notional_per_day=D(60)))
    assert check(leg(), after(leg(), state)) == Shrink(D("33.33"), Reason.MAX_NOTIONAL_PER_DAY)


def test_shrunk_leg_keeps_its_id(hedge_state):
    small = shrunk(leg(), D(40), Reason.MAX_ORDER)
    assert (small.order.client_order_id, small.order.shares) == (UUID(int=7), D(40))
