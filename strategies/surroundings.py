"""What one transaction read beside the exposures, and the state it makes for a decision. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from itertools import chain
from typing import Any
from uuid import UUID

import msgspec

from accounts.ledger.rows import NewOrder, OrderProgress
from accounts.levels import HEDGE, NO_NEW, lets_out
from strategies.config import DeltaNeutralConfig
from strategies.exposure import ExposureState
from strategies.exposures import AccountRow, Bound, ExposureRow, OpenOrder
from strategies.handlers.plan import AccountView, HedgeState, RestingOrder, Standing
from strategies.reasons import Reason
from trading.enums import Action, OrderStatus, Outcome, TradingState, by_value
from trading.ids import id_text
from trading.instruments import Book, MarketSpec
from trading.orders import IN_FLIGHT
from trading.values import ZERO, text

LEVELS_KEPT = 5
"""Levels a side of the book that a decision keeps."""
_CANCELLABLE = frozenset({OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED})
_OUTCOMES, _ACTIONS, _STATES = by_value(Outcome), by_value(Action), by_value(TradingState)


class Surroundings(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What one transaction read beside the exposures, and ordered since (`with_orders`)."""

    open_orders: Sequence[OpenOrder]
    positions: Mapping[tuple[UUID, str], Mapping[Outcome, Decimal]]
    unsettled: Mapping[tuple[UUID, str], Mapping[Outcome, Decimal]]
    """Of those, bought but not settled: the venue lets nobody sell them yet."""
    day_notional: Mapping[tuple[UUID, UUID | None], Decimal]
    specs: Mapping[str, MarketSpec]
    books: Mapping[str, Book]
    now: datetime
    accounts: Mapping[UUID, AccountRow] = {}
    """Primaries and alternates of the exposures that have a ladder."""
    bounds: Mapping[str, Bound] = {}
    """By market, what all our accounts together may hold there; a market without a limit is not in it."""
    funds: Mapping[UUID, Decimal] = {}
    """By account, what it can still pay; unknown when it is not in it."""
    venues: Mapping[str, TradingState] = {}
    desk_state: TradingState = TradingState.ACTIVE
    ordered: tuple[OpenOrder, ...] = ()
    """What was ordered since: open too, and kept apart so that a large batch need not copy the others every time."""

    @cached_property
    def resting(self) -> Mapping[str, tuple[RestingOrder, ...]]:
        """By market, its open orders as a handler sees them; a market without any is not in it."""
        found: dict[str, list[RestingOrder]] = {}
        for order in chain(self.open_orders, self.ordered):
            found.setdefault(order.market_key, []).append(resting_order(order))
        return {key: tuple(orders) for key, orders in found.items()}


def with_orders(around: Surroundings, orders: Sequence[NewOrder]) -> Surroundings:
    """The surroundings once an exposure's new orders are among the open ones: the next exposure's must not cross them,
    nor spend what they spend."""
    if not orders:
        return around
    resting, funds, day = dict(around.resting), dict(around.funds), dict(around.day_notional)
    for order in orders:
        notional, key = order.price * order.size, (order.account_id, order.strategy_id)
        day[key] = day.get(key, ZERO) + notional
        if order.action is Action.BUY and order.account_id in funds:
            funds[order.account_id] -= notional
    added = tuple(_open(order) for order in orders)
    for opened in added:
        resting[opened.market_key] = (*resting.get(opened.market_key, ()), resting_order(opened))
    after = msgspec.structs.replace(around, ordered=around.ordered + added, funds=funds, day_notional=day)
    return _grouped(after, resting)


def at(around: Surroundings, now: datetime, moved: Sequence[OrderProgress] = ()) -> Surroundings:
    """The same surroundings at another moment, once fills have moved these orders (`adjusted`)."""
    if not moved:
        return _grouped(msgspec.structs.replace(around, now=now), around.resting)
    open_orders = adjusted([*around.open_orders, *around.ordered], moved)
    return msgspec.structs.replace(around, now=now, open_orders=open_orders, ordered=())


def _grouped(around: Surroundings, resting: Mapping[str, tuple[RestingOrder, ...]]) -> Surroundings:
    """`around`, told what grouping its open orders anew would give."""
    around.__dict__["resting"] = resting
    return around


def _open(order: NewOrder) -> OpenOrder:
    """An order that is about to be sent, as the next transaction will read it."""
    return OpenOrder(
        order.id,
        order.exposure_id,
        order.account_id,
        order.market_key,
        order.outcome,
        order.action,
        order.price,
        order.size,
        OrderStatus.SUBMITTED,
        False,
        order.reason == Reason.REPRICED,
    )


