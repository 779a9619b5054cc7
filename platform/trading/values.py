"""Prices, sizes and base units. Decimal in, Decimal or int out; a float never gets in.

Base units are the integers that go on the wire: 10^18 to one share and to one unit of collateral on Predict.fun.
"""

from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal, localcontext

from trading.enums import Action
from trading.errors import InvalidValue

ZERO = Decimal(0)
ONE = Decimal(1)
WEI = 10**18
WEI_PLACES = 18

_EXACT = Context(prec=60)


def decimal_from(value: Decimal | int | str) -> Decimal:
    """An exact, finite Decimal; a float (or anything else inexact) raises InvalidValue."""
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        raise InvalidValue(f"{value!r} is not an exact number: give a Decimal, an int or a decimal string")
    try:
        number = Decimal(value)
    except ArithmeticError as error:
        raise InvalidValue(f"{value!r} is not a decimal number") from error
    if not number.is_finite():
        raise InvalidValue(f"{value!r} is not a finite number")
    return number


def to_base_units(value: Decimal, places: int = WEI_PLACES) -> int:
    """`value` in integer base units; raises InvalidValue when it does not fit exactly. 0.57 → 570000000000000000."""
    scaled = _EXACT.scaleb(value, places)
    if scaled != scaled.to_integral_value():
        raise InvalidValue(f"{value} has more than {places} decimal places")
    return int(scaled)


def from_base_units(units: int, places: int = WEI_PLACES) -> Decimal:
    """Integer base units as an exact Decimal without trailing zeros. 570000000000000000 → 0.57."""
    return plain(_EXACT.scaleb(Decimal(units), -places))


def plain(value: Decimal) -> Decimal:
    """The same number with neither trailing zeros nor an exponent: 1E+2 → 100, 0.550 → 0.55."""
    normal = _EXACT.normalize(value)
    exponent = normal.as_tuple().exponent
    return _EXACT.quantize(normal, ONE) if isinstance(exponent, int) and exponent > 0 else normal


def text(value: Decimal) -> str:
    """The number as people and wires read it, never in scientific notation."""
    return format(plain(value), "f")


def round_down(value: Decimal, step: Decimal) -> Decimal:
    """`value` toward zero to a multiple of `step`."""
    return _to_step(value, step, ROUND_DOWN)


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """The greatest multiple of `step` not above `value`."""
    return _to_step(value, step, ROUND_FLOOR)


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """The least multiple of `step` not below `value`."""
    return _to_step(value, step, ROUND_CEILING)


def price_in_our_favour(price: Decimal, tick: Decimal, action: Action) -> Decimal:
    """`price` on the tick grid, never worse than asked: down for a buy, up for a sell."""
    return floor_to(price, tick) if action is Action.BUY else ceil_to(price, tick)


def complement(price: Decimal) -> Decimal:
    """The price of the other outcome at which the two together cost exactly 1."""
    return ONE - price


def check_price(price: Decimal, tick: Decimal) -> Decimal:
    """`price` itself when it lies strictly between 0 and 1 and on the tick grid, else InvalidValue."""
    if not ZERO < price < ONE:
        raise InvalidValue(f"price {price} must lie between 0 and 1")
    if price % tick:
        raise InvalidValue(f"price {price} is not a multiple of the tick {tick}")
    return price


def divide(numerator: Decimal, denominator: Decimal) -> Decimal:
    """A quotient to 36 significant digits, half-even: for averages, which are shown, never settled."""
    with localcontext(Context(prec=36, rounding=ROUND_HALF_EVEN)):
        return numerator / denominator


def _to_step(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    if step <= ZERO:
        raise InvalidValue(f"step {step} must be positive")
    with localcontext(_EXACT):
        return (value / step).quantize(ONE, rounding=rounding) * step
