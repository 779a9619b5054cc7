"""Position arithmetic: size, average price, realized profit, cash, at average cost.

A position is one account's shares of one outcome of one market. Shares are never negative at a venue (no naked
short); a negative size here means fills are still missing and is shown as such, never hidden.
"""

from decimal import Decimal
from typing import Self

import msgspec

from trading.enums import Action, FeeKind, Outcome
from trading.values import ZERO, divide


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
        return self.size * mark - self.cost

    def apply_fill(self, action: Action, price: Decimal, shares: Decimal) -> Self:
        """The position after a fill, before its fee."""
        signed = shares if action is Action.BUY else -shares
        return self._move(signed, signed * price)

    def apply_fee(self, amount: Decimal, kind: FeeKind, price: Decimal) -> Self:
        """The position after a fee of `amount` in collateral or in shares (of a fill at `price`)."""
        if kind is FeeKind.COLLATERAL:
            return msgspec.structs.replace(
                self, cash=self.cash - amount, realized=self.realized - amount, fees=self.fees + amount
            )
        return msgspec.structs.replace(self, size=self.size - amount, fees=self.fees + amount * price)

    def reverse_fill(self, action: Action, price: Decimal, shares: Decimal) -> Self:
        """The position once a fill turned out not to have happened."""
        return self.apply_fill(action.opposite, price, shares)

    def apply_settlement(self, payout: Decimal) -> Self:
        """The position once the market resolved: every share pays `payout` (1, 0 or 0.5) and is gone."""
        proceeds = self.size * payout
        return msgspec.structs.replace(
            self,
            size=ZERO,
            cost=ZERO,
            cash=self.cash + proceeds,
            realized=self.realized + proceeds - self.cost,
        )

    def _move(self, signed: Decimal, paid: Decimal) -> Self:
        size = self.size + signed
        if not self.size or (self.size > 0) == (signed > 0):
            cost, realized = self.cost + paid, self.realized
        else:
            closing = min(abs(signed), abs(self.size))
            share_of_cost = self.cost * divide(closing, abs(self.size))
            share_of_paid = paid * divide(closing, abs(signed))
            realized = self.realized - share_of_paid - share_of_cost
            cost = (self.cost - share_of_cost) + (paid - share_of_paid)
        if not size:
            realized, cost = realized - cost, ZERO
        return msgspec.structs.replace(self, size=size, cost=cost, realized=realized, cash=self.cash - paid)


def delta(outcome: Outcome, action: Action, shares: Decimal) -> Decimal:
    """A fill's delta: +shares for buy-yes and sell-no, −shares for buy-no and sell-yes (design/hedging.md)."""
    positive = (outcome is Outcome.YES) == (action is Action.BUY)
    return shares if positive else -shares
