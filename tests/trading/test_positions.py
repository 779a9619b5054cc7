# mypy: disable-error-code="comparison-overlap"
"""Position arithmetic: exact, in any order, with nothing created and nothing lost."""

import random
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.enums import Action, FeeKind, Outcome
from trading.positions import Position, delta
from trading.values import exact

D = Decimal
Row = tuple[UUID, Action, Decimal, Decimal, FeeKind | None]
WEI = D(1).scaleb(-18)

prices = st.integers(1, 10**18 - 1).map(lambda n: D(n).scaleb(-18))
sizes = st.integers(1, 10**26).map(lambda n: D(n).scaleb(-18))
marks = st.integers(0, 10**18).map(lambda n: D(n).scaleb(-18))
fills = st.tuples(st.uuids(), st.sampled_from(Action), prices, sizes, st.sampled_from([None, *FeeKind]))


def run(rows: list[Row]) -> Position:
    position = Position()
    for _, action, price, shares, fee_kind in rows:
        position = position.apply_fill(action, price, shares)
        if fee_kind is not None:
            position = position.apply_fee(WEI * 12345, fee_kind, price)
    return position


def apply_once(
    rows: list[Row],
) -> list[Row]:
    return list({row[0]: row for row in rows}.values())


@given(rows=st.lists(fills, max_size=12), mark=marks, seed=st.integers(0, 1000))
def test_any_order_with_repeats_is_one_position(rows: list[Row], mark: Decimal, seed: int) -> None:
    shuffled = rows + rows[: len(rows) // 2]
    random.Random(seed).shuffle(shuffled)
    one, other = run(apply_once(rows)), run(apply_once(shuffled))
    assert (one.size, one.cash) == (other.size, other.cash)
    assert one.equity(mark) == other.equity(mark)


@given(rows=st.lists(fills, max_size=12), mark=marks)
def test_realized_plus_unrealized_is_equity(rows: list[Row], mark: Decimal) -> None:
    position = run(apply_once(rows))
    with exact():
        assert position.realized + position.unrealized(mark) == position.cash + position.size * mark
        settled = position.apply_settlement(mark)
        assert settled.cash == settled.realized == position.equity(mark)
    assert (settled.size, settled.cost) == (0, 0)


@given(rows=st.lists(fills, max_size=12))
def test_cash_and_inventory_are_conserved(rows: list[Row]) -> None:
    """What one side of every fill pays in cash and shares, the other side receives."""
    ours = run([(*row[:4], None) for row in rows])
    theirs = run([(row[0], row[1].opposite, row[2], row[3], None) for row in rows])
    with exact():
        assert ours.size + theirs.size == 0
        assert ours.cash + theirs.cash == 0


@given(action=st.sampled_from(Action), price=prices, shares=sizes, before=st.lists(fills, max_size=5))
def test_reversed_fill_leaves_size_and_cash(action: Action, price: Decimal, shares: Decimal, before: list[Row]) -> None:
    position = run(before)
    back = position.apply_fill(action, price, shares).reverse_fill(action, price, shares)
    assert (back.size, back.cash) == (position.size, position.cash)
    with exact():
        assert back.realized - back.cost == position.realized - position.cost


def test_average_cost_of_two_purchases() -> None:
    position = Position().apply_fill(Action.BUY, D("0.30"), D(40)).apply_fill(Action.BUY, D("0.32"), D(60))
    assert (position.size, position.average_price, position.cash) == (100, D("0.312"), D("-31.2"))


def test_partial_sale_realizes_its_part() -> None:
    position = Position().apply_fill(Action.BUY, D("0.40"), D(100)).apply_fill(Action.SELL, D("0.55"), D(40))
    assert (position.size, position.average_price, position.realized) == (60, D("0.40"), D("6.00"))
    assert position.unrealized(D("0.50")) == 6


def test_sale_beyond_what_is_held_turns_negative() -> None:
    position = Position().apply_fill(Action.BUY, D("0.40"), D(10)).apply_fill(Action.SELL, D("0.50"), D(30))
    assert (position.size, position.realized, position.cost) == (-20, D("1.0"), D("-10.0"))
    assert position.average_price == D("0.50")


def test_third_of_a_position_closes_without_a_remainder() -> None:
    position = Position().apply_fill(Action.BUY, D("0.1") + WEI, D(3))
    for _ in range(3):
        position = position.apply_fill(Action.SELL, D("0.1") + WEI, D(1))
    assert (position.size, position.cost, position.realized, position.cash) == (0, 0, 0, 0)


def test_share_fee_raises_the_average_price() -> None:
    position = Position().apply_fill(Action.BUY, D("0.5"), D(100)).apply_fee(D(2), FeeKind.SHARES, D("0.5"))
    assert (position.size, position.cost, position.fees) == (98, 50, 1)
    assert position.apply_settlement(D(1)).realized == 48


def test_share_fee_that_takes_the_last_share() -> None:
    position = Position().apply_fill(Action.BUY, D("0.5"), D(100)).apply_fill(Action.SELL, D("0.5"), D(98))
    position = position.apply_fee(D(2), FeeKind.SHARES, D("0.5"))
    assert (position.size, position.cost, position.realized, position.cash) == (0, 0, -1, -1)


def test_collateral_fee_lowers_realized_and_cash() -> None:
    position = Position().apply_fill(Action.BUY, D("0.5"), D(10)).apply_fill(Action.SELL, D("0.6"), D(10))
    position = position.apply_fee(D("0.05"), FeeKind.COLLATERAL, D("0.6"))
    assert (position.realized, position.cash, position.fees) == (D("0.95"), D("0.95"), D("0.05"))


@pytest.mark.parametrize(("payout", "realized"), [(D(1), D(60)), (D(0), D(-40)), (D("0.5"), D(10))])
def test_settlement_pays_one_zero_or_half(payout: Decimal, realized: Decimal) -> None:
    assert Position().apply_fill(Action.BUY, D("0.4"), D(100)).apply_settlement(payout).realized == realized


def test_eighteen_places_are_not_rounded() -> None:
    price, shares = D("0.123456789012345678"), D("98765432.123456789012345678")
    position = Position().apply_fill(Action.BUY, price, shares)
    with exact():
        assert position.cost.scaleb(36) == 123456789012345678 * 98765432123456789012345678


@pytest.mark.parametrize(
    ("outcome", "action", "sign"),
    [
        (Outcome.YES, Action.BUY, 1),
        (Outcome.NO, Action.SELL, 1),
        (Outcome.NO, Action.BUY, -1),
        (Outcome.YES, Action.SELL, -1),
    ],
)
def test_delta_of_each_kind_of_fill(outcome: Outcome, action: Action, sign: int) -> None:
    shares = D("12345678901234567890.123456789012345678")
    assert delta(outcome, action, shares) == shares.copy_sign(D(sign))
