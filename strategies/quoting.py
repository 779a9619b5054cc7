"""Where the demo desk's primary quotes next. Pure: the quoter and the rehearsal carry it out."""

from collections.abc import Iterable
from decimal import Decimal
from random import Random

import msgspec

from strategies.handlers.crossing import clear_price
from strategies.handlers.plan import RestingOrder
from strategies.handlers.sizing import least_size
from strategies.paper_venue import Touch
from trading.enums import Action, Outcome
from trading.instruments import MarketSpec
from trading.values import ONE

LEAST, MOST = 10, 60


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """One resting order to place."""

    outcome: Outcome
    action: Action
    price: Decimal
    size: Decimal

    @property
    def yes_price(self) -> Decimal:
        """Its price in YES terms."""
        return self.price if self.outcome is Outcome.YES else ONE - self.price

    @property
    def is_bid(self) -> bool:
        """True when it buys YES or sells NO."""
        return (self.outcome is Outcome.YES) == (self.action is Action.BUY)


def next_quote(
    market: MarketSpec,
    touch: Touch,
    *,
    bid: bool,
    held: dict[Outcome, Decimal],
    resting: Iterable[RestingOrder],
    random: Random,
) -> Quote | None:
    """A quote that improves the touch by a tick where there is room and joins it where there is none.

    It sells what the account holds before it buys more, and it crosses none of our own orders; None when it would
    have to, or when a side of the book is empty.
    """
    best_bid, best_ask = touch
    if best_bid is None or best_ask is None:
        return None
    if best_bid.price + market.tick < best_ask.price:
        yes_price = best_bid.price + market.tick if bid else best_ask.price - market.tick
    else:
        yes_price = best_bid.price if bid else best_ask.price
    size = Decimal(random.randint(LEAST, MOST))
    buys, sells = (Outcome.YES, Outcome.NO) if bid else (Outcome.NO, Outcome.YES)
    outcome, action = (sells, Action.SELL) if held.get(sells, Decimal(0)) >= size else (buys, Action.BUY)
    price = yes_price if outcome is Outcome.YES else ONE - yes_price
    clear = clear_price(outcome, action, price, market.tick, resting)
    if clear is None or not market.tick <= clear <= ONE - market.tick:
        return None
    if action is Action.BUY:
        size = max(size, least_size(market, clear))
    elif size * clear < market.min_value:
        return None
    return Quote(outcome=outcome, action=action, price=clear, size=size)


def is_stale(quote_yes_price: Decimal, is_bid: bool, touch: Touch, tick: Decimal) -> bool:
    """True when the touch has moved more than a tick away from a standing quote."""
    best = touch[0] if is_bid else touch[1]
    return best is not None and abs(best.price - quote_yes_price) > tick
