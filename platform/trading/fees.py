"""Predict.fun's taker fee and the cost of a pair, exactly. Source: venues/predict.md 5.6, verified on live fills."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

from trading.enums import Action, FeeKind
from trading.errors import InvalidValue
from trading.values import ONE, ZERO, complement, exact

_BPS_PLACES = 4
_WEI = Decimal(1).scaleb(-18)
_DOWN = Context(prec=78, rounding=ROUND_FLOOR)
_UP = Context(prec=78, rounding=ROUND_CEILING)
_HALF = Decimal("0.5")


def fee_rate(fee_rate_bps: int) -> Decimal:
    """The rate as a fraction, 0 ≤ rate < 1; 200 → 0.02."""
    if not 0 <= fee_rate_bps < 10**_BPS_PLACES:
        raise InvalidValue(f"a fee rate of {fee_rate_bps} basis points is not between 0 and 100 %")
    return Decimal(fee_rate_bps).scaleb(-_BPS_PLACES)


def fee_per_share(price: Decimal, fee_rate_bps: int) -> Decimal:
    """What one share costs a taker in fees, in collateral: rate · min(p, 1 − p)."""
    with exact():
        return fee_rate(fee_rate_bps) * min(price, complement(price))


def taker_fee(action: Action, price: Decimal, shares: Decimal, fee_rate_bps: int) -> tuple[Decimal, FeeKind]:
    """The taker's fee, floored to 18 places: collateral on a sell, shares on a buy. Makers pay nothing."""
    with exact():
        collateral = fee_per_share(price, fee_rate_bps) * shares
    if action is Action.SELL:
        return _DOWN.quantize(collateral, _WEI), FeeKind.COLLATERAL
    if price <= ZERO:
        raise InvalidValue(f"a share cannot be bought at {price}")
    return _DOWN.quantize(_DOWN.divide(collateral, price), _WEI), FeeKind.SHARES


def highest_price_within(cost: Decimal, fee_rate_bps: int) -> Decimal:
    """The highest price q ≤ 1 with q + fee_per_share(q) ≤ `cost`: a limit whose taker cost stays within `cost`.

    Rounded down at the 78th digit, so it never costs more; 0 when `cost` is not positive. Put it on the tick with
    `floor_to`.
    """
    rate = fee_rate(fee_rate_bps)
    if cost <= ZERO:
        return ZERO
    cheap = _DOWN.divide(cost, ONE + rate)
    if cheap <= _HALF:
        return cheap
    return min(_DOWN.divide(_DOWN.subtract(cost, rate), ONE - rate), ONE)


def lowest_price_within(proceeds: Decimal, fee_rate_bps: int) -> Decimal:
    """The lowest price q with q − fee_per_share(q) ≥ `proceeds`: a sale that nets at least `proceeds` per share.

    Rounded up at the 78th digit, so it never nets less; 0 when `proceeds` is not positive, 1 when no price nets them.
    Put it on the tick with `ceil_to`.
    """
    rate = fee_rate(fee_rate_bps)
    if proceeds <= ZERO:
        return ZERO
    cheap = _UP.divide(proceeds, ONE - rate)
    if cheap <= _HALF:
        return cheap
    return min(_UP.divide(_UP.add(proceeds, rate), ONE + rate), ONE)
