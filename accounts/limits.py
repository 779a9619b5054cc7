"""What an account's order may not do: pure checks, asked by the intake for every order that is not a hedge.

Hedges are judged by `strategies.risk`, which shrinks where this denies; what REDUCING means is one rule for both
(`trading.positions.reducible`). docs/operations.md has the table of states and orders.

A denial has a stable reason code, which is written on the order's row. Self-crossing is judged in YES prices: buying
no at q is an offer of yes at 1 − q, selling no at q a bid for yes at 1 − q.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from uuid import UUID

import msgspec

from accounts.levels import CLOSING, FLATTEN, OTHER, lets_out
from trading.enums import Action, MarketStatus, Outcome, TradingState
from trading.instruments import MarketSpec
from trading.positions import reducible
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
    desk_state: TradingState = TradingState.ACTIVE
    venue_state: TradingState = TradingState.ACTIVE
    is_stale: bool = False
    """The account's books were last compared with the venue too long ago (`reconciliation.STALE_AFTER`)."""
    market: MarketSpec | None
    """None for a market the catalogue does not know."""
    max_order: Decimal | None = None
    max_position: Decimal | None = None
    max_notional_per_day: Decimal | None = None
    held: Mapping[Outcome, Decimal] = msgspec.field(default_factory=dict)
    """The account's shares of this market; an outcome it never had is not in it, and what it holds is unknown."""
    unsettled: Mapping[Outcome, Decimal] = msgspec.field(default_factory=dict)
    """Of those, bought and not settled: the venue lets nobody sell them yet."""
    free: Decimal | None = None
    """Collateral the account can still pay, its open buys taken off. None when the balance is not known: then it
    is for the venue to say."""
    market_max_position: Decimal | None = None
    """Most shares of one outcome that all our accounts together may hold in this market."""
    market_held: Mapping[Outcome, Decimal] = msgspec.field(default_factory=dict)
    """What they hold."""
    price_band: Decimal | None = None
    """Furthest the price may lie from `mark`."""
    mark: Decimal | None = None
    """The middle of the book, or the last price known there, in YES. None: nobody knows, and no band is checked."""
    own_orders: tuple[OwnOrder, ...] = ()
    day_notional: Decimal = ZERO
    """Price × size of the account's other orders of this UTC day that were neither denied nor rejected."""


def check(order: Proposal, standing: Standing) -> Verdict:
    """The first thing that speaks against `order`, or ALLOWED."""
    denied = check_states(order, standing)
    if denied is not None:
        return denied
    if standing.market is None:
        return Denied("market_unknown", "the market's tokens and grid are not known yet")
    if standing.market.status is not MarketStatus.OPEN:
        return Denied("market_closed", f"the market is {standing.market.status}")
    others = [own for own in standing.own_orders if own.id != order.id]
    mine = [own for own in others if own.account_id == order.account_id]
    return (
        check_reducing(order, standing, mine)
        or check_sizes(order, standing, mine)
        or check_market(order, standing, others)
        or check_means(order, standing, mine)
        or check_crossing(order, others)
        or ALLOWED
    )


def check_states(order: Proposal, standing: Standing) -> Denied | None:
    """What is HALTED sends nothing. A stop that flattens is stronger: its closing orders leave all the same."""
    if not lets_out(standing.desk_level, order.kind):
        return Denied("desk_halted", f"the desk is stopped ({standing.desk_level})")
    if standing.desk_level == FLATTEN:
        return None
    for state, scope in _scopes(standing):
        if state is TradingState.HALTED:
            return Denied(f"{scope}_halted", f"the {scope} is halted")
    return None


def check_reducing(order: Proposal, standing: Standing, mine: Iterable[OwnOrder]) -> Denied | None:
    """What is REDUCING, and an order that closes, only lowers what the account holds."""
    going: dict[tuple[Outcome, Action], Decimal] = {}
    for own in mine:
        key = (own.outcome, own.action)
        going[key] = going.get(key, ZERO) + own.size
    if order.size <= reducible(order.outcome, order.action, standing.held, going):
        return None
    if order.kind == CLOSING:
        return Denied("not_reducing", "a closing order may only reduce what the account holds")
    for state, scope in _scopes(standing):
        if state is TradingState.REDUCING:
            return Denied(f"{scope}_reducing", f"the {scope} only takes orders that reduce the account's position")
    if standing.is_stale:
        return Denied("truth_stale", "the books were not compared with the venue lately: only what reduces may leave")
    return None


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


def check_market(order: Proposal, standing: Standing, others: Iterable[OwnOrder]) -> Denied | None:
    """The market's own limits, over all our accounts; a closing order's price has a bound of its own."""
    if standing.market_max_position is not None and order.action is Action.BUY:
        coming = sum((own.size for own in others if (own.outcome, own.action) == (order.outcome, Action.BUY)), ZERO)
        reach = standing.market_held.get(order.outcome, ZERO) + coming + order.size
        if reach > standing.market_max_position:
            return Denied(
                "max_market_position",
                f"{reach:f} {order.outcome} shares over all accounts exceed {standing.market_max_position:f}",
            )
    if standing.price_band is not None and standing.mark is not None and order.kind != CLOSING:
        _, price = _in_yes(order.outcome, order.action, order.price)
        if abs(price - standing.mark) > standing.price_band:
            return Denied(
                "price_band",
                f"{price.normalize():f} in yes is more than {standing.price_band.normalize():f} from the mark,"
                f" {standing.mark.normalize():f}",
            )
    return None


def check_means(order: Proposal, standing: Standing, mine: Iterable[OwnOrder]) -> Denied | None:
    """Whether the account can pay, or deliver, as far as we know. What we do not know the venue will say."""
    if order.action is Action.BUY:
        cost = order.price * order.size
        if standing.free is not None and cost > standing.free:
            return Denied(
                "insufficient_collateral",
                f"{cost.normalize():f} is more than the {max(standing.free, ZERO).normalize():f} the account has free",
            )
        return None
    if order.outcome not in standing.held:
        return None
    selling = sum((own.size for own in mine if (own.outcome, own.action) == (order.outcome, Action.SELL)), ZERO)
    free = max(standing.held[order.outcome] - standing.unsettled.get(order.outcome, ZERO) - selling, ZERO)
    if order.size > free:
        return Denied(
            "insufficient_shares",
            f"{order.size.normalize():f} is more than the {free.normalize():f} shares free to sell",
        )
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


def _scopes(standing: Standing) -> tuple[tuple[TradingState, str], ...]:
    return (
        (standing.desk_state, "desk"),
        (standing.venue_state, "venue"),
        (standing.account_state, "account"),
    )


def _in_yes(outcome: Outcome, action: Action, price: Decimal) -> tuple[bool, Decimal]:
    """(is a bid, at this price) in terms of YES."""
    is_bid = (outcome is Outcome.YES) == (action is Action.BUY)
    return is_bid, price if outcome is Outcome.YES else ONE - price
