"""Order amounts in wei, by the official SDK's rules to the last digit. Integers only; called by signing.

Prices keep 3 significant digits and sizes 5, truncated toward zero (venues/predict.md, 5.2). The SDK truncates in
silence; `exact_limit_amounts` refuses instead, because a size that shrinks on its way out leaves a hedge short.
"""

from collections.abc import Sequence
from decimal import ROUND_DOWN, Context, Decimal
from typing import Final

import msgspec

from trading.enums import Action
from trading.errors import InvalidValue
from trading.values import WEI, plain, to_base_units

PRICE_DIGITS: Final = 3
SIZE_DIGITS: Final = 5
LEAST_SIZE: Final = WEI // 100
LEAST_MARKET_VALUE: Final = WEI

_FIVE_DIGITS = Context(prec=SIZE_DIGITS, rounding=ROUND_DOWN)

Depth = Sequence[tuple[int, int]]
"""(price, size) levels in wei, best first, in the outcome's own prices (the venue's book is priced in YES)."""


class Amounts(msgspec.Struct, frozen=True, kw_only=True):
    """What an order gives (`maker_amount`) and takes (`taker_amount`), in wei."""

    maker_amount: int
    taker_amount: int
    price_per_share: int
    """The limit, or a market order's expected average."""
    last_price: int
    """The worst price the order may pay or get."""
    size: int


def truncate_digits(value: int, digits: int) -> int:
    """`value` with all but its first `digits` significant digits made zero, toward zero."""
    excess = len(str(abs(value))) - digits
    if excess <= 0:
        return value
    unit: int = 10**excess
    return value // unit * unit if value >= 0 else -(-value // unit * unit)


def sendable_size(size: Decimal) -> Decimal:
    """The greatest size not above `size` that an order can carry: 5 significant digits, 2 places. 1234.56 → 1234.5."""
    return plain(_FIVE_DIGITS.plus(size).quantize(Decimal("0.01"), rounding=ROUND_DOWN))


def limit_amounts(action: Action, price: int, size: int) -> Amounts:
    """A limit order's amounts from wei, truncated as in the SDK. InvalidValue below 0.01 share or at no price."""
    if price <= 0:
        raise InvalidValue(f"price {price} wei must be positive")
    if size < LEAST_SIZE:
        raise InvalidValue(f"size {size} wei is below the least order of 0.01 share")
    price, size = truncate_digits(price, PRICE_DIGITS), truncate_digits(size, SIZE_DIGITS)
    value = price * size // WEI
    buy = action is Action.BUY
    return Amounts(
        maker_amount=value if buy else size,
        taker_amount=size if buy else value,
        price_per_share=price,
        last_price=price,
        size=size,
    )


def exact_limit_amounts(action: Action, price: Decimal, size: Decimal) -> Amounts:
    """A limit order's amounts, or InvalidValue when the order would not carry `price` and `size` to the digit."""
    price_wei, size_wei = to_base_units(price), to_base_units(size)
    amounts = limit_amounts(action, price_wei, size_wei)
    if amounts.price_per_share != price_wei:
        raise InvalidValue(f"price {price} has more than {PRICE_DIGITS} significant digits")
    if amounts.size != size_wei:
        raise InvalidValue(f"size {size} has more than {SIZE_DIGITS} significant digits; {sendable_size(size)} fits")
    return amounts


def market_amounts(
    action: Action, size: int, depth: Depth, *, slippage_bps: int = 0, min_amount_out: bool = False
) -> Amounts:
    """A market order's amounts by size, from the side of the book it would take (asks for a buy, bids for a sell).

    A book thinner than `size` yields a smaller order, as in the SDK: compare the answer's `size` with what was asked.
    `min_amount_out` (buys only) commits the expected cost instead of the worst price for every share.
    """
    size = truncate_digits(size, SIZE_DIGITS)
    if size < LEAST_SIZE:
        raise InvalidValue(f"size {size} wei is below the least order of 0.01 share")
    filled = cost = last = 0
    for price, available in depth:
        wanted = size - filled
        if wanted <= 0:
            break
        taken = min(wanted, available)
        filled += taken
        cost += price * taken
        last = price
    average = cost // filled if filled else 0
    worst = last * filled // WEI
    if action is Action.SELL:
        maker, taker = filled, worst * (10_000 - slippage_bps) // 10_000
    elif min_amount_out:
        maker, taker = cost // WEI, (cost // last if last else 0) * (10_000 - slippage_bps) // 10_000
    else:
        maker, taker = worst if not slippage_bps else min(worst * (10_000 + slippage_bps) // 10_000, filled), filled
    return Amounts(
        maker_amount=max(maker, 0), taker_amount=max(taker, 0), price_per_share=average, last_price=last, size=filled
    )


def market_amounts_for_value(
    value: int, asks: Depth, *, slippage_bps: int = 0, min_amount_out: bool = False
) -> Amounts:
    """A market buy's amounts for `value` wei of collateral, at least 1 USDT. `size` is what was asked of the book."""
    if value < LEAST_MARKET_VALUE:
        raise InvalidValue(f"value {value} wei is below the least market order of 1 USDT")
    shares = spent = 0
    for price, available in asks:
        left = value - spent
        if left <= 0:
            break
        level = price * available // WEI
        taken = available if level <= left else (left * WEI // price if price > 0 else 0)
        shares += taken
        spent += price * taken // WEI
    size = truncate_digits(shares, SIZE_DIGITS)
    amounts = market_amounts(Action.BUY, size, asks, slippage_bps=slippage_bps, min_amount_out=min_amount_out)
    return msgspec.structs.replace(amounts, size=size)
