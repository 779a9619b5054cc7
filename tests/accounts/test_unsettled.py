"""When silence about a settlement is a failure: only on all the evidence, and never because it is slow."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.unsettled import ABSENT_FOR, SILENT_AFTER, WORD_AFTER, SilentFill, judge, lacks
from trading.enums import OrderStatus
from venues.contract import OrderState

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
KEY = ("predict:1", "yes")
ROUND = timedelta(seconds=30)
ZERO = Decimal(0)


def silent(age: timedelta, **changed: Any) -> SilentFill:
    """10 bought, on top of 5 held by settled fills."""
    fields: dict[str, Any] = {
        "trade_id": "t1",
        "settlement_id": "s1",
        "order_hash": "0x1",
        "market_key": KEY[0],
        "market_id": "1",
        "outcome": KEY[1],
        "action": "buy",
        "price": Decimal("0.4"),
        "size": Decimal(10),
        "received_at": NOW - age,
        "settled": ZERO,
        "base": Decimal(5),
        "fresh_coming": ZERO,
        "fresh_going": ZERO,
    }
    return SilentFill(**{**fields, **changed})


def state(status: OrderStatus, filled: int = 0, *, invalidated: bool = False) -> OrderState:
    return OrderState(
        order_hash="0x1",
        venue_order_id="1",
        market_id="1",
        status=status,
        size=Decimal(10),
        filled=Decimal(filled),
        is_invalidated=invalidated,
    )


def has_failed(age: timedelta, order: OrderState, held: int) -> bool:
    return bool(judge(order, [silent(age)], {KEY: Decimal(held)}, NOW))


@pytest.mark.parametrize("status", [OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED])
def test_slow_settlement_of_a_live_order_stays_matched(status: OrderStatus) -> None:
    """Over an hour, whatever the position says: an order that is not over may yet settle."""
    assert not has_failed(timedelta(hours=1), state(status), 5)


def test_cancelled_order_waits_out_the_longer_bound() -> None:
    assert not has_failed(ABSENT_FOR - timedelta(seconds=1), state(OrderStatus.CANCELLED), 5)
    assert has_failed(ABSENT_FOR, state(OrderStatus.CANCELLED), 5)


def test_venues_own_word_is_believed_sooner() -> None:
    word = state(OrderStatus.CANCELLED, invalidated=True)
    assert not has_failed(WORD_AFTER - timedelta(seconds=1), word, 5)
    assert has_failed(WORD_AFTER, word, 5)


def test_shares_at_the_venue_speak_against_a_failure() -> None:
    """It settled, and the list of matches is late: nothing is taken back."""
    assert not has_failed(timedelta(hours=1), state(OrderStatus.CANCELLED), 15)
    assert not has_failed(SILENT_AFTER - timedelta(seconds=1), state(OrderStatus.CANCELLED, invalidated=True), 15)


def test_shares_from_outside_cannot_hide_a_failure_for_ever() -> None:
    assert has_failed(SILENT_AFTER, state(OrderStatus.CANCELLED, invalidated=True), 500)
    assert not has_failed(SILENT_AFTER, state(OrderStatus.CANCELLED), 500), "without the venue's word a person decides"


def test_settled_quantity_with_room_speaks_against_a_failure() -> None:
    assert not has_failed(timedelta(hours=1), state(OrderStatus.CANCELLED, filled=10), 5)


def test_failure_is_found_within_a_minute() -> None:
    assert timedelta(seconds=60) >= ABSENT_FOR + ROUND
    assert WORD_AFTER < ABSENT_FOR


amounts = st.integers(1, 1000).map(Decimal)


@given(base=amounts, size=amounts, fresh=amounts, sold=st.booleans(), fee=st.integers(0, 9))
def test_settled_purchase_is_never_taken_for_failed(
    base: Decimal, size: Decimal, fresh: Decimal, sold: bool, fee: int
) -> None:
    """Whatever younger fills did meanwhile, and with a fee taken in shares."""
    fill = silent(SILENT_AFTER, base=base, size=size, fresh_coming=fresh, fresh_going=fresh)
    held = base + size * (100 - fee) / 100 + (-fresh if sold else fresh)
    assert not lacks(fill, held)


@given(base=amounts, size=amounts, fresh=amounts, bought=st.booleans())
def test_settled_sale_is_never_taken_for_failed(base: Decimal, size: Decimal, fresh: Decimal, bought: bool) -> None:
    fill = silent(SILENT_AFTER, base=base + size, size=size, action="sell", fresh_coming=fresh, fresh_going=fresh)
    assert not lacks(fill, base + (fresh if bought else -fresh))


@given(base=amounts, size=amounts, action=st.sampled_from(["buy", "sell"]))
def test_unmoved_position_shows_the_failure(base: Decimal, size: Decimal, action: str) -> None:
    assert lacks(silent(SILENT_AFTER, base=base, size=size, action=action), base)
