"""How much one leg sends: the need on the venue's lot, never below its minimums, and what happens to dust."""

from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Context, Decimal, localcontext

from strategies.config import DeltaNeutralConfig
from trading.enums import Action, Platform
from trading.instruments import MarketSpec
from trading.values import ONE, PRECISION, ceil_to, round_down

_CARRIED = {Platform.PREDICT: Context(prec=5, rounding=ROUND_DOWN)}
"""Most significant digits an order's size can have: Predict.fun's own SDK truncates to 5 (venues/predict.md 5.2)."""


def sendable(size: Decimal, market: MarketSpec) -> Decimal:
    """The greatest size not above `size` one order can carry: on the lot, and no more digits than the venue keeps."""
    carried = _CARRIED.get(market.platform)
    return round_down(size if carried is None else carried.plus(size), market.lot)


def meets_minimum(market: MarketSpec, price: Decimal, size: Decimal) -> bool:
    """True when the venue takes an order of this price and size."""
    return size > 0 and size >= market.min_size and price * size >= market.min_value


def least_size(market: MarketSpec, price: Decimal) -> Decimal:
    """The smallest size on the lot the venue takes at `price`."""
    with localcontext(prec=PRECISION):
        by_value = market.min_value / price
    return max(ceil_to(max(by_value, market.min_size), market.lot), market.lot)


def split(size: Decimal, held: Decimal, market: MarketSpec) -> tuple[Decimal, Decimal]:
    """(shares to sell of what is held, shares to buy), both sendable."""
    sell = sendable(min(size, held), market)
    return sell, sendable(size - sell, market)


def is_overdue(config: DeltaNeutralConfig, dust_since: datetime | None, now: datetime) -> bool:
    """True once the oldest share of the dust has waited for the deadline."""
    return dust_since is not None and now - dust_since >= timedelta(seconds=config.dust_deadline_s)


def rounded_up(
    config: DeltaNeutralConfig, market: MarketSpec, *, action: Action, price: Decimal, need: Decimal, held: Decimal
) -> Decimal | None:
    """The size that sends overdue dust after all, or None when it should not be sent.

    The over-hedge may cost at most `dust_max_loss`: all its collateral if bought, all it gives up if sold. And it
    must leave less exposed than before, or dust would be bought and sold back for ever.
    """
    size = least_size(market, price)
    over = size - abs(need)
    if over >= abs(need) or (action is Action.SELL and size > held):
        return None
    at_risk = over * (price if action is Action.BUY else ONE - price)
    return size if at_risk <= config.dust_max_loss else None
