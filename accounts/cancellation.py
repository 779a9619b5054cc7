"""Taking orders off the book. The executor and recovery call this; a cancel may leave while the desk is stopped.

An order is closed only on the venue's word, and after a look for fills that came before it: those go to the bus first,
so that whoever counts shares sees the fill before the end of the order.
"""

import asyncio
import time
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from accounts.answers import AnswerBook, utc_now
from accounts.executions import order_state, order_update
from accounts.lanes import AccountUnavailable, Lane, Lanes
from accounts.ledger.orders import load_orders, record_answers, record_cancel_request
from accounts.ledger.rows import Answer, OrderRow
from accounts.second_look import SecondLook
from accounts.sweep import sweep_fills
from streams.killpoints import reach
from streams.publisher import Publisher
from trading.enums import OrderStatus, Platform
from trading.errors import NotFound, VenueError
from trading.events import TRADE_EVENTS
from trading.orders import TERMINAL
from venues.priority import Priority, prioritised

Pool = AsyncConnectionPool[AsyncConnection[Any]]

TRIES = 4
"""A taker lock lasts about 0.2 s, and an order is known to the venue some 50 ms after it took it."""
_PAUSE_S = 0.15
_OVERLAP = timedelta(minutes=2)
"""How far before an order's making its fills are looked for: the venue's clock is not ours."""

log = structlog.get_logger()


class Canceller:
    """Cancels orders and publishes what the venue says became of them."""

    def __init__(self, pool: Pool, publisher: Publisher, lanes: Lanes, answers: AnswerBook) -> None:
        self._pool = pool
        self._publisher = publisher
        self._lanes = lanes
        self._answers = answers
        self.looks = SecondLook()

    async def cancel(self, client_order_id: UUID) -> None:
        """Ask for the end of one order; what comes of it reaches the ledger as an event. Never raises a venue error.

        A request that cannot be carried out now stays on the order's row, and the recovery asks again.
        """
        reach("cancel.before_request")
        row = await self._request(client_order_id)
        reach("cancel.requested")
        if row is None or row.order_hash is None:
            return
        try:
            await self._cancel_at_venue(self._lanes.get(row.account_id), row, row.order_hash)
        except AccountUnavailable as error:
            log.warning("cancel_delayed", order=str(row.id), reason=error.reason)
        except VenueError as error:
            log.warning("cancel_delayed", order=str(row.id), reason=error.slug)

    async def sweep(self, lane: Lane, row: OrderRow) -> bool:
        """Bring this order's settled fills into the books; False when some are still on their way."""
        since = row.created_at - _OVERLAP
        with prioritised(Priority.RECONCILE):
            fills = await lane.client.fetch_fills(int(since.timestamp()) * 1000)
        own = [fill for fill in fills if fill.order_hash.lower() == row.order_hash]
        swept = await sweep_fills(
            self._pool, self._publisher, Platform(row.platform), row.account_id, row.account_name, own
        )
        return swept.complete

    async def sweep_account(self, lane: Lane, since: datetime) -> bool:
        """The same for all the account's settled fills since then."""
        with prioritised(Priority.RECONCILE):
            fills = await lane.client.fetch_fills(int(since.timestamp()) * 1000)
        account = lane.account
        swept = await sweep_fills(self._pool, self._publisher, account.platform, account.id, account.name, fills)
        return swept.complete

    async def _request(self, client_order_id: UUID) -> OrderRow | None:
        """The row, when the venue must be asked; None when there is nothing to ask it for."""
        now = utc_now()
        changed: list[OrderRow] = []
        async with self._pool.connection() as conn, conn.transaction():
            rows = await load_orders(conn, [client_order_id])
            if not rows or OrderStatus(rows[0].status) in TERMINAL:
                return None
            await record_cancel_request(conn, client_order_id, now)
            if rows[0].status == OrderStatus.INITIALIZED:
                # Conditional: the order may be journaled and sent by another process at this moment.
                answer = Answer(client_order_id=client_order_id, status=OrderStatus.CANCELLED, reason="before it left")
                changed = await record_answers(conn, [answer], now)
                rows = changed or rows
        self._answers.announce(changed)
        return None if OrderStatus(rows[0].status) in TERMINAL else rows[0]

    async def _cancel_at_venue(self, lane: Lane, row: OrderRow, order_hash: str) -> None:
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(_PAUSE_S * attempt)
            reach("cancel.before_send")
            said = await lane.client.cancel([order_hash])
            reach("cancel.answered")
            if order_hash in said.cancelled:
                await self._close(lane, row, order_hash)
                return
            if order_hash in said.gone:
                break
        await self._look(lane, row, order_hash)

    async def _close(self, lane: Lane, row: OrderRow, order_hash: str) -> None:
        if not await self.sweep(lane, row):
            log.warning("cancel_unfinished", order=str(row.id), reason="its fills are not in the books yet")
            return
        event = order_update(
            Platform(row.platform),
            str(row.account_id),
            row.account_name,
            market_id=row.market_id,
            order_hash=order_hash,
            status=OrderStatus.CANCELLED,
            reason="on request",
            at_ns=time.time_ns(),
        )
        reach("cancel.before_publish")
        await self._publisher.publish(TRADE_EVENTS, event)
        reach("cancel.published")

    async def _look(self, lane: Lane, row: OrderRow, order_hash: str) -> None:
        """It was gone, or could not be cancelled: the venue's word on its state, after its fills."""
        try:
            with prioritised(Priority.RECONCILE):
                state = await lane.client.fetch_order(order_hash)
        except NotFound:
            return  # Not there yet, or never sent: the recovery settles that by evidence.
        swept = await self.sweep(lane, row)
        if state.status not in (OrderStatus.CANCELLED, OrderStatus.EXPIRED):
            self.looks.forget(order_hash)
            return
        # What is not confirmed yet is asked again by the recovery, which repeats the cancel.
        if self.looks.agrees(order_hash) and swept:
            event = order_state(Platform(row.platform), str(row.account_id), row.account_name, state, time.time_ns())
            await self._publisher.publish(TRADE_EVENTS, event)
