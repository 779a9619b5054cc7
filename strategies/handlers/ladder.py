"""The ladder: which rung an exposure is at, when it goes on to the next, and what must have happened before it does.

A rung ends by its time or by a refusal that trying again cannot mend. Then its orders are cancelled; nothing new is
sent until the venue has ended every one of them and late fills were looked for. Pure: time comes with the state.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

import msgspec

from strategies.config import DeltaNeutralConfig, PricePolicy
from strategies.exposure import Step
from strategies.handlers.plan import HedgeState, Plan, RestingOrder, Wake
from strategies.reasons import Reason
from strategies.rungs import Rung, RungKind
from trading.enums import MarketStatus, TradingState

SWEEP_PATIENCE = timedelta(seconds=10)
"""How long after its end a rung waits for a complete look for late fills. One found later than that still counts."""
STUCK_AFTER = timedelta(seconds=30)
"""An order that neither ends nor can be cancelled for so long after its rung is something a person should know."""

NO_FUNDS = ("insufficient_collateral", "insufficient_shares")
CLOSED = ("market_not_trading", "market_closed")
"""Parts of the slugs, the venues' and our own, for refusals that trying again cannot mend. Shares that a venue does not
find are in the ledger alone: no later try delivers them from that account (the imbalance check tells a person)."""


class Hedge(Protocol):
    """What is sent in a state, ladder or no ladder: the strategy's own judgement."""

    def __call__(self, wake: Wake, state: HedgeState) -> Plan: ...


def climb(wake: Wake, state: HedgeState, hedge: Hedge) -> Plan:
    """The plan at the rung the exposure stands at, or is moved to now."""
    ladder, now = state.config.ladder, state.now
    owed = abs(state.exposure.unhedged(state.config.ratio))
    flying = state.own_orders
    if not owed and not flying:
        return Plan(reason=Reason.HEDGED, step=Step())
    step = _begun(state, owed)
    if _stands_still(state):
        plan = hedge(wake, _at(state, step.rung) or state)
        return msgspec.structs.replace(plan, step=msgspec.structs.replace(step, since=None))
    if step.next_rung is None and _is_over(step, ladder, now):
        step = _ending(step, step.rung + 1, now)
    while step.next_rung is not None:
        waiting = _waiting(wake, state, step, flying)
        if waiting is not None:
            return waiting
        if not flying and (dust := _dust(hedge(wake, _at(state, step.rung) or state))) is not None:
            return dust
        step = Step(rung=step.next_rung, since=now, owed=owed)
        if not _is_usable(state, step.rung) and step.rung < _last(state):
            step = msgspec.structs.replace(step, next_rung=step.rung + 1)
    if ladder[step.rung].kind is RungKind.PAUSE:
        return Plan(cancels=_cancellable(flying), reason=Reason.LADDER_PAUSED, step=step, halts=True)
    at = _at(state, step.rung)
    if at is None:
        return Plan(reason=Reason.NO_ACCOUNT, step=step)
    plan = hedge(wake, at)
    if not flying and (dust := _dust(plan)) is not None:
        return dust
    if step.since is None and owed:
        step = msgspec.structs.replace(step, since=now, owed=owed)
    return msgspec.structs.replace(plan, step=step, on=at)


def refused(step: Step, config: DeltaNeutralConfig, slug: str, now: datetime) -> Step:
    """The step after the venue refused an order with `slug`.

    Without collateral, shares or their allowance, the next rung that trades on another account, else the pause; in a
    closed market the pause.
    Anything else is tried again until the rung's time is over.
    """
    if step.next_rung is not None or not config.ladder or step.rung >= len(config.ladder):
        return step
    kinds: tuple[RungKind, ...] = ()
    if any(part in slug for part in CLOSED):
        kinds = (RungKind.PAUSE,)
    elif any(part in slug for part in NO_FUNDS):
        kinds = (RungKind.ALTERNATE, RungKind.UNWIND, RungKind.PAUSE)
    target = _find(config.ladder, step.rung, kinds)
    return step if target is None else _ending(step, target, now)


def is_beyond_mending(slug: str) -> bool:
    """Whether trying again cannot help: no funds, or a closed market."""
    return any(part in slug for part in (*NO_FUNDS, *CLOSED))


