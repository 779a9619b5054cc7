"""Predict.fun's taker fee and the cost of a pair, exactly. Source: venues/predict.md 5.6, verified on live fills."""

from decimal import ROUND_FLOOR, Decimal, localcontext

from trading.enums import Action, FeeKind
from trading.values import ONE, ZERO

_BPS = Decimal(10_000)


def fee_per_share(price: Decimal, fee_rate_bps: int) -> Decimal:
    """What one share costs a taker in fees, in collateral: rate · min(p, 1 − p)."""
    return Decimal(fee_rate_bps) / _BPS * min(price, ONE - price)


def taker_fee(action: Action, price: Decimal, shares: Decimal, fee_rate_bps: int) -> tuple[Decimal, FeeKind]:
    """The taker's fee, floored to 18 places: collateral on a sell, shares on a buy. Makers pay nothing."""
    with localcontext(prec=60):
        collateral = Decimal(fee_rate_bps) / _BPS * min(price, ONE - price) * shares
        amount = collateral if action is Action.SELL else collateral / price
        kind = FeeKind.COLLATERAL if action is Action.SELL else FeeKind.SHARES
        return amount.quantize(Decimal(1).scaleb(-18), rounding=ROUND_FLOOR), kind


def highest_price_within(cost: Decimal, fee_rate_bps: int) -> Decimal:
    """The highest price q with q + fee_per_share(q) ≤ `cost`: a limit whose taker cost stays within `cost`.

    Exact to 36 digits, before rounding to a tick; 0 when `cost` is not positive.
    """
    if cost <= ZERO:
        return ZERO
    rate = Decimal(fee_rate_bps) / _BPS
    with localcontext(prec=36):
        low = cost / (ONE + rate)
        if low <= Decimal("0.5"):
            return low
        return min((cost - rate) / (ONE - rate), ONE)


def lowest_price_within(proceeds: Decimal, fee_rate_bps: int) -> Decimal:
    """The lowest price q with q − fee_per_share(q) ≥ `proceeds`: a sale that nets at least `proceeds` per share."""
    rate = Decimal(fee_rate_bps) / _BPS
    if proceeds <= ZERO:
        return ZERO
    with localcontext(prec=36):
        low = proceeds / (ONE - rate)
        if low <= Decimal("0.5"):
            return low
        return min((proceeds + rate) / (ONE + rate), ONE)
