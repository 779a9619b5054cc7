"""Delta neutral: whatever the primary holds, the hedge account holds the opposite of. See docs/hedging.md.

Level-triggered: how much to hedge comes from the exposure alone, so a lost, late or repeated wake changes nothing.
"""

from decimal import Decimal, localcontext

from msgspec.structs import replace

from strategies.handlers.crossing import clear_price
from strategies.handlers.ladder import climb
from strategies.handlers.plan import HedgeState, Plan, PlannedHedge, RestingOrder, Wake
from strategies.handlers.pricing import leg_outcome, leg_price
from strategies.handlers.sizing import is_overdue, meets_minimum, rounded_up, sendable, split
from strategies.reasons import Reason
from trading.commands import PlaceOrder
from trading.enums import Action, MarketStatus, OrderOrigin, TradingState
from trading.ids import hedge_order_id
from trading.values import ONE, PRECISION, ZERO, plain

BUY_LEG = 0
SELL_LEG = 1
"""Leg numbers go into order ids: a leg keeps its number whether or not the other one is there."""


class DeltaNeutral:
    """The built-in strategy: need → lot → legs → price → self-cross guard."""

    def handle(self, wake: Wake, state: HedgeState) -> Plan:
        """The orders that bring the exposure's need to zero, or the reason there are none."""
        return climb(wake, state, self._hedge) if state.config.ladder else self._hedge(wake, state)

    def _hedge(self, wake: Wake, state: HedgeState) -> Plan:
        need = state.exposure.need(state.config.ratio)
        freed = _freed(state)
        if freed:
            return Plan(cancels=tuple(freed), reason=Reason.PRICED_ANEW)
        if not need:
            return Plan(reason=Reason.HEDGED)
        blocked = _blocked(state)
        if blocked is not None:
            return Plan(reason=blocked)
        opposing = _opposing(state, need)
        if opposing:
            return Plan(cancels=tuple(order for order in opposing if order.cancellable), reason=Reason.CANCEL_FIRST)
        size = sendable(_to_trade(state, need), state.market)
        held = state.held_free(leg_outcome(need, Action.SELL)) if state.config.reduce_first else ZERO
        sell, buy = split(size, held, state.market) if held else (ZERO, size)
        legs: list[PlannedHedge] = []
        reasons: list[Reason] = []
        sold = self._leg(wake, state, need, Action.SELL, sell, reasons) if sell else None
        if sold is None:
            buy = size
        else:
            legs.append(sold)
        bought = self._leg(wake, state, need, Action.BUY, buy, reasons) if buy else None
        if bought is not None:
            legs.append(bought)
        if legs:
            left = need - state.scale * sum((leg.delta for leg in legs), ZERO)
            dust = ZERO if any(leg.denied for leg in legs) else left
            return Plan(commands=tuple(legs), reason=_told(reasons, dust), dust=dust)
        if Reason.NO_PRICE in reasons:
            return Plan(reason=Reason.NO_PRICE)
        return self._dust(wake, state, need, held)

    def _leg(
        self, wake: Wake, state: HedgeState, need: Decimal, action: Action, size: Decimal, reasons: list[Reason]
    ) -> PlannedHedge | None:
        """One leg, or None with its reason noted: no price, or below the venue's minimum (dust)."""
        price = _price(state, need, action, size)
        if price is None:
            reasons.append(Reason.NO_PRICE)
            return None
        if not meets_minimum(state.market, price, size):
            reasons.append(Reason.DUST)
            return None
        planned = _guarded(wake, state, need, action, price, size)
        if planned.denied:
            reasons.append(planned.denied)
        elif planned.order.price != price:
            if not meets_minimum(state.market, planned.order.price, size):
                reasons.append(Reason.DUST)
                return None
            reasons.append(Reason.REPRICED)
        return planned

    def _dust(self, wake: Wake, state: HedgeState, need: Decimal, held: Decimal) -> Plan:
        """Below the minimum: wait, and at the deadline round up when that costs little enough."""
        if not is_overdue(state.config, state.exposure.dust_since, state.now):
            return Plan(reason=Reason.DUST, dust=need)
        for action in (Action.SELL, Action.BUY):
            if action is Action.SELL and not held:
                continue
            shares = _to_trade(state, need)
            price = _price(state, need, action, shares)
            if price is None:
                continue
            size = rounded_up(state.config, state.market, action=action, price=price, need=shares, held=held)
            if size is None:
                continue
            planned = _guarded(wake, state, need, action, price, size)
            if planned.denied or not meets_minimum(state.market, planned.order.price, size):
                continue
            return Plan(commands=(planned,), reason=Reason.DUST_ROUNDED_UP)
        return Plan(reason=Reason.DUST_OVERDUE, dust=need)


