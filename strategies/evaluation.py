"""One exposure, evaluated: its fills applied, its handler asked, its risk checked. Pure; the dispatch does the rest."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from uuid import UUID

import msgspec

from accounts.ledger.rows import NewOrder, RecordedFill
from strategies import risk
from strategies.config import DeltaNeutralConfig, PricePolicy, parse_config
from strategies.exposure import ExposureState, Step, lots_json, parse_lots, yes_price_of
from strategies.exposures import ExposureRow, ExposureUpdate, NewDecision
from strategies.handlers.ladder import refused
from strategies.handlers.plan import HedgeState, Plan, PlannedHedge, RestingOrder, Wake
from strategies.handlers.registry import get_handler
from strategies.reasons import Reason
from strategies.rungs import RungKind
from strategies.surroundings import Surroundings, build_state, seen
from strategies.watching import Warning, Watch, warnings, watch
from trading.enums import Mode, OrderStatus, by_value
from trading.ids import id_from, id_text
from trading.positions import delta
from trading.values import ONE, ZERO
from venues.registry import sendable_size


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: the exposure's new values, the orders to sign, and whether it is worth a decision row."""

    row: ExposureRow
    update: ExposureUpdate
    orders: tuple[NewOrder, ...]
    """To be signed and sent; not yet DENIED or SUBMITTED."""
    denied: tuple[NewOrder, ...]
    cancels: tuple[RestingOrder, ...]
    decision: NewDecision | None
    changed: bool
    """False when nothing at all moved: then nothing is written."""
    needs_book: bool
    """True when the strategy prices from the book, something is owed, and no fresh book was there."""
    watch: Watch
    warnings: tuple[Warning, ...] = ()
    """Alerts to raise with it."""
    sweep_account: UUID | None = None
    """Ask this account's venue for late fills, then wake the exposure as swept."""
    halts: bool = False
    """Halt the strategy: the ladder came to its pause."""
    look_again: bool = False
    """Its rung was ended by a refusal: look again at once."""


_OUT_OF_MEANS = frozenset({Reason.INSUFFICIENT_COLLATERAL, Reason.INSUFFICIENT_SHARES})
_MODES = by_value(Mode)


@lru_cache(maxsize=4096)
def _config(kind: str, text: str) -> DeltaNeutralConfig:
    return parse_config(kind, msgspec.json.decode(text))


def applied(row: ExposureRow, fills: Sequence[RecordedFill], ratio: Decimal) -> ExposureState:
    """The exposure after these fills: its own hedges move `hedged`, the primary's foreign fills move `primary`.

    A fill of any strategy's hedge is never itself hedged: that is what keeps two strategies from ping-pong. A fill of
    this exposure's own order on the primary unwinds: it moves `primary`, and is not hedged either.
    """
    lots, covered = parse_lots(row.lots)
    state = ExposureState(
        primary=row.primary,
        hedged=row.hedged,
        lots=lots,
        last_covered=covered,
        step=Step(rung=row.rung, since=row.rung_since, next_rung=row.next_rung, owed=row.rung_owed),
        unhedged_since=row.unhedged_since,
        dust_since=row.dust_since,
    )
    for fill in fills:
        if fill.market_key != row.market_key:
            continue
        before = state
        if fill.exposure_id == row.id and fill.account_id != row.primary_id:
            net = delta(fill.outcome, fill.action, fill.shares - fill.share_fee)
            if net:
                state = state.apply_hedged(net, ratio)
        elif fill.account_id == row.primary_id and fill.exposure_id in (None, row.id):
            price = yes_price_of(fill.outcome, fill.price)
            moved = delta(fill.outcome, fill.action, fill.shares)
            if fill.shares > ZERO:
                state = state.apply_primary(moved, price)
            elif fill.shares:
                state = state.correct_primary(moved, price)
            if fill.share_fee:
                state = state.correct_primary(delta(fill.outcome, fill.action, -fill.share_fee), price)
        state = state.stepped(before, ratio)
    return state