def adjusted(open_orders: Sequence[OpenOrder], moved: Sequence[OrderProgress]) -> list[OpenOrder]:
    """The open orders once the fills recorded in this very transaction have moved them.

    One that is over and open all the same is doubted: a late fill moves it and proves nothing.
    """
    if not moved:
        return list(open_orders)
    after = {order.id for order in moved}
    kept = [order for order in open_orders if order.id not in after]
    before = [order for order in open_orders if order.id in after]
    doubted = {order.id for order in before if order.status not in IN_FLIGHT}
    asked = {order.id for order in before if order.cancel_requested}
    repriced = {order.id for order in before if order.is_repriced}
    for order in moved:
        if order.status in IN_FLIGHT or (order.id in doubted and order.filled < order.size):
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
                    order.id in asked,
                    order.id in repriced,
                )
            )
    return kept


def seen(book: Book | None) -> dict[str, Any] | None:
    """The top of a book as a decision keeps it: YES prices, [price, shares] per level, best first."""
    if book is None:
        return None
    return {
        "at_ms": book.updated_at_ms,
        "bids": [[text(level.price), text(level.size)] for level in book.bids[:LEVELS_KEPT]],
        "asks": [[text(level.price), text(level.size)] for level in book.asks[:LEVELS_KEPT]],
    }


def build_state(
    row: ExposureRow,
    config: DeltaNeutralConfig,
    exposure: ExposureState,
    resting: tuple[RestingOrder, ...],
    around: Surroundings,
    spec: MarketSpec,
    book: Book | None,
) -> HedgeState:
    account = row.hedge_id
    primary = around.accounts.get(row.primary_id) if config.ladder else None
    bound = around.bounds.get(row.market_key)
    return HedgeState(
        strategy_id=row.strategy_id,
        pair_id=row.pair_id,
        exposure_id=row.id,
        exposure=exposure,
        market=spec,
        config=config,
        primary_account=AccountView(
            id=id_text(row.primary_id), name=row.primary_name, state=_STATES[row.primary_state]
        ),
        hedge_account=AccountView(
            id=id_text(account),
            name=row.hedge_name,
            state=_STATES[row.hedge_state],
            max_order=row.hedge_max_order,
            max_position=row.hedge_max_position,
            max_notional_per_day=row.hedge_max_notional,
        ),
        hedge_positions=around.positions.get((account, row.market_key), {}),
        unsettled=around.unsettled.get((account, row.market_key), {}),
        own_resting=resting,
        day_notional=_account_notional(account, around) if row.hedge_max_notional is not None else ZERO,
        strategy_day_notional=_strategy_notional(row.strategy_id, around)
        if config.max_notional_per_day is not None
        else ZERO,
        now=around.now,
        book=book,
        desk_state=TradingState.HALTED
        if row.desk_stopped and not lets_out(row.desk_level or NO_NEW, HEDGE)
        else around.desk_state,
        venue_state=around.venues.get(spec.platform.value, TradingState.ACTIVE),
        free=around.funds.get(account),
        market_max_position=bound.max_position if bound is not None else None,
        market_positions={Outcome.YES: bound.yes, Outcome.NO: bound.no} if bound is not None else {},
        mark=bound.mark if bound is not None else None,
        price_band=bound.price_band if bound is not None else None,
        strategy_state=_STATES[row.strategy_state],
        primary=_standing(primary, row, around) if primary is not None else None,
        alternates=_alternates(row, config, around) if config.ladder else {},
        is_primary_shared=row.is_primary_shared,
        changed_at=row.strategy_changed_at,
    )


def _alternates(row: ExposureRow, config: DeltaNeutralConfig, around: Surroundings) -> dict[str, Standing]:
    names = {rung.account for rung in config.ladder if rung.account}
    return {held.name: _standing(held, row, around) for held in around.accounts.values() if held.name in names}


def _standing(account: AccountRow, row: ExposureRow, around: Surroundings) -> Standing:
    return Standing(
        account=AccountView(
            id=id_text(account.id),
            name=account.name,
            state=_STATES[account.state],
            max_order=account.max_order,
            max_position=account.max_position,
            max_notional_per_day=account.max_notional_per_day,
        ),
        positions=around.positions.get((account.id, row.market_key), {}),
        unsettled=around.unsettled.get((account.id, row.market_key), {}),
        day_notional=_account_notional(account.id, around) if account.max_notional_per_day is not None else ZERO,
        free=around.funds.get(account.id),
        fits=(account.platform, account.mode) == (row.hedge_platform, row.hedge_mode),
    )


def _account_notional(account_id: UUID, around: Surroundings) -> Decimal:
    return sum((total for (held, _), total in around.day_notional.items() if held == account_id), ZERO)


def _strategy_notional(strategy_id: UUID, around: Surroundings) -> Decimal:
    return sum((total for (_, strategy), total in around.day_notional.items() if strategy == strategy_id), ZERO)


def resting_order(order: OpenOrder) -> RestingOrder:
    return RestingOrder(
        client_order_id=order.id,
        account_id=id_text(order.account_id),
        outcome=_OUTCOMES[order.outcome],
        action=_ACTIONS[order.action],
        price=order.price,
        remaining=order.remaining,
        exposure_id=order.exposure_id,
        cancellable=order.status in _CANCELLABLE and not order.cancel_requested,
        is_repriced=order.is_repriced,
    )
