"""Carrying out a stop that clears the desk: every resting order off its book, and at `flatten` every holding sold.

Each engine runs a round with every recovery. An order is claimed in the database before its cancel is asked for, and
a closing order's id is a pure function of the stop and the holding, so any number of engines do each thing once. What
a venue refuses or a restart interrupts is done by a later round, until the stop is lifted.
"""

from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from accounts.answers import utc_now
from accounts.closing import Closing, load_closing
from accounts.gate import Gate
from accounts.ledger.clearance import record_cancels_claimed
from accounts.ledger.orders import record_orders
from accounts.ledger.rows import NewOrder
from accounts.levels import CANCELLING, FLATTEN
from accounts.models import Account
from accounts.stop_preview import is_unreachable
from markets.models import market_key
from trading.enums import Mode
from trading.errors import VenueError
from trading.ids import deterministic_uuid

Pool = AsyncConnectionPool[AsyncConnection[Any]]
Step = Callable[[UUID], Awaitable[None]]

MAX_SLIPPAGE = Decimal("0.10")
"""Per share below the best bid: a stop that flattens wants out."""
REPRICE_AFTER = timedelta(seconds=10)
"""A closing order that rested so long is taken off, and its holding offered anew at the bid of that moment."""
LOOK_EVERY = timedelta(seconds=5)
MOST = 200

_ROUNDS = """
SELECT market_id, outcome, count(*) FROM accounts_order
WHERE account_id = %s AND origin = 'closing' AND cause = %s GROUP BY market_id, outcome
"""

log = structlog.get_logger()


class Clearing:
    """One process's part in clearing the desk."""

    def __init__(self, pool: Pool, gate: Gate, cancel: Step, take: Step) -> None:
        """`cancel` takes an order off its book; `take` judges and sends an INITIALIZED one."""
        self._pool = pool
        self._gate = gate
        self._cancel = cancel
        self._take = take
        self._looked_at = utc_now() - LOOK_EVERY

    async def run_once(self, spawn: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        """One round of whatever the stop in force asks for; the venue's part is done by what `spawn` is given."""
        level, generation = self._gate.level, self._gate.generation
        if level not in CANCELLING:
            return
        now = utc_now()
        # At `flatten` a closing order may rest a while before its holding is offered anew.
        spared = now - REPRICE_AFTER if level == FLATTEN else None
        async with self._pool.connection() as conn:
            claimed = await record_cancels_claimed(conn, spared, now, MOST)
        for order_id in claimed:
            spawn(self._step(self._cancel, order_id))
        if claimed:
            log.warning("orders_cleared", stop_level=level, orders=len(claimed))
        if level == FLATTEN and not claimed and now - self._looked_at >= LOOK_EVERY:
            self._looked_at = now
            spawn(self._flatten(generation))

    async def _flatten(self, generation: int) -> None:
        # HALTED accounts too: the emergency is the stronger word. One without a key or a connection waits for them.
        holders = Account.objects.filter(positions__size__gt=0).exclude(is_unreachable()).distinct()
        holding = holders.order_by("name")
        async for account in holding:
            closing = await load_closing(account, MAX_SLIPPAGE, "flatten")
            orders = await self._orders(account, closing, generation)
            if not orders or self._gate.level != FLATTEN or self._gate.generation != generation:
                continue
            async with self._pool.connection() as conn, conn.transaction():
                await record_orders(conn, orders, utc_now())
            log.warning("account_flattened", account=account.name, orders=len(orders))
            for order in orders:
                await self._step(self._take, order.id)

    async def _orders(self, account: Account, closing: Closing, generation: int) -> list[NewOrder]:
        cause = f"flatten:{generation}"
        async with self._pool.connection() as conn:
            rows = await (await conn.execute(_ROUNDS, (account.pk, cause))).fetchall()
        before = {(market, outcome): count for market, outcome, count in rows}
        orders: list[NewOrder] = []
        for sale in closing.sales:
            assert sale.client_order_id is not None
            key = market_key(sale.platform, sale.market_id)
            exposure_id = closing.hedges.get(sale.client_order_id)
            earlier = before.get((key, sale.side.value), 0)
            parts = (cause, str(account.pk), key, sale.side.value, str(earlier), str(exposure_id))
            orders.append(
                NewOrder(
                    id=deterministic_uuid(*parts),
                    account_id=account.pk,
                    market_key=key,
                    outcome=sale.side,
                    action=sale.action,
                    price=sale.price,
                    size=sale.shares,
                    order_type=sale.order_type,
                    origin=sale.origin,
                    mode=Mode(account.mode),
                    exposure_id=exposure_id,
                    cause=cause,
                )
            )
        return orders

    @staticmethod
    async def _step(step: Step, order_id: UUID) -> None:
        try:
            await step(order_id)
        except VenueError as error:
            log.warning("clearing_delayed", order=str(order_id), reason=error.slug)