def _begun(state: HedgeState, owed: Decimal) -> Step:
    """The step as it holds now: begun anew once what it began with is covered, or a person changed the strategy."""
    step, last = state.exposure.step, _last(state)
    anew = Step(since=state.now, owed=owed) if owed else Step()
    if step.rung > last or (step.next_rung or 0) > last:
        return anew
    if step.since is None:
        # It stood still. A pause is over when a person has started the strategy again.
        if not step.rung and step.next_rung is None:
            return step
        stood = msgspec.structs.replace(step, since=state.now, owed=owed)
        return anew if state.config.ladder[step.rung].kind is RungKind.PAUSE else stood
    if state.changed_at is not None and state.changed_at > step.since:
        return anew
    # All the shares this rung was climbed for are covered: the others are younger, and begin at the bottom.
    return step if step.owed else anew


def _last(state: HedgeState) -> int:
    return len(state.config.ladder) - 1


def _is_over(step: Step, ladder: Sequence[Rung], now: datetime) -> bool:
    seconds = ladder[step.rung].seconds
    if seconds is None or step.since is None or step.rung + 1 == len(ladder):
        return False
    return now - step.since >= timedelta(seconds=seconds)


def _ending(step: Step, target: int, now: datetime) -> Step:
    """`since` now says since when the rung is ending."""
    return msgspec.structs.replace(step, next_rung=target, since=now)


def _waiting(wake: Wake, state: HedgeState, step: Step, flying: list[RestingOrder]) -> Plan | None:
    """What is still to come before the next rung. The pause, which sends nothing, does not wait for ever."""
    assert step.next_rung is not None
    waited = state.now - (step.since or state.now)
    patient = waited < SWEEP_PATIENCE
    if not patient and state.config.ladder[step.next_rung].kind is RungKind.PAUSE:
        return None
    if flying:
        reason = Reason.RUNG_ENDING if waited < STUCK_AFTER else Reason.RUNG_STUCK
        return Plan(cancels=_cancellable(flying), reason=reason, step=step)
    if wake.is_swept or not patient:
        return None
    return Plan(reason=Reason.RUNG_ENDING, step=step, sweep=True)


def _dust(plan: Plan) -> Plan | None:
    """The plan, back at the bottom, when all that is owed is dust: it has a deadline of its own."""
    if plan.commands or plan.reason not in (Reason.DUST, Reason.DUST_OVERDUE):
        return None
    return msgspec.structs.replace(plan, step=Step())


def _is_usable(state: HedgeState, index: int) -> bool:
    return state.config.ladder[index].kind is RungKind.PAUSE or _at(state, index) is not None


def _at(state: HedgeState, index: int) -> HedgeState | None:
    """The state as this rung trades in it; None when it has no account to trade on."""
    rung, config = state.config.ladder[index], state.config
    state = msgspec.structs.replace(state, rung=index)
    if rung.max_loss is not None:
        config = msgspec.structs.replace(config, max_loss=rung.max_loss)
    if rung.kind is RungKind.UNWIND and not _is_over_hedged(state):
        if state.primary is None or state.is_primary_shared:
            return None
        # What it closes is sold first, and bounded by what it cost, whatever the policy of the hedge was.
        config = msgspec.structs.replace(config, price_policy=PricePolicy.COMPLEMENT, reduce_first=True)
        return msgspec.structs.replace(state.on(state.primary, scale=config.ratio), config=config)
    if rung.kind is RungKind.ALTERNATE:
        standing = state.alternates.get(rung.account)
        if standing is None or not standing.fits or standing.account.id == state.primary_account.id:
            return None
        state = state.on(standing)
    return msgspec.structs.replace(state, config=config)


def _is_over_hedged(state: HedgeState) -> bool:
    """What is open is the hedge's surplus, not the primary's: the hedge account undoes that, on every rung."""
    primary = state.exposure.primary
    return not primary or (primary > 0) != (state.exposure.unhedged(state.config.ratio) > 0)


def _stands_still(state: HedgeState) -> bool:
    """Nothing at all may leave: the clock begins anew once it may."""
    halted = TradingState.HALTED in (state.desk_state, state.venue_state, state.strategy_state)
    return halted or state.market.status is not MarketStatus.OPEN


def _find(ladder: Sequence[Rung], after: int, kinds: tuple[RungKind, ...]) -> int | None:
    return next((index for index, rung in enumerate(ladder) if index > after and rung.kind in kinds), None)


def _cancellable(orders: list[RestingOrder]) -> tuple[RestingOrder, ...]:
    return tuple(order for order in orders if order.cancellable)
