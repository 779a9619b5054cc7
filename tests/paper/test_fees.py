"""The taker fee, against fills observed on the venue."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paper.fees import taker_fee

WEI = 10**18


@pytest.mark.parametrize(
    ("is_buy", "size", "price", "fee"),
    [
        (True, 36_846153846153846152, 13 * 10**16, 736923076923076923),
        (False, 2_820000000000000000, 87 * 10**16, 7332000000000000),
        (False, 30_591413793103448276, 13 * 10**16, 79537675862068965),
        (True, 10 * WEI, 50 * 10**16, 2 * 10**17),
        (True, 10 * WEI, 80 * 10**16, 5 * 10**16),
    ],
)
def test_observed_fees_are_met_exactly(is_buy: bool, size: int, price: int, fee: int) -> None:
    assert taker_fee(200, is_buy, price * size, size, WEI) == fee


@given(
    size=st.integers(10**16, 10**24),
    price=st.integers(1, 999),
    bps=st.integers(0, 1000),
    is_buy=st.booleans(),
)
def test_fee_is_the_floor_of_the_formula(size: int, price: int, bps: int, is_buy: bool) -> None:
    wei = price * 10**15
    fee = taker_fee(bps, is_buy, wei * size, size, WEI)
    lesser = min(price, 1000 - price)
    divisor = 10_000 * (price if is_buy else 1000)
    assert fee == bps * lesser * size // divisor
    assert fee <= size * bps // 10_000
