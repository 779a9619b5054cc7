"""Dispatch: a batch of events becomes durable facts and signed hedges in one transaction of two round trips.

The statements are in `dispatch.sql`.

    1  lock the orders concerned, insert what is new of the fills, lock their positions and exposures, read the market
    2  apply, decide, sign (all in memory)
    3  write orders' progress, positions, exposures, decisions and the signed orders; commit
    4  send

Where 3 can be foreseen it is written while 1 and 2 go on, and committed only if 2 comes to the very same
(docs/adr/0006-written-ahead-of-the-decision.md).

What is committed is what may leave: the signed bytes are in the order's row before the first of them is on the wire.
A crash before 3 changes nothing and the messages come again; a crash after 3 is healed by the executor's recovery.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, Protocol
from uuid import UUID

import msgspec
import structlog
from psycopg import AsyncConnection

from accounts.ledger.fills import FillBatch
from accounts.ledger.orders import record_updates
from accounts.ledger.rows import NewOrder, OrderRow, RecordedFill, VenueWord
from strategies.announcements import record_reversals, record_warnings
from strategies.deciding import Decided, Written, decide, written
from strategies.evaluation import Evaluation
from strategies.exposures import (
    AccountRow,
    ExposureRow,
    PositionRow,
    begin_dispatch,
    inserted,
    load_day_notional,
    opened_dispatch,
)
from strategies.foresight import Foreseen, Foresight
from strategies.handlers.plan import RestingOrder
from strategies.inbox import Inbox
from strategies.specs import SpecBook
from strategies.surroundings import Surroundings, adjusted
from strategies.trips import Trips, WrittenWrong
from streams.killpoints import reach
from trading.enums import Outcome, Settlement
from trading.events import Event
from trading.instruments import Book, MarketSpec

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

    def sent_lately(self, order_hash: str) -> NewOrder | None:
        """The order with this hash, if this process sent it and still remembers."""
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


class _Committed(msgspec.Struct, frozen=True, kw_only=True):
    decided: Decided
    batch: FillBatch
    foreseen: Foreseen
    writes: Written
    inserted: set[UUID]
    alerts: list[Event]


_NOTHING = Dispatched(fills=(), evaluations=(), sent=(), denied=(), cancels=(), alerts=())


class Dispatcher:
    """Runs batches on one connection of its own. One batch at a time; several dispatchers may run at once."""

    def __init__(
        self,
        conn: Connection,
        signer: Signer,
        specs: SpecBook,
        books: Mapping[str, Book],
        clock: Callable[[], datetime],
        foresight: Foresight | None = None,
    ) -> None:
        """Dispatchers of one engine share its `foresight`."""
        self._conn = conn
        self._signer = signer
        self._specs = specs
        self._books = books
        self._clock = clock
        self._trips = Trips(conn)
        self._foresight = foresight or Foresight(signer.prepare, signer.sent_lately, specs)

    async def dispatch(self, inbox: Inbox, wakes: Mapping[UUID, str] | None = None) -> Dispatched:
        """Record the inbox's fills, look at every exposure they or a wake touch, commit, send."""
        looked_at = {**inbox.wakes, **(wakes or {})}
        if not (inbox.received or looked_at or inbox.rejections):
            return _NOTHING
        now = self._clock()
        try:
            try:
                committed = await self._transact(inbox, looked_at, now, ahead=True)
            except WrittenWrong:
                await self._trips.take_back()
                committed = await self._transact(inbox, looked_at, now, ahead=False)
        except BaseException:
            await self._trips.abandon()
            raise
        reach("dispatch.committed")
        decided, new = committed.decided, committed.inserted
        # An id that was taken already is another decision's order: it was, or will be, sent by whoever made it.
        leaving = [order for order in decided.sent if order.id in new]
        self._signer.send(leaving)
        self._foresight.remember(committed.foreseen, decided, committed.batch, committed.writes)
        reach("dispatch.sent")
        if len(leaving) != len(decided.sent):
            log.warning("order_ids_taken", orders=[str(order.id) for order in decided.sent if order.id not in new])
        return Dispatched(
            fills=tuple(committed.batch.fills),
            evaluations=tuple(decided.evaluations),
            sent=tuple(leaving),
            denied=tuple(order for order in decided.denied if order.id in new),
            cancels=tuple(cancel for e in decided.evaluations for cancel in e.cancels),
            alerts=tuple(committed.alerts),
        )

    async def _transact(self, inbox: Inbox, looked_at: Mapping[UUID, str], now: datetime, *, ahead: bool) -> _Committed:
        """The transaction. With `ahead`, what is foreseen is written before it is decided; raises WrittenWrong when
        the decision is another."""
        trips = self._trips
        batch = FillBatch(inbox.received)
        begin_dispatch(trips, batch.executions, [*looked_at, *inbox.rejections], now)
        foreseen = self._foresight.foresee(batch.executions, now)
        guess = foreseen.writes if ahead and foreseen.is_sure and not (looked_at or inbox.rejections) else None
        if guess is not None:
            trips.write_ahead(guess.encoded())
            reach("dispatch.written_ahead")
        opened = await opened_dispatch(trips)
        reach("dispatch.opened")
        batch.apply(opened.ledger)
        rows = opened.exposures
        if any(row.market_key not in self._specs for row in rows):
            await self._specs.ensure(trips.connection(), {row.market_key for row in rows})
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
        sign = partial(self._foresight.sign, foreseen)
        decided = decide(rows, batch.fills, around, sign, wakes=looked_at, rejections=inbox.rejections)
        reach("dispatch.signed")
        alerts: list[Event] = []
        if any(evaluation.warnings for evaluation in decided.evaluations):
            alerts += await record_warnings(trips.connection(), decided.evaluations, now)
        if any(fill.settlement is Settlement.FAILED for fill in batch.fills):
            alerts += await record_reversals(trips.connection(), batch.fills, now)
        reach("dispatch.before_commit")
        writes = written(batch, decided, now)
        if guess is not None and guess != writes:
            raise WrittenWrong
        new = inserted(await trips.commit(writes.encoded() if guess is None else None))
        return _Committed(decided=decided, batch=batch, foreseen=foreseen, writes=writes, inserted=new, alerts=alerts)

    async def record_words(self, words: Sequence[VenueWord]) -> list[OrderRow]:
        """Record the venue's word on orders; returns the rows that changed."""
        if not words:
            return []
        async with self._conn.transaction():
            return await record_updates(self._conn, words, self._clock())

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
        return await load_day_notional(self._trips.connection(), sorted(limited), midnight)


def _held(
    amounts: Iterable[tuple[PositionRow, Decimal]],
) -> dict[tuple[UUID, str], dict[Outcome, Decimal]]:
    held: dict[tuple[UUID, str], dict[Outcome, Decimal]] = {}
    for position, amount in amounts:
        held.setdefault((position.account_id, position.market_key), {})[position.outcome] = amount
    return held
