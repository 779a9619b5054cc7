"""Dispatch: a batch of events becomes durable facts and signed hedges in one transaction of two round trips.

The statements are in `dispatch.sql`.

    1  lock the orders concerned, insert what is new of the fills, lock their positions and exposures, read the market
    2  apply, decide, sign (all in memory)
    3  write orders' progress, positions, exposures, decisions and the signed orders; commit
    4  send

What is committed is what may leave: the signed bytes are in the order's row before the first of them is on the wire.
A crash before 3 changes nothing and the messages come again; a crash after 3 is healed by the executor's recovery.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, localcontext
from typing import Any, Protocol
from uuid import UUID

import msgspec
import structlog
from psycopg import AsyncConnection

from accounts.ledger.fills import PRECISION, FillBatch
from accounts.ledger.orders import record_updates
from accounts.ledger.rows import NewOrder, OrderRow, RecordedFill, VenueWord
from strategies.announcements import record_reversals, record_warnings
from strategies.evaluation import Evaluation, evaluate
from strategies.exposures import (
    AccountRow,
    ExposureRow,
    OpenOrder,
    PositionRow,
    begin_dispatch,
    close_dispatch,
    load_day_notional,
    opened_dispatch,
)
from strategies.foresight import Foresight, fill_cause
from strategies.handlers.plan import RestingOrder, Wake
from strategies.inbox import Inbox
from strategies.specs import SpecBook
from strategies.surroundings import Surroundings, adjusted
from strategies.trips import Trips
from strategies.watching import REJECTED
from streams.killpoints import reach
from trading.enums import Action, OrderStatus, Outcome
from trading.errors import TradingError
from trading.events import Event
from trading.instruments import Book, MarketSpec
from trading.values import ZERO

Connection = AsyncConnection[Any]
log = structlog.get_logger()


class Signer(Protocol):
    """The executor, as far as the dispatch needs it."""

    def prepare(self, order: NewOrder, market: MarketSpec) -> NewOrder:
        """The order signed and SUBMITTED; raises a TradingError when its account cannot sign now."""
        ...

    def send(self, orders: Sequence[NewOrder]) -> None:
        """Put committed orders on the wire at once."""
        ...


class Dispatched(msgspec.Struct, frozen=True, kw_only=True):
    """What one batch did, for whatever happens after the orders have left."""

    fills: tuple[RecordedFill, ...]
    evaluations: tuple[Evaluation, ...]
    sent: tuple[NewOrder, ...]
    denied: tuple[NewOrder, ...]
    cancels: tuple[RestingOrder, ...]
    alerts: tuple[Event, ...]
    """Raised in the same transaction, to be published."""


_NOTHING = Dispatched(fills=(), evaluations=(), sent=(), denied=(), cancels=(), alerts=())

SWEPT = "swept"
"""The wake of an exposure whose late fills were just looked for."""


class Dispatcher:
    """Runs batches on one connection of its own. One batch at a time; several dispatchers may run at once."""

    def __init__(
        self,
        conn: Connection,
        signer: Signer,
        specs: SpecBook,
        books: Mapping[str, Book],
        clock: Callable[[], datetime],
    ) -> None:
        self._conn = conn
        self._signer = signer
        self._specs = specs
        self._books = books
        self._clock = clock
        self._trips = Trips(conn)
        self._foresight = Foresight(signer.prepare, specs)

    async def dispatch(self, inbox: Inbox, wakes: Mapping[UUID, str] | None = None) -> Dispatched:
        """Record the inbox's fills, look at every exposure they or a wake touch, commit, send."""
        looked_at = {**inbox.wakes, **(wakes or {})}
        if not (inbox.received or looked_at or inbox.rejections):
            return _NOTHING
        now = self._clock()
        conn = self._conn
        batch = FillBatch(inbox.received)
        try:
            begin_dispatch(self._trips, batch.executions, [*looked_at, *inbox.rejections], now)
            self._foresight.foresee(batch.executions, now)
            opened = await opened_dispatch(self._trips)
            reach("dispatch.opened")
            batch.apply(opened.ledger)
            rows = opened.exposures
            await self._specs.ensure(conn, {row.market_key for row in rows})
            around = Surroundings(
                open_orders=adjusted(opened.open_orders, batch.progress()),
                positions=_held((p, p.size) for p in opened.positions),
                unsettled=_held((p, p.unsettled) for p in opened.positions),
                accounts={account.id: account for account in opened.accounts},
                day_notional=await self._day_notional(rows, opened.accounts, now),
                specs=self._specs,
                books=self._books,
                now=now,
                bounds={bound.market_key: bound for bound in opened.bounds},
                funds={funds.account_id: funds.free for funds in opened.funds},
                venues=opened.venues,
                desk_state=opened.desk_state,
            )
            evaluations, sent, around = self._decide(rows, batch.fills, looked_at, inbox.rejections, around)
            reach("dispatch.signed")
            denied = [order for evaluation in evaluations for order in evaluation.denied]
            alerts = await record_warnings(conn, evaluations, now) + await record_reversals(conn, batch.fills, now)
            reach("dispatch.before_commit")
            new = await close_dispatch(
                self._trips,
                batch.closing([*sent, *denied]),
                [evaluation.update for evaluation in evaluations],
                [evaluation.decision for evaluation in evaluations if evaluation.decision is not None],
                now,
            )
        except BaseException:
            await self._trips.abandon()
            raise
        reach("dispatch.committed")
        # An id that was taken already is another decision's order: it was, or will be, sent by whoever made it.
        leaving = [order for order in sent if order.id in new]
        self._signer.send(leaving)
        if leaving:
            await asyncio.sleep(0)  # Their bytes first, before anything else is done about this batch.
        self._foresight.remember(evaluations, around)
        reach("dispatch.sent")
        if len(leaving) != len(sent):
            log.warning("order_ids_taken", orders=[str(order.id) for order in sent if order.id not in new])
        return Dispatched(
            fills=tuple(batch.fills),
            evaluations=tuple(evaluations),
            sent=tuple(leaving),
            denied=tuple(order for order in denied if order.id in new),
            cancels=tuple(cancel for e in evaluations for cancel in e.cancels),
            alerts=tuple(alerts),
        )

    async def record_words(self, words: Sequence[VenueWord]) -> list[OrderRow]:
        """Record the venue's word on orders; returns the rows that changed."""
        if not words:
            return []
        async with self._conn.transaction():
            return await record_updates(self._conn, words, self._clock())

    def _decide(
        self,
        rows: Sequence[ExposureRow],
        fills: Sequence[RecordedFill],
        wakes: Mapping[UUID, str],
        rejections: Mapping[UUID, str],
        around: Surroundings,
    ) -> tuple[list[Evaluation], list[NewOrder], Surroundings]:
        """Evaluate every exposure concerned, one after the other, and sign what they order."""
        with localcontext(prec=PRECISION):
            return self._decide_each(rows, fills, wakes, rejections, around)

    def _decide_each(
        self,
        rows: Sequence[ExposureRow],
        fills: Sequence[RecordedFill],
        wakes: Mapping[UUID, str],
        rejections: Mapping[UUID, str],
        around: Surroundings,
    ) -> tuple[list[Evaluation], list[NewOrder], Surroundings]:
        ordered = sorted(fills, key=lambda fill: (fill.received_at, fill.trade_id))
        evaluations: list[Evaluation] = []
        signed: list[NewOrder] = []
        for row in rows:
            moving = [fill for fill in ordered if _concerns(fill, row)]
            if not moving and row.id not in wakes and row.id not in rejections:
                continue
            if moving:
                cause = fill_cause(moving)
                # A settlement's correction came long after its fill: it starts no clock.
                cause_at = min((fill.received_at for fill in moving if fill.shares > 0), default=None)
            else:
                cause, cause_at = f"{wakes.get(row.id, 'rejected')}:{row.id}:{row.revision}", None
            slug = rejections.get(row.id, "")
            hold = f"{REJECTED}{slug}" if slug and not moving else ""
            wake = Wake(cause=cause, is_swept=wakes.get(row.id) == SWEPT)
            evaluation = evaluate(row, moving, wake, around, hold=hold, rejected=slug, cause_at=cause_at)
            try:
                orders = self._sign(evaluation)
            except TradingError as error:
                orders = []
                evaluation = evaluate(row, moving, wake, around, hold=f"not_signed: {error}", cause_at=cause_at)
            if evaluation.changed or moving:
                evaluations.append(evaluation)
                signed += orders
                around = _with_planned(around, evaluation)
        return evaluations, signed, around

    def _sign(self, evaluation: Evaluation) -> list[NewOrder]:
        return [self._foresight.sign(order) for order in evaluation.orders]

    async def _day_notional(
        self, rows: Sequence[ExposureRow], accounts: Sequence[AccountRow], now: datetime
    ) -> Mapping[tuple[UUID, UUID | None], Decimal]:
        limited = {
            row.hedge_id for row in rows if row.hedge_max_notional is not None or "max_notional_per_day" in row.config
        } | {
            account.id
            for account in accounts
            if account.max_notional_per_day is not None or any("max_notional_per_day" in row.config for row in rows)
        }
        if not limited:
            return {}
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        return await load_day_notional(self._conn, sorted(limited), midnight)


