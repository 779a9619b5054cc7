"""One exposure, evaluated: its fills applied, its handler asked, its risk checked. Pure; the dispatch does the rest."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from uuid import UUID

import msgspec

from accounts.ledger.rows import NewOrder, OrderProgress, RecordedFill
from strategies import risk
from strategies.config import DeltaNeutralConfig, PricePolicy, parse_config
from strategies.exposure import ExposureState, lots_json, parse_lots, yes_price_of
from strategies.exposures import ExposureRow, ExposureUpdate, NewDecision, OpenOrder
from strategies.handlers.plan import AccountView, HedgeState, Plan, PlannedHedge, RestingOrder, Wake
from strategies.handlers.registry import get_handler
from strategies.reasons import Reason
from trading.enums import Action, Mode, OrderStatus, Outcome, TradingState
from trading.instruments import Book, MarketSpec
from trading.orders import IN_FLIGHT
from trading.positions import delta
from trading.values import ZERO
from venues.registry import sendable_size

_CANCELLABLE = frozenset({OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED})


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What one transaction read beside the exposures."""

    open_orders: Sequence[OpenOrder]
    hedge_positions: Mapping[tuple[UUID, str], Mapping[Outcome, Decimal]]
    unsettled: Mapping[tuple[UUID, str], Mapping[Outcome, Decimal]]
    """Of those, bought but not settled: the venue lets nobody sell them yet."""
    day_notional: Mapping[tuple[UUID, UUID | None], Decimal]
    specs: Mapping[str, MarketSpec]
    books: Mapping[str, Book]
    now: datetime


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


@lru_cache(maxsize=4096)
def _config(kind: str, text: str) -> DeltaNeutralConfig:
    return parse_config(kind, msgspec.json.decode(text))


def adjusted(open_orders: Sequence[OpenOrder], moved: Sequence[OrderProgress]) -> list[OpenOrder]:
    """The open orders once the fills recorded in this very transaction have moved them."""
    after = {order.id: order for order in moved}
    kept = [order for order in open_orders if order.id not in after]
    for order in moved:
        if OrderStatus(order.status) in IN_FLIGHT:
            kept.append(
                OpenOrder(
                    order.id,
                    order.exposure_id,
                    order.account_id,
                    order.market_key,
                    order.outcome,
                    order.action,
                    order.price,
                    order.size - order.filled,
                    order.status,
                    any(held.id == order.id and held.cancel_requested for held in open_orders),
                )
            )
    return kept


def applied(row: ExposureRow, fills: Sequence[RecordedFill], ratio: Decimal) -> ExposureState:
    """The exposure after these fills: its own hedges move `hedged`, the primary's foreign fills move `primary`.

    A fill of any strategy's hedge is never itself hedged: that is what keeps two strategies from ping-pong.
    """
    lots, covered = parse_lots(row.lots)
    state = ExposureState(
        primary=row.primary,
        hedged=row.hedged,
        lots=lots,
        last_covered=covered,
        rung=row.rung,
        unhedged_since=row.unhedged_since,
        dust_since=row.dust_since,
    )
    for fill in fills:
        if fill.market_key != row.market_key:
            continue
        if fill.exposure_id == row.id:
            net = delta(fill.outcome, fill.action, fill.shares - fill.share_fee)
            if net:
                state = state.apply_hedged(net, ratio)
        elif fill.exposure_id is None and fill.account_id == row.primary_id:
            price = yes_price_of(fill.outcome, fill.price)
            moved = delta(fill.outcome, fill.action, fill.shares)
            if fill.shares > ZERO:
                state = state.apply_primary(moved, price)
            elif fill.shares:
                state = state.correct_primary(moved, price)
            if fill.share_fee:
                state = state.correct_primary(delta(fill.outcome, fill.action, -fill.share_fee), price)
    return state


