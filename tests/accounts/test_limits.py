"""What may not leave, and why: pure checks, with the self-cross guard against brute force."""

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.limits import ALLOWED, Denied, OwnOrder, Proposal, Standing, check, crosses
from trading.enums import Action, MarketStatus, Outcome, Platform, TradingState
from trading.instruments import MarketSpec

ME, OTHER = uuid4(), uuid4()
MARKET = MarketSpec(
    platform=Platform.PREDICT,
    market_id="1",
    title="t",
    question="q",
    status=MarketStatus.OPEN,
    yes_token="1",
    no_token="2",
    tick=Decimal("0.01"),
    lot=Decimal("0.01"),
    min_size=Decimal("0.01"),
    min_value=Decimal("0.9"),
    fee_rate_bps=200,
)
YES, NO, BUY, SELL = Outcome.YES, Outcome.NO, Action.BUY, Action.SELL


def order(outcome: Outcome = YES, action: Action = BUY, price: str = "0.40", size: str = "10") -> Proposal:
    return Proposal(id=uuid4(), account_id=ME, outcome=outcome, action=action, price=Decimal(price), size=Decimal(size))


def own(outcome: Outcome, action: Action, price: str, size: str = "10", account: Any = OTHER) -> OwnOrder:
    return OwnOrder(
        id=uuid4(), account_id=account, outcome=outcome, action=action, price=Decimal(price), size=Decimal(size)
    )


def standing(**fields: Any) -> Standing:
    values: dict[str, Any] = {"desk_level": "", "account_state": TradingState.ACTIVE, "market": MARKET}
    return Standing(**{**values, **fields})


def code(verdict: Any) -> str:
    return verdict.code if isinstance(verdict, Denied) else "allowed"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "allowed"),
        ({"desk_level": "no_new"}, "desk_halted"),
        ({"account_state": TradingState.HALTED}, "account_halted"),
        ({"account_state": TradingState.REDUCING}, "account_reducing"),
        ({"account_state": TradingState.REDUCING, "held": {NO: Decimal(10)}}, "allowed"),
        ({"account_state": TradingState.REDUCING, "held": {NO: Decimal(9)}}, "account_reducing"),
        ({"is_stale": True}, "truth_stale"),
        ({"is_stale": True, "held": {NO: Decimal(10)}}, "allowed"),
        ({"market": None}, "market_unknown"),
        ({"max_order": Decimal(10)}, "allowed"),
        ({"max_order": Decimal("9.99")}, "max_order"),
        ({"max_position": Decimal(10)}, "allowed"),
        ({"max_position": Decimal(10), "held": {YES: Decimal("0.01")}}, "max_position"),
        ({"max_position": Decimal(15), "own_orders": (own(YES, BUY, "0.30", "6", ME),)}, "max_position"),
        ({"max_notional_per_day": Decimal(4)}, "allowed"),
        ({"max_notional_per_day": Decimal(4), "day_notional": Decimal("0.01")}, "max_notional_per_day"),
    ],
)
def test_verdict_follows_states_and_limits(fields: dict[str, Any], expected: str) -> None:
    assert code(check(order(), standing(**fields))) == expected


def test_limit_of_zero_allows_nothing() -> None:
    assert code(check(order(), standing(max_order=Decimal(0)))) == "max_order"


def test_reducing_counts_what_leaves_already() -> None:
    """10 no held and 6 yes being bought: only 4 more may be bought."""
    reducing = standing(
        account_state=TradingState.REDUCING, held={NO: Decimal(10)}, own_orders=(own(YES, BUY, "0.30", "6", ME),)
    )
    assert code(check(order(size="4"), reducing)) == "allowed"
    assert code(check(order(size="4.01"), reducing)) == "account_reducing"


@pytest.mark.parametrize(
    ("resting", "expected"),
    [
        (own(YES, SELL, "0.40"), True),
        (own(YES, SELL, "0.41"), False),
        (own(NO, BUY, "0.60"), True),
        (own(NO, BUY, "0.59"), False),
        (own(YES, BUY, "0.40"), False),
        (own(NO, SELL, "0.60"), False),
    ],
)
def test_buying_yes_crosses_our_own_offer(resting: OwnOrder, expected: bool) -> None:
    assert crosses(order(), resting) is expected
    denied = code(check(order(), standing(own_orders=(resting,)))) == "self_cross"
    assert denied is expected


prices = st.integers(1, 99).map(lambda cents: Decimal(cents) / 100)
outcomes, actions = st.sampled_from(Outcome), st.sampled_from(Action)


def cash(outcome: Outcome, action: Action, price: Decimal, yes_pays: int) -> Decimal:
    """What one share of the order is worth to its owner in the end."""
    payout = Decimal(yes_pays if outcome is YES else 1 - yes_pays)
    return payout - price if action is BUY else price - payout


@given(outcomes, actions, prices, outcomes, actions, prices)
def test_crossing_is_what_a_venue_would_match(
    outcome: Outcome, action: Action, price: Decimal, other: Outcome, other_action: Action, other_price: Decimal
) -> None:
    """Two orders match when between them they give up at least what every end of the market costs."""
    together = {cash(outcome, action, price, pays) + cash(other, other_action, other_price, pays) for pays in (0, 1)}
    matches = len(together) == 1 and together.pop() <= 0
    assert crosses(order(outcome, action, str(price)), own(other, other_action, str(other_price))) is matches


def test_nothing_against_it_is_allowed() -> None:
    assert check(order(), standing()) is ALLOWED
