"""What one pair owes in one market, as pure arithmetic. Dispatch loads it, applies fills, asks `need`, stores it.

Kept true: Σ lots = primary + hedged ÷ ratio, to 18 places, whatever came in which order.
A lot is (signed delta, yes price): a NO fill at p has the yes price 1 − p.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, localcontext
from typing import Self

import msgspec

from trading.enums import Outcome
from trading.values import ONE, WIDE, ZERO, divide, text

_PLACES = Decimal(1).scaleb(-18)


class Lot(msgspec.Struct, frozen=True, array_like=True):
    """Primary shares nothing covers yet."""

    delta: Decimal
    yes_price: Decimal


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Where an exposure stands on its strategy's ladder."""

    rung: int = 0
    since: datetime | None = None
    """Since when the rung is tried; None while there is nothing to try it for, or nothing may leave."""
    next_rung: int | None = None
    """The rung that follows once this one's orders have ended and their late fills were looked for."""
    owed: Decimal = ZERO
    """Unhedged delta that was there when the rung began and is still not covered, without sign."""


class ExposureState(msgspec.Struct, frozen=True, kw_only=True):
    """The durable row of (strategy, pair, market, primary account), plus what is in flight at this moment."""

    primary: Decimal = ZERO
    """Σ delta of the primary's fills, share fees taken off."""
    hedged: Decimal = ZERO
    """Σ delta of this strategy's own fills on the hedge account, share fees taken off."""
    in_flight: Decimal = ZERO
    """Σ signed remaining size of this strategy's orders that may still move shares, UNKNOWN ones included; of orders
    that unwind on the primary, times the ratio."""
    lots: tuple[Lot, ...] = ()
    """Uncovered primary shares, oldest first; all of one sign."""
    last_covered: Decimal | None = None
    """Yes price of the share covered last: what a share costs that a fee or a failed settlement opens again."""
    step: Step = Step()
    unhedged_since: datetime | None = None
    dust_since: datetime | None = None

    def apply_primary(self, delta: Decimal, yes_price: Decimal) -> Self:
        """The state after a fill of the primary's. An opposite fill closes the oldest lots first."""
        with localcontext(WIDE):
            primary = self.primary + delta
            lots, covered = _move(self.lots, delta, yes_price, self.last_covered)
        return msgspec.structs.replace(self, primary=primary, lots=lots, last_covered=covered)

    def correct_primary(self, delta: Decimal, yes_price: Decimal) -> Self:
        """The state once a fill turned out smaller: its share fee, or a failed settlement (delta of opposite sign).

        Shares still open at that very price are taken back first, the newest before the older ones.
        """
        with localcontext(WIDE):
            primary = self.primary + delta
            left = delta
            lots = list(self.lots)
            for index in range(len(lots) - 1, -1, -1):
                lot = lots[index]
                if not left or lot.yes_price != yes_price or (lot.delta > 0) == (left > 0):
                    continue
                taken = min(abs(left), abs(lot.delta)).copy_sign(left)
                lots[index] = Lot(lot.delta + taken, lot.yes_price)
                left -= taken
            open_lots, covered = _move(tuple(lot for lot in lots if lot.delta), left, yes_price, self.last_covered)
        return msgspec.structs.replace(self, primary=primary, lots=open_lots, last_covered=covered)

    def apply_hedged(self, delta: Decimal, ratio: Decimal = ONE) -> Self:
        """The state after a fill of our own hedge; with the sign turned round, after its share fee or reversal."""
        return msgspec.structs.replace(self, hedged=WIDE.add(self.hedged, delta)).realigned(ratio)

    def realigned(self, ratio: Decimal) -> Self:
        """The lots brought to primary + hedged ÷ ratio: after a hedge moved, or the ratio was changed."""
        with localcontext(WIDE):
            covering = self.hedged if ratio == ONE else (self.hedged / ratio).quantize(_PLACES)
            change = self.primary + covering - sum([lot.delta for lot in self.lots], ZERO)
            if not change:
                return self
            price = self.last_covered
            if price is None:
                price = self.lots[0].yes_price if self.lots else Decimal("0.5")
            lots, covered = _move(self.lots, change, price, self.last_covered, oldest=True)
        return msgspec.structs.replace(self, lots=lots, last_covered=covered)

    def unhedged(self, ratio: Decimal) -> Decimal:
        """ratio · primary + hedged: the delta nothing has covered yet, whatever is in flight."""
        return WIDE.add(WIDE.multiply(ratio, self.primary), self.hedged)

    def stepped(self, before: Self, ratio: Decimal) -> Self:
        """The same state with what a fill covered since `before` taken off what the rung began with."""
        if not self.step.owed:
            return self
        with localcontext(WIDE):
            was, now = before.unhedged(ratio), self.unhedged(ratio)
            covered = abs(was) if (was > 0) != (now > 0) else abs(was) - abs(now)
            if covered <= ZERO:
                return self
            owed = max(self.step.owed - covered, ZERO)
        return msgspec.structs.replace(self, step=msgspec.structs.replace(self.step, owed=owed))

    def need(self, ratio: Decimal) -> Decimal:
        """−ratio · primary − hedged − in flight: below zero asks for no-exposure, above for yes-exposure."""
        with localcontext(WIDE):
            return -ratio * self.primary - self.hedged - self.in_flight

    def unhedged_vwap(self, ratio: Decimal = ONE) -> Decimal:
        """Yes price of the shares neither hedged nor in flight; what is in flight covers the oldest first.

        With nothing left open it is the price covered last: an over-hedge is undone at that price.
        """
        with localcontext(WIDE):
            flying = self.in_flight if ratio == ONE else (self.in_flight / ratio).quantize(_PLACES)
            lots, covered = self.lots, self.last_covered
            if lots and flying and (lots[0].delta > 0) != (flying > 0):
                lots, covered = _move(lots, flying, ZERO, covered)
                if lots and (lots[0].delta > 0) != (self.lots[0].delta > 0):
                    lots = ()
            if not lots:
                return Decimal("0.5") if covered is None else covered
            shares = sum([lot.delta for lot in lots], ZERO)
            value = sum([lot.delta * lot.yes_price for lot in lots], ZERO)
        return divide(value, shares)

    def clocked(self, *, ratio: Decimal, dust: bool, now: datetime) -> Self:
        """The same state with its two clocks right: since when it is unhedged, since when the rest is dust."""
        since = (self.unhedged_since or now) if self.unhedged(ratio) else None
        dust_since = (self.dust_since or now) if dust else None
        return msgspec.structs.replace(self, unhedged_since=since, dust_since=dust_since)


