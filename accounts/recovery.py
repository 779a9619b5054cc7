"""Recovery: orders whose fate is open are settled by evidence, never by assumption. The executor runs it every second.

    INITIALIZED, nobody came for it      → the intake judges and sends it
    SUBMITTED or UNKNOWN for 4 s         → ask the venue by order hash:
        it knows the order               → its fills go to the bus first, then its status is written; that it is
                                           over is believed at the second look (`second_look`)
        it does not (and would by now)   → the same bytes are sent again: the same hash, so the same order;
                                           with a cancel asked for, a stop or a halt they are not, and 30 s after
                                           they could last have left the order is ended
        no answer                        → nothing changes; asked again in 4 s
    cancel asked for, still on the book  → asked again
    its end doubted for 4 s              → proved (`ends`)
    status not announced                 → announced

The venue's status may lag behind (a filled order that reads OPEN, even CANCELLED): fills are the truth, they enter by
the stream like all others, and "filled" is never taken from a status. Start-up is the same path.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

import redis
import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from accounts.answers import AnswerBook, announce_orders, utc_now
from accounts.cancellation import Canceller
from accounts.ends import Ends
from accounts.gate import Gate
from accounts.intake import Intake
from accounts.lanes import AccountUnavailable, Lane, Lanes
from accounts.ledger.clearance import record_absent, record_cleared
from accounts.ledger.orders import load_unannounced, load_unsettled
from accounts.ledger.rows import Answer, OrderRow
from accounts.levels import FLATTEN, lets_out, pass_of
from streams.killpoints import reach
from streams.publisher import Publisher
from trading.enums import OrderStatus, TradingState
from trading.errors import NotFound, VenueError
from venues.contract import SignedOrder
from venues.priority import Priority, prioritised

Pool = AsyncConnectionPool[AsyncConnection[Any]]

ORPHANED_AFTER = timedelta(seconds=4)
"""Longer than any HTTP time-out, and than the venue takes to register an order."""
GIVEN_UP_AFTER = timedelta(seconds=30)
"""After `submitted_at`. Bytes leave within 3 s of it (`clearance.LEAVE_WITHIN`) and no time-out is longer than 3 s."""
UNANNOUNCED_AFTER = timedelta(seconds=3)
CANCEL_AGAIN_AFTER = timedelta(seconds=3)
AT_ONCE = 64
MOST = 200

_CANCELS = """
SELECT id FROM accounts_order
WHERE status IN ('initialized', 'accepted', 'partially_filled')
  AND cancel_requested_at < %s AND updated_at < %s
