"""The end of a hedge, proved. The venue's word that an order is over may overtake its last fills: they come by another
stream, another engine may still be at them, or their event was lost. Until the proof is there the order is *doubted*
and its remainder counts as in flight (`dispatch_open`), so nobody orders those shares again.

    the word          the ledger notes `doubted_since` with the status (`record_updates`), in one statement
    the proof         the venue's REST says twice that it is over; the settled fills it lists are in the books; the bus
                      holds no fill from before that nobody has handled; and the ledger has no fewer shares than it
    how far apart     2 s when the wallet stream was whole since the order left, else `AGREES_AFTER_S`

The engine that heard the word asks at once; the recovery asks for what is still doubted after a while.
"""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import redis
import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from accounts.answers import utc_now
from accounts.cancellation import Canceller
from accounts.lanes import AccountUnavailable, Lane, Lanes
from accounts.ledger.clearance import record_proved
from accounts.ledger.orders import load_orders
from accounts.ledger.rows import OrderRow
from accounts.second_look import AGREES_AFTER_S, SecondLook
from streams.handled import is_handled, load_newest
from streams.killpoints import reach
from streams.names import STRATEGIES
from streams.publisher import Publisher
from trading.enums import OrderStatus
from trading.errors import NotFound, VenueError
from trading.events import FILL_EVENTS

Pool = AsyncConnectionPool[AsyncConnection[Any]]

WHOLE_AGREES_AFTER_S = 2.0
"""Between the looks when the wallet stream told everything: longer than its events and a settlement usually take."""
DOUBTED_FOR = timedelta(seconds=4)
"""So long an end is left to the engine that heard of it."""
_BUS_S = 3.0
_POLL_S = 0.05
_AGAIN_S = 1.0
_TRIES = 20

_DOUBTED = """
SELECT id FROM accounts_order
WHERE doubted_since < %s AND exposure_id IS NOT NULL AND status IN ('cancelled', 'expired')
ORDER BY doubted_since LIMIT %s
"""

_WHOLE = """
SELECT EXISTS (
    SELECT 1 FROM accounts_order o JOIN accounts_account a ON a.id = o.account_id
    WHERE o.id = %s AND a.connection = 'connected' AND a.connection_at < o.submitted_at
)
"""

_ENDED = (OrderStatus.CANCELLED, OrderStatus.EXPIRED)

log = structlog.get_logger()


class Ends:
    """One process's proofs. Several processes may prove the same end: it is one conditional statement."""

    def __init__(self, pool: Pool, publisher: Publisher, lanes: Lanes, canceller: Canceller) -> None:
        self._pool = pool
        self._publisher = publisher
        self._lanes = lanes
        self._canceller = canceller
        self._looks = SecondLook()
        self._proving: set[UUID] = set()

    async def load_doubted(self, limit: int) -> list[UUID]:
        """Ends that nobody proved for a while, oldest first, without those this process is at."""
        async with self._pool.connection() as conn:
            cursor = await conn.execute(_DOUBTED, (utc_now() - DOUBTED_FOR, limit), prepare=True)
            return [order_id for (order_id,) in await cursor.fetchall() if order_id not in self._proving]

    async def prove(self, order_id: UUID) -> bool:
        """Look until the end is proved; False when it could not be now: then it stays doubted, and is asked again."""
        if order_id in self._proving:
            return False
        self._proving.add(order_id)
        try:
            for attempt in range(_TRIES):
                if attempt:
                    await asyncio.sleep(_AGAIN_S)
                try:
                    if await self._look(order_id):
                        return True
                except AccountUnavailable as error:
                    log.warning("end_unproved", order=str(order_id), reason=error.reason)
                    return False
                except VenueError as error:
                    log.warning("end_unproved", order=str(order_id), reason=error.slug)
                except (redis.RedisError, OSError) as error:
                    log.warning("end_unproved", order=str(order_id), reason=type(error).__name__)
            return False
        finally:
            self._proving.discard(order_id)

    async def _look(self, order_id: UUID) -> bool:
        async with self._pool.connection() as conn:
            rows = await load_orders(conn, [order_id])
            whole = await (await conn.execute(_WHOLE, (order_id,), prepare=True)).fetchone()
        if not rows or rows[0].order_hash is None or OrderStatus(rows[0].status) not in _ENDED:
            return True  # There is no end to prove: it was filled after all.
        row, order_hash = rows[0], rows[0].order_hash
        filled = await self._ask(self._lanes.get(row.account_id), row, order_hash)
        if filled is None:
            self._looks.forget(order_hash)
            return False
        apart = WHOLE_AGREES_AFTER_S if whole is not None and whole[0] else AGREES_AFTER_S
        if not self._looks.agrees(order_hash, apart):
            return False
        reach("end.before_record")
        proved = await self._record(order_id, filled)
        reach("end.recorded")
        if proved:
            self._looks.forget(order_hash)
        return proved

    async def _ask(self, lane: Lane, row: OrderRow, order_hash: str) -> Decimal | None:
        """Shares the venue says it filled in all, once it says the order is over and the books have what it lists."""
        try:
            state = await lane.client.fetch_order(order_hash)
        except NotFound:
            return None
        if state.status not in _ENDED:
            return None  # Its status lags behind, or the word was wrong.
        newest = await load_newest(self._publisher.bus, FILL_EVENTS)
        if not await self._canceller.sweep(lane, row) or not await self._is_bus_empty(newest):
            return None
        return state.filled

    async def _is_bus_empty(self, newest: str) -> bool:
        """Whether the engines are done with every fill up to `newest`, or are so within a moment."""
        waited = 0.0
        while not await is_handled(self._publisher.bus, FILL_EVENTS, STRATEGIES, newest):
            if waited >= _BUS_S:
                return False
            await asyncio.sleep(_POLL_S)
            waited += _POLL_S
        return True

    async def _record(self, order_id: UUID, filled: Decimal) -> bool:
        """End the doubt, unless the ledger still has fewer shares than the venue."""
        async with self._pool.connection() as conn:
            return await record_proved(conn, order_id, filled)