def _blocked(state: HedgeState) -> Reason | None:
    """What makes any hedge in this market impossible for now."""
    if not state.config.covers(state.market.market_id):
        return Reason.MARKET_NOT_COVERED
    if not (state.market.tick > ZERO and state.market.lot > ZERO and state.market.yes_token):
        return Reason.MARKET_UNKNOWN
    return None if state.market.status is MarketStatus.OPEN else Reason.MARKET_CLOSED


def _opposing(state: HedgeState, need: Decimal) -> list[RestingOrder]:
    """Our own hedges of this exposure that still pull the other way: the target moved past them."""
    return [order for order in state.own_orders if order.is_bid != (need > 0)]


def _freed(state: HedgeState) -> list[RestingOrder]:
    """Our own hedges that made way for another order of ours and need not any more: anew they get a better price.

    Without this a hedge that rests at the price of the moment rests there for good: nothing is owed while it does.
    """
    made_way = [
        order
        for order in state.own_orders
        if order.is_repriced and order.cancellable and order.account_id == state.hedge_account.id
    ]
    states = (state.desk_state, state.venue_state, state.strategy_state, state.hedge_account.state)
    if not made_way or set(states) != {TradingState.ACTIVE} or _blocked(state) is not None:
        return []  # What is taken off might not be sent again.
    return [order for order in made_way if _is_behind(order, state)]


def _is_behind(order: RestingOrder, state: HedgeState) -> bool:
    """Whether the same order, priced now, would stand nearer to the other side of the book."""
    with localcontext(prec=PRECISION):
        in_flight = state.exposure.in_flight - order.delta * state.scale
    opened = replace(state, exposure=replace(state.exposure, in_flight=in_flight))
    price = _price(opened, order.delta, order.action, order.remaining)
    if price is None:
        return False
    clear = clear_price(order.outcome, order.action, price, state.market.tick, state.own_resting)
    if clear is None or not meets_minimum(state.market, clear, order.remaining):
        return False
    return clear > order.price if order.action is Action.BUY else clear < order.price


def _to_trade(state: HedgeState, need: Decimal) -> Decimal:
    """Shares that bring `need` to zero on the account traded on."""
    if state.scale == ONE:
        return abs(need)
    with localcontext(prec=PRECISION):
        return abs(need) / state.scale


def _price(state: HedgeState, need: Decimal, action: Action, size: Decimal) -> Decimal | None:
    return leg_price(
        state.config,
        state.market,
        state.book,
        need=need,
        unhedged_vwap=state.exposure.unhedged_vwap(state.config.ratio),
        action=action,
        size=size,
    )


def _guarded(
    wake: Wake, state: HedgeState, need: Decimal, action: Action, price: Decimal, size: Decimal
) -> PlannedHedge:
    """The leg as an order: re-priced not to cross our own, or denied when no price does that."""
    outcome = leg_outcome(need, action)
    clear = clear_price(outcome, action, price, state.market.tick, state.own_resting)
    leg = BUY_LEG if action is Action.BUY else SELL_LEG
    rung = state.rung
    order = PlaceOrder(
        platform=state.market.platform,
        account_id=state.hedge_account.id,
        market_id=state.market.market_id,
        side=outcome,
        price=plain(price if clear is None else clear),
        shares=plain(size),
        action=action,
        client_order_id=hedge_order_id(state.strategy_id, state.pair_id, state.market.market_id, wake.cause, leg, rung),
        origin=OrderOrigin.STRATEGY,
        exposure_id=state.exposure_id,
        cause=wake.cause,
        leg=leg,
        rung=rung,
        reason=Reason.REPRICED.value if clear is not None and clear != price else "",
    )
    return PlannedHedge(order=order, denied=Reason.SELF_CROSS if clear is None else None)


def _told(reasons: list[Reason], dust: Decimal) -> Reason | None:
    """The one reason worth showing for a plan that does send something."""
    for reason in (Reason.SELF_CROSS, Reason.REPRICED, Reason.NO_PRICE):
        if reason in reasons:
            return reason
    return Reason.DUST if dust else None