ORDER BY cancel_requested_at LIMIT %s
"""

"""Not those whose fate is open: asking again for their cancel touches them, and they would never be settled first."""

log = structlog.get_logger()


class Sender(Protocol):
    """The executor, as far as the recovery needs it."""

    name: str
    gate: Gate
    lanes: Lanes
    answers: AnswerBook

    def is_sending(self, client_order_id: UUID) -> bool: ...

    async def deliver(self, account_id: UUID, signed: SignedOrder, kind: str, *, again: bool = False) -> None: ...


class Recovery:
    """One process's rounds. Several processes may settle the same order at once: each step is the same step twice."""

    def __init__(self, pool: Pool, publisher: Publisher, sender: Sender, canceller: Canceller, ends: Ends) -> None:
        self._pool = pool
        self._publisher = publisher
        self._sender = sender
        self._canceller = canceller
        self._ends = ends
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._working: set[UUID] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run_once(self, intake: Intake) -> None:
        """Begin work on whatever is due, and return; slow venues are waited for in the background."""
        now = utc_now()
        async with self._pool.connection() as conn, conn.transaction():
            # The row locks end with this short transaction: fills must never wait for a venue's answer.
            rows = await load_unsettled(conn, now - ORPHANED_AFTER, MOST)
        for row in rows:
            if row.id not in self._working and not self._sender.is_sending(row.id):
                self._spawn(row.id, self._settle(row, intake))
        async with self._pool.connection() as conn:
            cursor = await conn.execute(_CANCELS, (now - CANCEL_AGAIN_AFTER, now - CANCEL_AGAIN_AFTER, MOST))
            cancels = [order_id for (order_id,) in await cursor.fetchall()]
        for order_id in cancels:
            if order_id not in self._working:
                self._spawn(order_id, self._canceller.cancel(order_id))
        for order_id in await self._ends.load_doubted(AT_ONCE):
            if order_id not in self._working:
                self._spawn(order_id, self._prove(order_id))
        await self._announce()

    async def wait(self) -> None:
        """Until everything begun so far is done."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def close(self) -> None:
        """End what is going on; the next start begins where it was."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _prove(self, order_id: UUID) -> None:
        await self._ends.prove(order_id)

    async def _settle(self, row: OrderRow, intake: Intake) -> None:
        async with self._at_once:
            if row.status == OrderStatus.INITIALIZED:
                await intake.take(row.id)
                return
            if row.order_hash is None or row.body is None:
                log.error("journal_without_bytes", order=str(row.id))
                return
            try:
                lane = self._sender.lanes.get(row.account_id)
                with prioritised(Priority.RECONCILE):
                    await self._settle_sent(lane, row, row.order_hash, row.body)
            except AccountUnavailable as error:
                self._leave(row, error.reason)
            except VenueError as error:
                self._leave(row, error.slug)

    async def _settle_sent(self, lane: Lane, row: OrderRow, order_hash: str, body: bytes) -> None:
        try:
            reach("recovery.before_look")
            state = await lane.client.fetch_order(order_hash)
        except NotFound:
            kind = pass_of(row.origin, row.exposure_id)
            if row.cancel_requested_at is not None:
                await self._give_up(row, "never reached the venue")
            elif lane.account.state == TradingState.HALTED and self._sender.gate.level != FLATTEN:
                await self._give_up(row, "account_halted")
            elif self._sender.gate.permits(kind):
                await self._send_again(row, order_hash, body, kind)
            elif not lets_out(self._sender.gate.level, kind):
                await self._give_up(row, "stopped")
            return
        reach("recovery.found")
        complete = await self._canceller.sweep(lane, row)
        closed = state.status in (OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REJECTED)
        if not closed:
            self._canceller.looks.forget(order_hash)
        elif not self._canceller.looks.agrees(order_hash) or not complete:
            self._leave(row, f"reads as {state.status} at the venue; to be confirmed")
            return
        self._sender.answers.put(
            Answer(
                client_order_id=row.id,
                # FILLED is for recorded fills to say: until they come, its shares are in flight.
                status=state.status if closed else OrderStatus.ACCEPTED,
                venue_order_id=state.venue_order_id,
                reason="found at the venue",
            )
        )
        log.info("order_settled", order=str(row.id), before=row.status, venue_status=state.status.value)

    async def _send_again(self, row: OrderRow, order_hash: str, body: bytes, kind: str) -> None:
        reach("recovery.before_clear")
        async with self._pool.connection() as conn:
            if not await record_cleared(conn, row.id, row.submitted_at, self._sender.name, utc_now()):
                return  # Somebody else sends it, or has ended it.
        reach("recovery.cleared")
        signed = SignedOrder(client_order_id=row.id, order_hash=order_hash, body=bytes(body))
        log.info("order_sent_again", order=str(row.id), before=row.status, attempts=row.attempts)
        await self._sender.deliver(row.account_id, signed, kind, again=True)

    async def _give_up(self, row: OrderRow, reason: str) -> None:
        """It may not be sent (again) and the venue has no such order: once nothing can be on its way, it is over."""
        now = utc_now()
        if now - (row.submitted_at or row.created_at) < GIVEN_UP_AFTER:
            self._leave(row, reason)
            return
        reach("recovery.before_end")
        async with self._pool.connection() as conn:
            ended = await record_absent(conn, row.id, row.submitted_at, reason, now)
        reach("recovery.ended")
        if ended is not None:
            self._sender.answers.announce([ended])

    def _leave(self, row: OrderRow, reason: str) -> None:
        """No evidence now: it stays as it is, with the reason, and goes to the end of the line."""
        log.warning("order_unsettled", order=str(row.id), status=row.status, reason=reason)
        self._sender.answers.put(Answer(client_order_id=row.id, status=OrderStatus(row.status), reason=reason))

    async def _announce(self) -> None:
        async with self._pool.connection() as conn:
            rows: Sequence[OrderRow] = await load_unannounced(conn, utc_now() - UNANNOUNCED_AFTER, MOST)
        if not rows:
            return
        try:
            async with self._pool.connection() as conn:
                await announce_orders(conn, self._publisher, rows)
        except (redis.RedisError, OSError) as error:
            log.warning("orders_unannounced", orders=len(rows), error=type(error).__name__)

    def _spawn(self, order_id: UUID, job: Coroutine[Any, Any, None]) -> None:
        self._working.add(order_id)
        task: asyncio.Task[None] = asyncio.create_task(job)
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(order_id, done))

    def _ended(self, order_id: UUID, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._working.discard(order_id)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("recovery_failed", order=str(order_id), error=type(error).__name__, exc_info=error)