def evaluate(
    row: ExposureRow,
    fills: Sequence[RecordedFill],
    cause: str,
    around: Surroundings,
    *,
    hold: str = "",
    cause_at: datetime | None = None,
) -> Evaluation:
    """Apply `fills`, ask the handler, check the risk. `hold` (a reason) records without ordering anything."""
    config = _config(row.strategy_kind, row.config)
    resting = tuple(_resting(order) for order in around.open_orders if order.market_key == row.market_key)
    flying = sum((order.delta for order in resting if order.exposure_id == row.id), ZERO)
    exposure = msgspec.structs.replace(applied(row, fills, config.ratio), in_flight=flying).realigned(config.ratio)
    spec = around.specs.get(row.market_key)
    wake = Wake(cause=cause)
    state = _state(row, config, exposure, resting, around, spec) if spec is not None else None
    if hold or not row.pair_enabled:
        plan = Plan(reason=None)
        told = hold or "pair_disabled"
    elif state is None:
        plan, told = Plan(reason=Reason.MARKET_UNKNOWN), Reason.MARKET_UNKNOWN.value
    else:
        plan = get_handler(row.strategy_kind).handle(wake, state)
        told = plan.reason.value if plan.reason is not None else ""
    sent, denied, limited = _checked(plan, state)
    if limited is not None:
        told = limited.value
    orders = tuple(_order(planned, row, cause_at) for planned in sent)
    planned_delta = sum((planned.delta for planned in sent), ZERO)
    exposure = exposure.clocked(ratio=config.ratio, dust=plan.reason is Reason.DUST or bool(plan.dust), now=around.now)
    need = exposure.need(config.ratio) - planned_delta
    update = ExposureUpdate(
        id=row.id,
        primary=exposure.primary,
        hedged=exposure.hedged,
        lots=lots_json(exposure),
        in_flight=flying + planned_delta,
        need=need,
        rung=exposure.rung,
        reason=told,
        unhedged_since=exposure.unhedged_since,
        dust_since=exposure.dust_since,
    )
    repeated = told == row.reason
    refusals = () if repeated else tuple(_denied(planned, reason, row, cause_at) for planned, reason in denied)
    decision = None
    if orders or plan.cancels or not repeated:
        decision = NewDecision(
            exposure_id=row.id,
            cause=cause,
            primary=exposure.primary,
            hedged=exposure.hedged,
            in_flight=flying,
            need=exposure.need(config.ratio),
            orders=[str(order.id) for order in (*orders, *refusals)],
            reason=told,
        )
    return Evaluation(
        row=row,
        update=update,
        orders=orders,
        denied=refusals,
        cancels=plan.cancels,
        decision=decision,
        changed=decision is not None or _moved(row, update),
        needs_book=config.price_policy is PricePolicy.BOOK
        and told == Reason.NO_PRICE
        and row.market_key not in around.books,
    )


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
        state = risk.after(leg, state)
    return sent, denied, limited


def _state(
    row: ExposureRow,
    config: DeltaNeutralConfig,
    exposure: ExposureState,
    resting: tuple[RestingOrder, ...],
    around: Surroundings,
    spec: MarketSpec,
) -> HedgeState:
    day = around.day_notional
    account = row.hedge_id
    return HedgeState(
        strategy_id=row.strategy_id,
        pair_id=row.pair_id,
        exposure_id=row.id,
        exposure=exposure,
        market=spec,
        config=config,
        primary_account=AccountView(
            id=str(row.primary_id), name=row.primary_name, state=TradingState(row.primary_state)
        ),
        hedge_account=AccountView(
            id=str(account),
            name=row.hedge_name,
            state=TradingState(row.hedge_state),
            max_order=row.hedge_max_order,
            max_position=row.hedge_max_position,
            max_notional_per_day=row.hedge_max_notional,
        ),
        hedge_positions=around.hedge_positions.get((account, row.market_key), {}),
        unsettled=around.unsettled.get((account, row.market_key), {}),
        own_resting=resting,
        day_notional=sum((total for (held, _), total in day.items() if held == account), ZERO),
        strategy_day_notional=sum((total for (_, strategy), total in day.items() if strategy == row.strategy_id), ZERO),
        now=around.now,
        book=around.books.get(row.market_key),
        desk_state=TradingState.HALTED if row.desk_stopped else TradingState.ACTIVE,
        strategy_state=TradingState(row.strategy_state),
    )


def _resting(order: OpenOrder) -> RestingOrder:
    return RestingOrder(
        client_order_id=order.id,
        account_id=str(order.account_id),
        outcome=Outcome(order.outcome),
        action=Action(order.action),
        price=order.price,
        remaining=order.remaining,
        exposure_id=order.exposure_id,
        cancellable=OrderStatus(order.status) in _CANCELLABLE and not order.cancel_requested,
    )


def _order(planned: PlannedHedge, row: ExposureRow, cause_at: datetime | None) -> NewOrder:
    order = planned.order
    assert order.client_order_id is not None
    return NewOrder(
        id=order.client_order_id,
        account_id=row.hedge_id,
        market_key=row.market_key,
        outcome=order.side,
        action=order.action,
        price=order.price,
        size=order.shares,
        order_type=order.order_type,
        post_only=order.post_only,
        reason=order.reason,
        origin=order.origin,
        mode=Mode(row.hedge_mode),
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
        or (row.unhedged_since is None) != (update.unhedged_since is None)
        or (row.dust_since is None) != (update.dust_since is None)
    )
