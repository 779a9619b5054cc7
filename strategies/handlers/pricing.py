"""The limit price of a hedge leg: complement, book or mirror, on the tick, with the taker's fee inside the bound.

Everything follows from one number, the most that one share of the wanted outcome may cost. Selling a share of the
other outcome does the same to the delta, so it must bring at least 1 − that cost.
"""

from collections.abc import Iterable
from decimal import Decimal

from strategies.config import DeltaNeutralConfig, PricePolicy
from trading.enums import Action, Outcome
from trading.fees import highest_price_within, lowest_price_within
from trading.instruments import Book, Level, MarketSpec
from trading.values import ONE, WIDE, price_in_our_favour


def wanted_outcome(need: Decimal) -> Outcome:
    """The outcome whose exposure `need` asks for."""
    return Outcome.YES if need > 0 else Outcome.NO


def leg_outcome(need: Decimal, action: Action) -> Outcome:
    """What a leg trades: it buys the wanted outcome, or sells the other one."""
    wanted = wanted_outcome(need)
    return wanted if action is Action.BUY else wanted.opposite


def bound(config: DeltaNeutralConfig, need: Decimal, unhedged_vwap: Decimal) -> Decimal:
    """The most one share of the wanted outcome may cost, fee included, for a primary open at yes price `unhedged_vwap`.

    `mirror` is the seed's own rule: the primary's price in its own outcome, plus the adjustment.
    """
    primary_own = WIDE.subtract(ONE, unhedged_vwap) if need > 0 else unhedged_vwap
    if config.price_policy is PricePolicy.MIRROR:
        return WIDE.add(primary_own, config.price_adjustment)
    return WIDE.add(WIDE.subtract(ONE, primary_own), config.max_loss)


def leg_price(
    config: DeltaNeutralConfig,
    market: MarketSpec,
    book: Book | None,
    *,
    need: Decimal,
    unhedged_vwap: Decimal,
    action: Action,
    size: Decimal,
) -> Decimal | None:
    """The leg's limit price on the tick, in its own outcome; None when no price on the grid stays within the bound."""
    most = bound(config, need, unhedged_vwap)
    fee = 0 if config.price_policy is PricePolicy.MIRROR else market.fee_rate_bps
    if action is Action.BUY:
        exact = highest_price_within(most, fee)
    else:
        exact = lowest_price_within(WIDE.subtract(ONE, most), fee)
    limit = on_grid(exact, market.tick, action)
    if limit is None or config.price_policy is not PricePolicy.BOOK or book is None:
        return limit
    view = book.view(leg_outcome(need, action))
    worst = worst_level(view.asks if action is Action.BUY else view.bids, size)
    if worst is None:
        return limit
    level = price_in_our_favour(worst, market.tick, action)
    return min(level, limit) if action is Action.BUY else max(level, limit)


def on_grid(price: Decimal, tick: Decimal, action: Action) -> Decimal | None:
    """`price` on the tick in our favour and inside (0, 1); None when that would be worse than asked."""
    rounded = price_in_our_favour(price, tick, action)
    if action is Action.BUY:
        return min(rounded, ONE - tick) if rounded >= tick else None
    return max(rounded, tick) if rounded <= ONE - tick else None


def worst_level(levels: Iterable[Level], size: Decimal) -> Decimal | None:
    """The price at which `levels`, best first, have given `size` shares; None when they do not reach that far."""
    reached = Decimal(0)
    for level in levels:
        reached += level.size
        if reached >= size:
            return level.price
    return None
