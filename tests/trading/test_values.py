"""Numbers: exact from a person's keyboard to the wire, and on the right side when they must be rounded."""

from decimal import Decimal, Inexact

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.enums import Action, FeeKind, Outcome
from trading.errors import InvalidValue
from trading.fees import fee_per_share, highest_price_within, lowest_price_within, taker_fee
from trading.instruments import Book, Level
from trading.values import (
    ceil_to,
    check_price,
    complement,
    decimal_from,
    exact,
    floor_to,
    from_base_units,
    plain,
    price_in_our_favour,
    price_text,
    round_down,
    text,
    to_base_units,
)

D = Decimal
steps = st.sampled_from([D("0.01"), D("0.001"), D("0.1"), D("0.0001"), D(1), D(5), D("0.000000000000000001")])
wide = st.integers(-(10**40), 10**40).map(lambda n: D(n).scaleb(-18))
rates = st.integers(0, 3000)
money = st.integers(1, 10**18 + 10**17).map(lambda n: D(n).scaleb(-18))


@pytest.mark.parametrize("cents", range(1, 100))
def test_every_cent_price_is_exact_on_the_wire(cents: int) -> None:
    units = to_base_units(decimal_from(f"0.{cents:02d}"))
    assert units == cents * 10**16
    assert from_base_units(units) == D(cents) / 100


def test_fifty_seven_cents_is_not_fifty_six_point_nine() -> None:
    assert to_base_units(D("0.57")) == 570000000000000000
    assert to_base_units(D("0.57")) != int(0.57 * 1e18)


@pytest.mark.parametrize(
    "value", [0.57, True, float("nan"), None, "0,57", "nan", "inf", D("NaN"), D("-Infinity"), b"1"]
)
def test_inexact_numbers_are_refused(value: object) -> None:
    with pytest.raises(InvalidValue):
        decimal_from(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value", ["0.0000000000000000001", "1." + "0" * 90 + "1", "1" + "0" * 70 + ".000000000000000001"]
)
def test_what_does_not_fit_base_units_is_refused(value: str) -> None:
    with pytest.raises(InvalidValue):
        to_base_units(D(value))


@given(units=st.integers(-(2**255), 2**256 - 1))
def test_base_units_round_trip(units: int) -> None:
    assert to_base_units(from_base_units(units)) == units


@given(value=wide, step=steps)
def test_rounding_lands_on_the_right_side(value: Decimal, step: Decimal) -> None:
    with exact():
        down, up = floor_to(value, step), ceil_to(value, step)
        assert down <= value <= up
        assert up - down in (0, step)
        assert down % step == up % step == 0
        toward_zero = round_down(value, step)
        assert toward_zero == (down if value >= 0 else up)


def test_rounding_needs_a_positive_step() -> None:
    for step in (D(0), D("-0.01")):
        with pytest.raises(InvalidValue, match="must be positive"):
            floor_to(D(1), step)


def test_exact_raises_rather_than_round() -> None:
    with exact(), pytest.raises(Inexact):
        D(1) / D(3)


@pytest.mark.parametrize(
    ("number", "shown"),
    [("1E+2", "100"), ("0.550", "0.55"), ("1E-18", "0.000000000000000001"), ("0", "0"), ("-0.50", "-0.5")],
)
def test_numbers_are_shown_without_exponents(number: str, shown: str) -> None:
    assert text(D(number)) == shown
    assert plain(D(number)) == D(number)


@pytest.mark.parametrize("price", ["0", "1", "-0.1", "1.01", "0.555", "NaN"])
def test_prices_off_the_grid_are_refused(price: str) -> None:
    with pytest.raises((InvalidValue, ArithmeticError)):
        check_price(D(price), D("0.01"))


@pytest.mark.parametrize(
    ("primary", "max_loss", "action", "tick", "limit"),
    [
        ("0.55", "0", Action.BUY, "0.01", "0.45"),
        ("0.55", "0.01", Action.BUY, "0.01", "0.46"),
        ("0.312", "0", Action.BUY, "0.01", "0.68"),
        ("0.60", "0", Action.SELL, "0.01", "0.40"),
        ("0.10", "0", Action.BUY, "0.01", "0.90"),
    ],
)
def test_hedge_prices_of_the_worked_table(primary: str, max_loss: str, action: Action, tick: str, limit: str) -> None:
    bound = complement(D(primary)) + D(max_loss)
    assert price_in_our_favour(bound, D(tick), action) == D(limit)