def evaluate(
    row: ExposureRow,
    fills: Sequence[RecordedFill],
    wake: Wake,
    around: Surroundings,
    *,
    hold: str = "",
    rejected: str = "",
    cause_at: datetime | None = None,
) -> Evaluation:
    """Apply `fills`, ask the handler, check the risk.

    `hold` (a reason) records without ordering anything; `rejected` is the venue's slug for an order it refused.
    """
    config = _config(row.strategy_kind, row.config)
    resting = around.resting.get(row.market_key, ())
    # Delta owed per delta an order of this exposure trades: the ratio on the primary, where it unwinds, else 1.
    scales = {id_text(row.primary_id): config.ratio}
    own = [order for order in resting if order.exposure_id == row.id]
    flying = sum((order.delta * scales.get(order.account_id, ONE) for order in own), ZERO)
    exposure = msgspec.structs.replace(applied(row, fills, config.ratio), in_flight=flying).realigned(config.ratio)
    if rejected:
        step = exposure.step
        if step.since is None:
            step = msgspec.structs.replace(step, owed=abs(exposure.unhedged(config.ratio)))
        exposure = msgspec.structs.replace(exposure, step=refused(step, config, rejected, around.now))
    spec, book = around.specs.get(row.market_key), around.books.get(row.market_key)
    state = build_state(row, config, exposure, resting, around, spec, book) if spec is not None else None
    if hold or not row.pair_enabled:
        plan = Plan(reason=None)
        told = hold or "pair_disabled"
    elif state is None:
        plan, told = Plan(reason=Reason.MARKET_UNKNOWN), Reason.MARKET_UNKNOWN.value
    else:
        plan = get_handler(row.strategy_kind).handle(wake, state)
        told = plan.reason.value if plan.reason is not None else ""
    sent, denied, limited = _checked(plan, plan.on or state)
    if limited is not None:
        told = limited.value
    orders = tuple(_order(planned, row, cause_at) for planned in sent)
    planned_delta = sum((p.delta * scales.get(p.order.account_id, ONE) for p in sent), ZERO)
    need = exposure.need(config.ratio)
    exposure = exposure.clocked(ratio=config.ratio, dust=plan.reason is Reason.DUST or bool(plan.dust), now=around.now)
    figures = watch(exposure, config.ratio, around.now)
    update = _update(row, exposure, plan, told, need, planned_delta, figures)
    # A hedge on its way covers it: looked at once more with nothing new, that is no news.
    repeated = told == row.reason or (told == Reason.HEDGED and not row.reason and not fills)
    refusals = () if repeated else tuple(_denied(planned, reason, row, cause_at) for planned, reason in denied)
    if denied and not sent and not rejected and limited in _OUT_OF_MEANS:
        # We know already what the venue would say: the ladder goes on as if it had.
        gone_on = evaluate(row, fills, wake, around, rejected=limited.value, cause_at=cause_at)
        if gone_on.update.next_rung is not None:
            return msgspec.structs.replace(gone_on, denied=(*refusals, *gone_on.denied))
    climbed = update.rung != row.rung
    decision = None
    if orders or plan.cancels or climbed or not repeated:
        decision = NewDecision(
            exposure_id=row.id,
            cause=wake.cause,
            primary=exposure.primary,
            hedged=exposure.hedged,
            in_flight=flying,
            need=need,
            orders=[str(order.id) for order in (*orders, *refusals)],
            reason=told,
            book=seen(book),
        )
    return Evaluation(
        row=row,
        update=update,
        orders=orders,
        denied=refusals,
        cancels=plan.cancels,
        decision=decision,
        changed=decision is not None or plan.sweep or plan.halts or _moved(row, update),
        needs_book=config.price_policy is PricePolicy.BOOK and told == Reason.NO_PRICE and book is None,
        watch=figures,
        warnings=warnings(plan, told, config, exposure, figures) if climbed or not repeated else (),
        sweep_account=_rung_account(row, config, state) if plan.sweep else None,
        halts=plan.halts,
        look_again=bool(rejected) and update.next_rung is not None,
    )


