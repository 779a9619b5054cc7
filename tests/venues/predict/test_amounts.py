"""Order amounts against the official SDK's published answers, and what no truncation may do in silence."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from predict_sdk._internal.utils import retain_significant_digits

from trading.enums import Action
from trading.errors import InvalidValue
from venues.predict.amounts import (
    Amounts,
    exact_limit_amounts,
    limit_amounts,
    market_amounts,
    market_amounts_for_value,
    sendable_size,
    truncate_digits,
)


def depth(levels: list[list[float]]) -> list[tuple[int, int]]:
    return [(int(Decimal(str(p)) * 10**18), int(Decimal(str(s)) * 10**18)) for p, s in levels]


def shown(amounts: Amounts) -> dict[str, str]:
    return {
        "last_price": str(amounts.last_price),
        "price_per_share": str(amounts.price_per_share),
        "maker_amount": str(amounts.maker_amount),
        "taker_amount": str(amounts.taker_amount),
        "amount": str(amounts.size),
    }


def without_options(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name not in ("slippage_bps", "is_min_amount_out")}


def test_every_published_limit_amount_agrees(vectors: Any) -> None:
    assert len(vectors["limit_amount_vectors"]) == 4
    for case in vectors["limit_amount_vectors"]:
        action = Action(case["side"].lower())
        amounts = limit_amounts(action, int(case["price_per_share_wei"]), int(case["quantity_wei"]))
        assert shown(amounts) == without_options(case["result"]), case


def test_every_published_market_amount_agrees(vectors: Any) -> None:
    book = vectors["market_amount_vectors"]["book"]
    asks, bids = depth(book["asks"]), depth(book["bids"])
    cases = vectors["market_amount_vectors"]["cases"]
    assert len(cases) == 14
    for case in cases:
        options = {"slippage_bps": case["slippage_bps"], "min_amount_out": case["is_min_amount_out"]}
        if case["kind"] == "value":
            amounts = market_amounts_for_value(int(case["value_wei"]), asks, **options)
        else:
            action = Action(case["side"].lower())
            side = asks if action is Action.BUY else bids
            amounts = market_amounts(action, int(case["quantity_wei"]), side, **options)
        assert shown(amounts) == without_options(case["result"]), case


@given(st.integers(-(10**24), 10**24), st.integers(1, 8))
def test_truncation_agrees_with_the_sdk(value: int, digits: int) -> None:
    assert truncate_digits(value, digits) == retain_significant_digits(value, digits)


@given(st.integers(1, 10**9))
def test_sendable_sizes_survive_to_the_digit(hundredths: int) -> None:
    asked = Decimal(hundredths).scaleb(-2)
    size = sendable_size(asked)
    assert asked * Decimal("0.999") < size <= asked
    assert exact_limit_amounts(Action.BUY, Decimal("0.5"), size).size == int(size * 10**18)


@given(st.integers(1, 99_999))
def test_every_hundredth_below_a_thousand_is_sendable(hundredths: int) -> None:
    size = Decimal(hundredths).scaleb(-2)
    assert sendable_size(size) == size


def test_a_size_that_would_shrink_is_refused() -> None:
    with pytest.raises(InvalidValue, match=r"1234\.5 fits"):
        exact_limit_amounts(Action.BUY, Decimal("0.5"), Decimal("1234.56"))
    with pytest.raises(InvalidValue):
        exact_limit_amounts(Action.BUY, Decimal("0.5555"), Decimal("1"))


def test_a_thin_book_yields_a_smaller_market_order() -> None:
    amounts = market_amounts(Action.BUY, 10 * 10**18, [(5 * 10**17, 10**18)])
    assert amounts.size == 10**18
    assert market_amounts(Action.SELL, 10**18, []).size == 0