def test_book_seen_from_no_is_mirrored_exactly() -> None:
    odd = D("0.0123456789012345678901234567890123")
    book = Book(market_id="1", updated_at_ms=1, bids=(Level(odd, D(1)),), asks=(Level(D("0.6"), D(2)),))
    mirrored = book.view(Outcome.NO)
    assert mirrored.asks == (Level(D("0.9876543210987654321098765432109877"), D(1)),)
    assert mirrored.bids == (Level(D("0.4"), D(2)),)
    assert book.view(Outcome.YES) is book


@pytest.mark.parametrize(
    ("action", "shares", "price", "fee", "kind"),
    [
        (Action.BUY, "36.846153846153846152", "0.13", "0.736923076923076923", FeeKind.SHARES),
        (Action.SELL, "2.82", "0.87", "0.007332", FeeKind.COLLATERAL),
        (Action.SELL, "30.591413793103448276", "0.13", "0.079537675862068965", FeeKind.COLLATERAL),
    ],
)
def test_fees_of_three_real_fills(action: Action, shares: str, price: str, fee: str, kind: FeeKind) -> None:
    assert taker_fee(action, D(price), D(shares), 200) == (D(fee), kind)


@given(price=st.integers(1, 999).map(lambda n: D(n).scaleb(-3)), wei=st.integers(1, 10**27), rate=rates)
def test_fee_is_the_integer_floor(price: Decimal, wei: int, rate: int) -> None:
    milli = int(price * 1000)
    least = min(milli, 1000 - milli)
    shares = D(wei).scaleb(-18)
    assert taker_fee(Action.SELL, price, shares, rate)[0].scaleb(18) == rate * least * wei // (10_000 * 1000)
    assert taker_fee(Action.BUY, price, shares, rate)[0].scaleb(18) == rate * least * wei // (10_000 * milli)


@given(cost=money, rate=rates)
def test_highest_price_never_costs_more(cost: Decimal, rate: int) -> None:
    price = highest_price_within(cost, rate)
    dearer = price + D(1).scaleb(-20)
    assert 0 <= price <= 1
    with exact():
        on_grid = floor_to(price, D(1).scaleb(-18))
        assert on_grid + fee_per_share(on_grid, rate) <= cost
    if price < 1:
        above = ceil_to(dearer, D(1).scaleb(-21))
        with exact():
            assert above + fee_per_share(above, rate) > cost


@given(proceeds=money, rate=rates)
def test_lowest_price_never_nets_less(proceeds: Decimal, rate: int) -> None:
    price = lowest_price_within(proceeds, rate)
    assert 0 <= price <= 1
    if proceeds <= 1:
        on_grid = ceil_to(price, D(1).scaleb(-18))
        with exact():
            assert on_grid - fee_per_share(on_grid, rate) >= proceeds
    below = floor_to(price, D(1).scaleb(-21)) - D(1).scaleb(-21)
    with exact():
        assert below - fee_per_share(below, rate) < proceeds


def test_free_trading_leaves_the_bound_alone() -> None:
    assert highest_price_within(D("0.45"), 0) == lowest_price_within(D("0.45"), 0) == D("0.45")
    assert highest_price_within(D("-0.1"), 200) == lowest_price_within(D(0), 200) == 0
    assert highest_price_within(D(2), 200) == lowest_price_within(D(2), 200) == 1


@pytest.mark.parametrize("rate", [-1, 10_000])
def test_impossible_fee_rates_are_refused(rate: int) -> None:
    with pytest.raises(InvalidValue, match="basis points"):
        taker_fee(Action.BUY, D("0.5"), D(1), rate)


@pytest.mark.parametrize(
    ("price", "read"), [("0.5", "0.50"), ("0.500", "0.50"), ("0.123", "0.123"), ("1", "1.00"), ("0", "0.00")]
)
def test_price_is_read_with_two_decimals_or_more(price: str, read: str) -> None:
    assert price_text(D(price)) == read