def _update(
    row: ExposureRow,
    exposure: ExposureState,
    plan: Plan,
    told: str,
    need: Decimal,
    planned_delta: Decimal,
    figures: Watch,
) -> ExposureUpdate:
    step = exposure.step if plan.step is None else plan.step
    return ExposureUpdate(
        id=row.id,
        primary=exposure.primary,
        hedged=exposure.hedged,
        lots=lots_json(exposure),
        in_flight=exposure.in_flight + planned_delta,
        need=need - planned_delta,
        rung=step.rung,
        rung_since=step.since,
        next_rung=step.next_rung,
        rung_owed=step.owed,
        reason=told,
        unhedged_since=exposure.unhedged_since,
        dust_since=exposure.dust_since,
        unhedged=figures.unhedged_shares,
        at_risk=figures.dollars_at_risk,
    )


def _rung_account(row: ExposureRow, config: DeltaNeutralConfig, state: HedgeState | None) -> UUID:
    """The account the exposure's present rung trades on."""
    rung = config.ladder[min(row.rung, len(config.ladder) - 1)]
    if rung.kind is RungKind.UNWIND:
        return row.primary_id
    standing = state.alternates.get(rung.account) if state is not None else None
    return row.hedge_id if standing is None else id_from(standing.account.id)


def _checked(
    plan: Plan, state: HedgeState | None
) -> tuple[list[PlannedHedge], list[tuple[PlannedHedge, Reason]], Reason | None]:
    """Legs to send, legs denied with why, and the limit that shrank or denied one."""
    sent: list[PlannedHedge] = []
    denied: list[tuple[PlannedHedge, Reason]] = []
    limited: Reason | None = None
    for planned in plan.commands if state is not None else ():
        assert state is not None
        verdict = risk.check(planned, state)
        if isinstance(verdict, risk.Deny):
            denied.append((planned, verdict.reason))
            limited = verdict.reason
            continue
        leg = planned
        if isinstance(verdict, risk.Shrink):
            leg = risk.shrunk(planned, verdict.size, verdict.reason)
            limited = verdict.reason
        # What one order cannot carry (the venue truncates long sizes) stays owed: the next look sends it.
        carried = sendable_size(leg.order.platform, leg.order.shares)
        if carried != leg.order.shares:
            leg = risk.shrunk(leg, carried, verdict.reason if isinstance(verdict, risk.Shrink) else None)
        sent.append(leg)
        if planned is not plan.commands[-1]:
            state = risk.after(leg, state)
    return sent, denied, limited


def _order(planned: PlannedHedge, row: ExposureRow, cause_at: datetime | None) -> NewOrder:
    order = planned.order
    assert order.client_order_id is not None
    return NewOrder(
        id=order.client_order_id,
        account_id=id_from(order.account_id),
        market_key=row.market_key,
        outcome=order.side,
        action=order.action,
        price=order.price,
        size=order.shares,
        order_type=order.order_type,
        post_only=order.post_only,
        reason=order.reason,
        origin=order.origin,
        mode=_MODES[row.hedge_mode],
        exposure_id=row.id,
        strategy_id=row.strategy_id,
        cause=order.cause,
        leg=order.leg,
        rung=order.rung,
        expires_at_s=order.expires_at_s,
        cause_at=cause_at,
    )


def _denied(planned: PlannedHedge, reason: Reason, row: ExposureRow, cause_at: datetime | None) -> NewOrder:
    return msgspec.structs.replace(_order(planned, row, cause_at), status=OrderStatus.DENIED, reason=reason.value)


def _moved(row: ExposureRow, update: ExposureUpdate) -> bool:
    return (
        row.primary != update.primary
        or row.hedged != update.hedged
        or row.in_flight != update.in_flight
        or row.need != update.need
        or row.lots != update.lots
        or (row.rung, row.rung_since, row.next_rung, row.rung_owed)
        != (update.rung, update.rung_since, update.next_rung, update.rung_owed)
        or (row.unhedged_since is None) != (update.unhedged_since is None)
        or (row.dust_since is None) != (update.dust_since is None)
    )
