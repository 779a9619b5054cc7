"""What an account's order may not do: pure checks, asked by the intake for a person's order and by the dispatch.

A denial has a stable reason code, which is written on the order's row. Self-crossing is judged in YES prices: buying
no at q is an offer of yes at 1 − q, selling no at q a bid for yes at 1 − q.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from uuid import UUID

import msgspec

from accounts.levels import CLOSING, OTHER, lets_out
from trading.enums import Action, MarketStatus, Outcome, TradingState
from trading.instruments import MarketSpec
from trading.positions import delta
from trading.values import ONE, ZERO


class Allowed(msgspec.Struct, frozen=True):
    """Nothing speaks against it."""


class Denied(msgspec.Struct, frozen=True):
    """It must not leave. `code` is stable; `text` is for a person and says what to do."""

    code: str
    text: str

    @property
    def reason(self) -> str:
        """What goes on the order's row."""
        return f"{self.code}: {self.text}"


Verdict = Allowed | Denied
ALLOWED = Allowed()


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """An order that would like to leave."""

    id: UUID
    account_id: UUID
    outcome: Outcome
    action: Action
    price: Decimal
    size: Decimal
    kind: str = OTHER
    """Its pass (`levels.pass_of`): what a stop's level goes by."""


class OwnOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order of any of our accounts in the same market that may still trade. `size` is what remains of it."""

    id: UUID
    account_id: UUID
    outcome: Outcome
    action: Action
    price: Decimal
    size: Decimal


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """All that a verdict depends on, read in one transaction."""

    desk_level: str
    """The level of the stop in force; empty while the desk trades."""
    account_state: TradingState
    market: MarketSpec | None
    """None for a market the catalogue does not know."""
    max_order: Decimal | None = None
    max_position: Decimal | None = None
    max_notional_per_day: Decimal | None = None
    held: Mapping[Outcome, Decimal] = msgspec.field(default_factory=dict)
    """The account's shares of this market."""
    own_orders: tuple[OwnOrder, ...] = ()
    day_notional: Decimal = ZERO
    """Price × size of the account's other orders of this UTC day that were neither denied nor rejected."""


def check(order: Proposal, standing: Standing) -> Verdict:
    """The first thing that speaks against `order`, or ALLOWED."""
    if not lets_out(standing.desk_level, order.kind):
        return Denied("desk_halted", f"the desk is stopped ({standing.desk_level})")
    if standing.account_state is TradingState.HALTED:
        return Denied("account_halted", "the account is halted")
    if standing.market is None:
        return Denied("market_unknown", "the market's tokens and grid are not known yet")
    if standing.market.status is not MarketStatus.OPEN:
        return Denied("market_closed", f"the market is {standing.market.status}")
    others = [own for own in standing.own_orders if own.id != order.id]
    mine = [own for own in others if own.account_id == order.account_id]
    if order.kind == CLOSING and not reduces(order, standing.held, mine):
        return Denied("not_reducing", "a closing order may only reduce what the account holds")
    if standing.account_state is TradingState.REDUCING and not reduces(order, standing.held, mine):
        return Denied("account_reducing", "the account only takes orders that reduce its position")
    return check_sizes(order, standing, mine) or check_crossing(order, others) or ALLOWED


def check_sizes(order: Proposal, standing: Standing, mine: Iterable[OwnOrder]) -> Denied | None:
    """The account's own limits; `mine` are its other open orders in the market."""
    if standing.max_order is not None and order.size > standing.max_order:
        return Denied("max_order", f"{order.size:f} shares exceed the largest order, {standing.max_order:f}")
    if standing.max_position is not None and order.action is Action.BUY:
        coming = sum((own.size for own in mine if (own.outcome, own.action) == (order.outcome, Action.BUY)), ZERO)
        reach = standing.held.get(order.outcome, ZERO) + coming + order.size
        if reach > standing.max_position:
            return Denied("max_position", f"{reach:f} {order.outcome} shares exceed {standing.max_position:f}")
    if standing.max_notional_per_day is not None:
        total = standing.day_notional + order.price * order.size
        if total > standing.max_notional_per_day:
            return Denied("max_notional_per_day", f"{total:f} today exceeds {standing.max_notional_per_day:f}")
    return None


def check_crossing(order: Proposal, others: Iterable[OwnOrder]) -> Denied | None:
    """Denied when `order` could trade with one of our own."""
    for own in others:
        if crosses(order, own):
            return Denied("self_cross", f"it would trade with our own order {own.id}")
    return None


def crosses(order: Proposal, own: OwnOrder) -> bool:
    """Whether the two could match each other: on opposite sides in YES, at prices that meet."""
    bids, price = _in_yes(order.outcome, order.action, order.price)
    own_bids, own_price = _in_yes(own.outcome, own.action, own.price)
    if bids == own_bids:
        return False
    return price >= own_price if bids else own_price >= price


def reduces(order: Proposal, held: Mapping[Outcome, Decimal], mine: Iterable[OwnOrder]) -> bool:
    """Whether `order`, after all that already leaves in its direction, still brings the net position toward zero."""
    move = delta(order.outcome, order.action, order.size)
    net = held.get(Outcome.YES, ZERO) - held.get(Outcome.NO, ZERO)
    net += sum((step for own in mine if ((step := delta(own.outcome, own.action, own.size)) > 0) == (move > 0)), ZERO)
    return (net > 0) != (move > 0) and abs(move) <= abs(net)


def _in_yes(outcome: Outcome, action: Action, price: Decimal) -> tuple[bool, Decimal]:
    """(is a bid, at this price) in terms of YES."""
    is_bid = (outcome is Outcome.YES) == (action is Action.BUY)
    return is_bid, price if outcome is Outcome.YES else ONE - price