def _concerns(fill: RecordedFill, row: ExposureRow) -> bool:
    if fill.market_key != row.market_key or not (fill.shares or fill.share_fee):
        return False
    if fill.exposure_id is None:
        return fill.account_id == row.primary_id
    return fill.exposure_id == row.id


def _held(
    amounts: Iterable[tuple[PositionRow, Decimal]],
) -> dict[tuple[UUID, str], dict[Outcome, Decimal]]:
    held: dict[tuple[UUID, str], dict[Outcome, Decimal]] = {}
    for position, amount in amounts:
        held.setdefault((position.account_id, position.market_key), {})[position.outcome] = amount
    return held


def _with_planned(around: Surroundings, evaluation: Evaluation) -> Surroundings:
    """The surroundings once this exposure's new orders are among the open ones: the next one must not cross them, nor
    spend what they spend."""
    if not evaluation.orders:
        return around
    funds, day = dict(around.funds), dict(around.day_notional)
    for order in evaluation.orders:
        notional, key = order.price * order.size, (order.account_id, order.strategy_id)
        day[key] = day.get(key, ZERO) + notional
        if order.action is Action.BUY and order.account_id in funds:
            funds[order.account_id] -= notional
    planned = [
        OpenOrder(
            order.id,
            order.exposure_id,
            order.account_id,
            order.market_key,
            order.outcome.value,
            order.action.value,
            order.price,
            order.size,
            OrderStatus.SUBMITTED.value,
            False,
        )
        for order in evaluation.orders
    ]
    return msgspec.structs.replace(around, open_orders=[*around.open_orders, *planned], funds=funds, day_notional=day)