def yes_price_of(outcome: Outcome, price: Decimal) -> Decimal:
    """A price in YES terms: a NO share at p is a YES share at 1 − p."""
    return price if outcome is Outcome.YES else ONE - price


def lots_json(state: ExposureState) -> list[list[str]]:
    """What the row's `lots` column holds. A first lot of zero shares remembers the price covered last."""
    memory = [["0", text(state.last_covered)]] if state.last_covered is not None else []
    return memory + [[text(lot.delta), text(lot.yes_price)] for lot in state.lots]


def parse_lots(raw: Sequence[Sequence[str]]) -> tuple[tuple[Lot, ...], Decimal | None]:
    """(lots, last covered price) from the row's `lots` column."""
    lots = tuple(Lot(Decimal(delta), Decimal(price)) for delta, price in raw)
    if lots and not lots[0].delta:
        return lots[1:], lots[0].yes_price
    return lots, None


def _move(
    lots: tuple[Lot, ...], delta: Decimal, price: Decimal, covered: Decimal | None, *, oldest: bool = False
) -> tuple[tuple[Lot, ...], Decimal | None]:
    """(lots, covered price) once Σ lots has changed by `delta`: closes the oldest, opens what is left at `price`."""
    left = delta
    rest = list(lots)
    while left and rest and (rest[0].delta > 0) != (left > 0):
        lot = rest.pop(0)
        covered = lot.yes_price
        if abs(lot.delta) > abs(left):
            rest.insert(0, Lot(lot.delta + left, lot.yes_price))
            left = ZERO
        else:
            left += lot.delta
    if left:
        if oldest and not rest and covered is not None:
            price = covered
        if rest and rest[-1].yes_price == price and not oldest:
            rest[-1] = Lot(rest[-1].delta + left, price)
        elif rest and rest[0].yes_price == price and oldest:
            rest[0] = Lot(rest[0].delta + left, price)
        else:
            rest.insert(0 if oldest else len(rest), Lot(left, price))
    return tuple(rest), covered
