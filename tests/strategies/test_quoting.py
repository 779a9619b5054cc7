"""The quoter's choice of the next quote: near the touch, clear of our own orders, selling before buying more."""

from decimal import Decimal
from random import Random
from uuid import UUID

import pytest

from strategies.handlers.plan import RestingOrder
from strategies.quoting import is_stale, next_quote
from trading.enums import Action, Outcome
from trading.instruments import Level

D = Decimal


def touch(bid, ask):
    return Level(D(bid), D(100)), Level(D(ask), D(100))


def quote(market, bid="0.45", ask="0.47", *, is_bid=True, held=None, resting=()):
    return next_quote(market, touch(bid, ask), bid=is_bid, held=held or {}, resting=resting, random=Random(1))


@pytest.mark.parametrize(
    ("bid", "ask", "is_bid", "yes_price"),
    [
        ("0.45", "0.47", True, "0.46"),
        ("0.45", "0.47", False, "0.46"),
        ("0.45", "0.50", False, "0.49"),
        ("0.45", "0.46", True, "0.45"),
        ("0.45", "0.46", False, "0.46"),
    ],
)
def test_quote_improves_the_touch_where_there_is_room(market, bid, ask, is_bid, yes_price):
    found = quote(market, bid, ask, is_bid=is_bid)
    assert (found.yes_price, found.is_bid) == (D(yes_price), is_bid)
    assert 10 <= found.size <= 60


def test_quote_sells_what_is_held_first(market):
    selling = quote(market, is_bid=False, held={Outcome.YES: D(500)})
    assert (selling.outcome, selling.action, selling.price) == (Outcome.YES, Action.SELL, D("0.46"))
    buying = quote(market, is_bid=False)
    assert (buying.outcome, buying.action, buying.price) == (Outcome.NO, Action.BUY, D("0.54"))


def test_quote_keeps_clear_of_our_own_hedge(market):
    hedge = RestingOrder(
        client_order_id=UUID(int=1),
        account_id="hedge",
        outcome=Outcome.NO,
        action=Action.BUY,
        price=D("0.55"),
        remaining=D(10),
    )
    assert quote(market, resting=[hedge]).yes_price == D("0.44")


def test_empty_side_gives_no_quote(market):
    assert next_quote(market, (None, Level(D("0.5"), D(1))), bid=True, held={}, resting=(), random=Random(1)) is None


def test_cheap_market_gets_a_quote_worth_taking(market):
    found = quote(market, "0.01", "0.03", is_bid=True)
    assert found.size * found.price >= market.min_value


def test_quote_is_stale_once_the_touch_left(market):
    assert not is_stale(D("0.46"), True, touch("0.47", "0.49"), market.tick)
    assert is_stale(D("0.46"), True, touch("0.48", "0.50"), market.tick)
