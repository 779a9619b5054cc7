"""Position arithmetic: size, average price, realized profit, cash, at average cost.

A position is one account's shares of one outcome of one market. Shares are never negative at a venue (no naked
short); a negative size here means fills are still missing and is shown as such, never hidden.

Everything is exact (`trading.values.exact`) but one thing: what part of the cost a partial sale takes with it is
rounded to 36 places, and what it takes, the rest keeps not. So realized − cost = cash holds to the last digit, and
realized + unrealized = cash + size × mark at any mark. A fill's price and size have at most 18 places each.
"""

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Self

import msgspec

from trading.enums import Action, FeeKind, Outcome
from trading.values import ZERO, divide, exact

_YES, _BUY = Outcome.YES, Action.BUY
"""By name, since these are asked for every order of a market: `Outcome.YES` is a search each time it is written."""
_WIDE = Context(prec=78, rounding=ROUND_HALF_EVEN)
_MONEY = Decimal(1).scaleb(-36)
"""The grid that prices times sizes lie on."""


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """Size in shares; money in collateral. Equity of the position = cash + size × mark."""

    size: Decimal = ZERO
    cost: Decimal = ZERO
    """What the present size cost; a fee taken in shares leaves it where it is, and so raises the average."""
    realized: Decimal = ZERO
    """Profit of what was sold or settled, after fees taken in collateral."""
    fees: Decimal = ZERO
    """Collateral fees, plus share fees at their fill's price. For show: already inside cost and realized."""
    cash: Decimal = ZERO
    """Σ collateral received − paid, fees included: conserved whatever order the fills came in."""

    @property
    def average_price(self) -> Decimal:
        """Collateral per share of the present size; zero when flat."""
        return divide(self.cost, self.size) if self.size else ZERO

    def unrealized(self, mark: Decimal) -> Decimal:
        """Profit if the present size were worth `mark` a share."""
        with exact():
            return self.size * mark - self.cost

    def equity(self, mark: Decimal) -> Decimal:
        """What the position is worth in all: cash + size × mark, which is realized + unrealized."""
        with exact():
            return self.cash + self.size * mark

    def apply_fill(self, action: Action, price: Decimal, shares: Decimal) -> Self:
        """The position after a fill, before its fee."""
        return self._move(shares if action is Action.BUY else shares.copy_negate(), price)

    def apply_fee(self, amount: Decimal, kind: FeeKind, price: Decimal) -> Self:
        """The position after a fee of `amount` in collateral or in shares (of a fill at `price`)."""
        with exact():
            if kind is FeeKind.SHARES:
                fees, size = self.fees + amount * price, self.size - amount
                if size:
                    return msgspec.structs.replace(self, size=size, fees=fees)
                # The fee took the last shares: what they cost is gone.
                realized = self.realized - self.cost
                return msgspec.structs.replace(self, size=ZERO, cost=ZERO, realized=realized, fees=fees)
            return msgspec.structs.replace(
                self, cash=self.cash - amount, realized=self.realized - amount, fees=self.fees + amount
            )

    def reverse_fill(self, action: Action, price: Decimal, shares: Decimal) -> Self:
        """The position once a fill turned out not to have happened."""
        return self.apply_fill(action.opposite, price, shares)

    def apply_settlement(self, payout: Decimal) -> Self:
        """The position once the market resolved: every share pays `payout` (1, 0 or 0.5) and is gone."""
        with exact():
            proceeds = self.size * payout
            return msgspec.structs.replace(
                self,
                size=ZERO,
                cost=ZERO,
                cash=self.cash + proceeds,
                realized=self.realized + proceeds - self.cost,
            )

    def _move(self, signed: Decimal, price: Decimal) -> Self:
        """The position after `signed` shares more (or fewer) at `price`."""
        with exact():
            size, paid = self.size + signed, signed * price
            if not self.size or (self.size > 0) == (signed > 0):
                cost, realized = self.cost + paid, self.realized
            else:
                # The closing part ends some of what is held; anything beyond it opens the other side.
                closing = min(signed.copy_abs(), self.size.copy_abs()).copy_sign(signed)
                cost_closed = self._cost_of(closing.copy_negate())
                realized = self.realized - closing * price - cost_closed
                cost = self.cost - cost_closed + (signed - closing) * price
            return msgspec.structs.replace(self, size=size, cost=cost, realized=realized, cash=self.cash - paid)

    def _cost_of(self, shares: Decimal) -> Decimal:
        """What `shares` of the present size cost on average; all of them, all of it."""
        if shares == self.size:
            return self.cost
        return _WIDE.quantize(_WIDE.divide(_WIDE.multiply(self.cost, shares), self.size), _MONEY)


def is_bid(outcome: Outcome, action: Action) -> bool:
    """True for buy-yes and sell-no: both are bids of the one book, and raise the delta."""
    return (outcome is _YES) is (action is _BUY)


def delta(outcome: Outcome, action: Action, shares: Decimal) -> Decimal:
    """A fill's delta: +shares for buy-yes and sell-no, −shares for buy-no and sell-yes (design/hedging.md)."""
    return shares if is_bid(outcome, action) else shares.copy_negate()


def reducible(
    outcome: Outcome,
    action: Action,
    held: Mapping[Outcome, Decimal],
    going: Mapping[tuple[Outcome, Action], Decimal],
) -> Decimal:
    """Most shares of such an order that lower what an account holds, after all its open orders (`going`) have filled.

    A sale of held shares does. A purchase does as far as it pairs with shares of the other outcome held net.
    """
    here, there = held.get(outcome, ZERO), held.get(outcome.opposite, ZERO)
    if action is Action.SELL:
        left = here - going.get((outcome, Action.SELL), ZERO) - going.get((outcome.opposite, Action.BUY), ZERO)
    else:
        left = there - here - going.get((outcome, Action.BUY), ZERO) - going.get((outcome.opposite, Action.SELL), ZERO)
    return max(left, ZERO)
