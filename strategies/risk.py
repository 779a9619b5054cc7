"""Risk before every hedge: states, sizes, day and market limits, what the account can pay or deliver, price band.

Pure; dispatch asks, records and shows the answer. A limit that shrinks leaves the rest as need: the exposure still
owes it, and the next wake tries again. Orders nobody hedges with are judged by `accounts.limits`.
"""

from decimal import Decimal

import msgspec

from strategies.config import PricePolicy
from strategies.handlers.plan import HedgeState, PlannedHedge
from strategies.handlers.sizing import meets_minimum, sendable
from strategies.reasons import Reason
from trading.enums import Action, Outcome, TradingState
from trading.positions import reducible as reducible_shares
from trading.values import ONE, WIDE, ZERO

_HALTED = (Reason.DESK_HALTED, Reason.VENUE_HALTED, Reason.STRATEGY_HALTED, Reason.ACCOUNT_HALTED)
_REDUCING = (Reason.DESK_REDUCING, Reason.VENUE_REDUCING, Reason.STRATEGY_REDUCING, Reason.ACCOUNT_REDUCING)
"""What a halted and a reducing state of each is called, in the order of `_states`."""


class Allow(msgspec.Struct, frozen=True):
    """Send it as it is."""


class Shrink(msgspec.Struct, frozen=True):
    """Send only `size` shares of it, on the lot and above the venue's minimum."""

    size: Decimal
    reason: Reason


class Deny(msgspec.Struct, frozen=True):
    """Send none of it."""

    reason: Reason


Verdict = Allow | Shrink | Deny


def check(planned: PlannedHedge, state: HedgeState) -> Verdict:
    """The verdict on one leg. With several legs, check each against a state that counts those before it (`after`)."""
    if planned.denied is not None:
        return Deny(planned.denied)
    halted = check_states(state)
    if halted is not None:
        return halted
    price, size = planned.order.price, planned.order.shares
    if not state.config.min_price <= price <= state.config.max_price:
        return Deny(Reason.PRICE_BAND)
    if _is_off_the_mark(planned, state):
        return Deny(Reason.PRICE_BAND)
    reason: Reason | None = None
    for limit, why in _limits(planned, state):
        if limit < size:
            size, reason = limit, why
    if reason is None:
        return Allow()
    size = sendable(max(size, ZERO), state.market)
    return Shrink(size, reason) if meets_minimum(state.market, price, size) else Deny(reason)


def check_states(state: HedgeState) -> Deny | None:
    """Deny when the desk, the venue, the strategy or the hedge account is halted: nothing at all may leave."""
    states = _states(state)
    return Deny(_HALTED[states.index(TradingState.HALTED)]) if TradingState.HALTED in states else None


def shrunk(planned: PlannedHedge, size: Decimal, reason: Reason | None) -> PlannedHedge:
    """The same leg, smaller, under the same id: it is the same leg of the same decision. No reason keeps its own."""
    order = msgspec.structs.replace(
        planned.order, shares=size, reason=reason.value if reason is not None else planned.order.reason
    )
    return msgspec.structs.replace(planned, order=order)


def after(planned: PlannedHedge, state: HedgeState) -> HedgeState:
    """The state once this leg is on its way, for the check of the next one."""
    order = planned.order
    positions = dict(state.hedge_positions)
    change = order.shares if order.action is Action.BUY else -order.shares
    positions[order.side] = positions.get(order.side, ZERO) + change
    everywhere = dict(state.market_positions)
    everywhere[order.side] = everywhere.get(order.side, ZERO) + change
    spent = planned.notional if order.action is Action.BUY else ZERO
    return msgspec.structs.replace(
        state,
        hedge_positions=positions,
        market_positions=everywhere,
        free=None if state.free is None else state.free - spent,
        day_notional=state.day_notional + planned.notional,
        strategy_day_notional=state.strategy_day_notional + planned.notional,
    )


def _states(state: HedgeState) -> tuple[TradingState, ...]:
    return state.desk_state, state.venue_state, state.strategy_state, state.hedge_account.state


def _limits(planned: PlannedHedge, state: HedgeState) -> list[tuple[Decimal, Reason]]:
    """(most shares, why) for every limit that applies to this leg."""
    order, config, account = planned.order, state.config, state.hedge_account
    limits: list[tuple[Decimal, Reason]] = []
    states = _states(state)
    if TradingState.REDUCING in states:
        reducing = reducible(planned, state)
        limits += [
            (reducing, why) for why, held in zip(_REDUCING, states, strict=True) if held is TradingState.REDUCING
        ]
    limits += [(most, Reason.MAX_ORDER) for most in (config.max_order, account.max_order) if most is not None]
    if order.action is Action.BUY:
        positions = [most for most in (config.max_position, account.max_position) if most is not None]
        if positions:
            held = state.hedge_positions.get(order.side, ZERO) + state.buying(order.side)
            limits += [(most - held, Reason.MAX_POSITION) for most in positions]
        if state.market_max_position is not None:
            everywhere = state.market_positions.get(order.side, ZERO) + state.buying(order.side, anywhere=True)
            limits.append((state.market_max_position - everywhere, Reason.MAX_MARKET_POSITION))
        if state.free is not None:
            limits.append((WIDE.divide(state.free, order.price), Reason.INSUFFICIENT_COLLATERAL))
    else:
        limits.append((state.held_free(order.side), Reason.INSUFFICIENT_SHARES))
    for most, used in (
        (config.max_notional_per_day, state.strategy_day_notional),
        (account.max_notional_per_day, state.day_notional),
    ):
        if most is not None:
            limits.append((WIDE.divide(WIDE.subtract(most, used), order.price), Reason.MAX_NOTIONAL_PER_DAY))
    return limits


def reducible(planned: PlannedHedge, state: HedgeState) -> Decimal:
    """How many of the leg's shares lower what the account holds: the same rule for everybody's orders."""
    order = planned.order
    return reducible_shares(order.side, order.action, state.hedge_positions, state.going)


def _is_off_the_mark(planned: PlannedHedge, state: HedgeState) -> bool:
    """Whether a hedge that no loss bounds (`mirror`) lies outside the market's band. The others are bounded by what
    their pair may cost; to hold them back because the market has moved would only leave the fill unhedged."""
    if state.config.price_policy is not PricePolicy.MIRROR or state.price_band is None or state.mark is None:
        return False
    price = planned.order.price if planned.order.side is Outcome.YES else ONE - planned.order.price
    return abs(price - state.mark) > state.price_band
