"""What became of sent orders: written in batches, then told to the bus. The executor and the recovery put answers in.

An answer is never lost to an outage: it waits here until the ledger has it, and if this process dies first, the
recovery finds the same answer by evidence. A status is announced after it is durable; one whose announcement was lost
is announced again by the recovery, under the same event id.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import redis
import structlog
from msgspec.structs import replace
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from accounts.ledger.orders import record_announced, record_spoken
from accounts.ledger.rows import Answer, OrderRow, Standing
from streams.killpoints import reach
from streams.publisher import Publisher
from trading.enums import Action, OrderStatus, Outcome, Platform
from trading.events import TRADE_EVENTS, Event, TradeExecuted
from trading.ids import event_id
from trading.values import plain

Pool = AsyncConnectionPool[AsyncConnection[Any]]
Row = OrderRow | Standing

_SILENT = frozenset({OrderStatus.INITIALIZED.value, OrderStatus.SUBMITTED.value})
"""Steps on the way to a word; nobody is told of them."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PAUSE_S = 0.25
_NOTE_EVERY_S = 0.1
_CLOSE_S = 5.0

log = structlog.get_logger()


def utc_now() -> datetime:
    """The present moment, with its zone."""
    return datetime.now(UTC)


def moment(unix_ns: int) -> datetime | None:
    """Unix nanoseconds as a moment, to the microsecond and without a float; None for 0."""
    return _EPOCH + timedelta(microseconds=unix_ns // 1000) if unix_ns else None


def trade_event(row: Row, at: datetime) -> Event:
    """The executor's word on an order as it stands. Its id names (order, status): said twice, it is one event."""
    return Event(
        id=event_id("order", str(row.id), row.status),
        timestamp=at,
        platform=Platform(row.platform),
        data=TradeExecuted(
            account_id=str(row.account_id),
            account_name=row.account_name,
            market_id=row.market_id,
            side=Outcome(row.outcome),
            price=plain(row.price),
            shares=plain(row.size),
            order_hash=row.order_hash or "",
            action=Action(row.action),
            client_order_id=str(row.id),
            venue_order_id=row.venue_order_id,
            status=OrderStatus(row.status),
            filled=plain(row.filled),
            origin=row.origin,
            exposure_id=str(row.exposure_id) if row.exposure_id else None,
            reason=row.reason,
            latency_us=row.latency_us,
        ),
    )


async def publish_orders(publisher: Publisher, rows: Iterable[Row]) -> list[Row]:
    """Put on the bus what is durable and not there yet; gives the rows to be noted as announced."""
    due = [row for row in rows if row.announced != row.status]
    at = utc_now()
    events = [trade_event(row, at) for row in due if row.status not in _SILENT]
    if events:
        reach("answers.before_publish")
        await publisher.publish_many(TRADE_EVENTS, events)
        reach("answers.published")
    return due


async def announce_orders(conn: AsyncConnection[Any], publisher: Publisher, rows: Iterable[Row]) -> None:
    """Publish what is not on the bus yet, then note it. `conn` is in no transaction that could still roll back."""
    due = await publish_orders(publisher, rows)
    if due:
        await record_announced(conn, due)
        reach("answers.announced")


class AnswerBook:
    """Collects answers and writes whatever has gathered, in one statement that is its own transaction."""

    def __init__(self, pool: Pool, publisher: Publisher) -> None:
        """`pool` gives connections in autocommit."""
        self._pool = pool
        self._publisher = publisher
        self._waiting: dict[UUID, Answer] = {}
        self._unannounced: list[Row] = []
        self._told: list[Row] = []
        self._rung = asyncio.Event()
        self._is_note_due = False
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def waiting(self) -> int:
        """Answers not written yet."""
        return len(self._waiting)

    def put(self, answer: Answer) -> None:
        """Hand in an answer; a later one on the same order takes its place and keeps when it was first sent."""
        held = self._waiting.get(answer.client_order_id)
        if held is not None and held.sent_at is not None:
            answer = replace(answer, sent_at=held.sent_at)
        self._waiting[answer.client_order_id] = answer
        self._rung.set()

    def announce(self, rows: Iterable[Row]) -> None:
        """Hand in rows whose status, already durable, is to be put on the bus."""
        self._unannounced += rows
        self._rung.set()

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="answers")

    async def close(self) -> None:
        """Write what waits, within a few seconds, and end."""
        self._closing = True
        self._rung.set()
        if self._task is not None:
            with contextlib.suppress(TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(self._task, _CLOSE_S)

    async def _run(self) -> None:
        while self._waiting or self._unannounced or self._told or not self._closing:
            await self._rung.wait()
            self._rung.clear()
            batch, self._waiting = self._waiting, {}
            rows, self._unannounced = self._unannounced, []
            if batch:
                reach("answers.before_record")
            try:
                async with self._pool.connection() as conn:
                    assert conn.autocommit
                    if batch:
                        rows += await self._record(conn, list(batch.values()))
                        batch = {}
                    if rows:
                        self._tell(await publish_orders(self._publisher, rows))
                    if self._told and (self._closing or self._is_note_due):
                        await self._note(conn)
            except (psycopg.Error, PoolTimeout, redis.RedisError, OSError) as error:
                if not batch:  # What is durable and not announced is announced by the recovery.
                    log.warning("orders_unannounced", orders=len(rows), error=type(error).__name__)
                    continue
                log.warning("answers_delayed", answers=len(batch), error=type(error).__name__)
                # What came in meanwhile is newer than what could not be written.
                self._waiting = batch | self._waiting
                self._unannounced = rows + self._unannounced
                self._rung.set()
                await asyncio.sleep(_PAUSE_S)

    async def _record(self, conn: AsyncConnection[Any], answers: Sequence[Answer]) -> list[Standing]:
        reach("answers.before_commit")
        rows = await record_spoken(conn, answers, utc_now())
        reach("answers.recorded")
        return rows

    def _tell(self, rows: Iterable[Row]) -> None:
        """These are on the bus, which is noted together with what follows soon: each note is one more version of an
        order's row, and a fill that comes first makes it needless."""
        if not self._told:
            asyncio.get_running_loop().call_later(_NOTE_EVERY_S, self._make_note_due)
        self._told += rows

    def _make_note_due(self) -> None:
        self._is_note_due = True
        self._rung.set()

    async def _note(self, conn: AsyncConnection[Any]) -> None:
        told, self._told, self._is_note_due = self._told, [], False
        await record_announced(conn, told)
        reach("answers.announced")
