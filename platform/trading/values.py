"""Prices, sizes and base units. Decimal in, Decimal or int out; a float never gets in.

Base units are the integers that go on the wire: 10^18 to one share and to one unit of collateral on Predict.fun.

Python's default context keeps 28 digits, and two 18-place numbers multiplied need 36 places: it rounds silently, even
in a plain `-x`. All arithmetic of the trade therefore runs inside `exact()`, where rounding raises instead.
"""

from contextlib import AbstractContextManager
from decimal import (
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
    localcontext,
)

from trading.enums import Action
from trading.errors import InvalidValue

ZERO = Decimal(0)
ONE = Decimal(1)
MINUS = "\N{MINUS SIGN}"
"""How people write the sign; wires have a hyphen."""
WEI = 10**18
WEI_PLACES = 18
PRECISION = 60
"""Digits enough that no sum or product of 18-place amounts rounds before it is stored."""
WIDE = Context(prec=PRECISION)
"""For arithmetic that may divide, and so round, far behind what is stored."""

_CENT = Decimal("0.01")
_EXACT = Context(prec=78, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
# 78 digits hold any uint256, and a product of two 18-place numbers with 42 digits before the point.
_AVERAGE = Context(prec=36, rounding=ROUND_HALF_EVEN)


def exact() -> AbstractContextManager[Context]:
    """A context in which sums, differences and products are exact: `with exact(): …`. Rounding raises decimal.Inexact.

    Inside it divide with `divide`, or with `//` and `%`.
    """
    return localcontext(_EXACT)


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


def check_number(name: str, value: Decimal, least: Decimal = ZERO, most: Decimal | None = None) -> Decimal:
    """`value` itself when it is finite and within [`least`, `most`], else InvalidValue that names it."""
    if not value.is_finite() or value < least or (most is not None and value > most):
        raise InvalidValue(f"{name} cannot be {value}")
    return value


def to_base_units(value: Decimal, places: int = WEI_PLACES) -> int:
    """`value` in integer base units; raises InvalidValue when it does not fit exactly. 0.57 → 570000000000000000."""
    try:
        scaled = _EXACT.scaleb(value, places)
    except ArithmeticError as error:
        raise InvalidValue(f"{value} has more digits than any venue takes") from error
    if scaled != scaled.to_integral_value():
        raise InvalidValue(f"{value} has more than {places} decimal places")
    return int(scaled)


def from_base_units(units: int, places: int = WEI_PLACES) -> Decimal:
    """Integer base units as an exact Decimal without trailing zeros. 570000000000000000 → 0.57."""
    return plain(_EXACT.scaleb(Decimal(units), -places))


def plain(value: Decimal) -> Decimal:
    """The same number with neither trailing zeros nor an exponent: 1E+2 → 100, 0.550 → 0.55."""
    normal = _EXACT.normalize(value)
    return _EXACT.quantize(normal, ONE) if normal == normal.to_integral_value() else normal


def price_text(value: Decimal) -> str:
    """A price as people read it: two decimals, more only when it has more. `0.50` `0.123`."""
    written = f"{value.normalize():f}"
    return f"{value:.2f}" if len(written.partition(".")[2]) < 2 else written


def cents_text(value: Decimal) -> str:
    """Collateral as people read it, in cents: `1,013.00` `−3.21`, and `0.00` without a sign."""
    rounded = value.quantize(_CENT, rounding=ROUND_HALF_EVEN)
    return f"{rounded or abs(rounded):,f}".replace("-", MINUS)


def text(value: Decimal) -> str:
    """The number as people and wires read it, never in scientific notation."""
    return format(_EXACT.normalize(value), "f")


def round_down(value: Decimal, step: Decimal) -> Decimal:
    """`value` toward zero to a multiple of `step`."""
    steps, _ = _steps(value, step)
    return _EXACT.multiply(steps, step)


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """The greatest multiple of `step` not above `value`."""
    steps, rest = _steps(value, step)
    return _EXACT.multiply(_EXACT.subtract(steps, ONE) if rest < ZERO else steps, step)


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """The least multiple of `step` not below `value`."""
    steps, rest = _steps(value, step)
    return _EXACT.multiply(_EXACT.add(steps, ONE) if rest > ZERO else steps, step)


def price_in_our_favour(price: Decimal, tick: Decimal, action: Action) -> Decimal:
    """`price` on the tick grid, never worse than asked: down for a buy, up for a sell."""
    return floor_to(price, tick) if action is Action.BUY else ceil_to(price, tick)


def complement(price: Decimal) -> Decimal:
    """The price of the other outcome at which the two together cost exactly 1."""
    return _EXACT.subtract(ONE, price)


def check_price(price: Decimal, tick: Decimal) -> Decimal:
    """`price` itself when it lies strictly between 0 and 1 and on the tick grid, else InvalidValue."""
    if not ZERO < price < ONE:
        raise InvalidValue(f"price {price} must lie between 0 and 1")
    if _EXACT.remainder(price, tick):
        raise InvalidValue(f"price {price} is not a multiple of the tick {tick}")
    return price


def divide(numerator: Decimal, denominator: Decimal) -> Decimal:
    """A quotient to 36 significant digits, half-even: for averages, which are shown, never settled."""
    return _AVERAGE.divide(numerator, denominator)


def _steps(value: Decimal, step: Decimal) -> tuple[Decimal, Decimal]:
    """How many whole steps are in `value`, toward zero, and what is left over: exact, unlike a division."""
    if step <= ZERO:
        raise InvalidValue(f"step {step} must be positive")
    return _EXACT.divmod(value, step)
