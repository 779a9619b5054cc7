"""The intake: an order that a person or a quoter asked for goes from INITIALIZED to the wire, or to DENIED.

Called by the executor for a command off the bus, and by the recovery for a row whose command was lost. Every step is
conditional on the row still being INITIALIZED, so that any number of processes may be told of the same order.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol
from uuid import UUID

import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from accounts.answers import utc_now
from accounts.lanes import AccountUnavailable
from accounts.ledger.orders import load_orders, record_denied, record_journal
from accounts.ledger.rows import NewOrder, OrderRow
from accounts.levels import pass_of
from accounts.limits import Denied, Proposal, check
from accounts.marks import Marks
from accounts.standing import load_standing, lock_market
from streams.killpoints import reach
from trading.enums import Action, OrderOrigin, OrderStatus, OrderType, Outcome
from trading.errors import InvalidValue
from trading.instruments import MarketSpec

Pool = AsyncConnectionPool[AsyncConnection[Any]]

AT_ONCE = 4
"""Fewer than a pool has connections: orders that wait for their market's turn must not keep answers, cancels and
proofs from being written."""

log = structlog.get_logger()


class Sender(Protocol):
    """The executor, as far as the intake needs it."""

    def prepare(self, order: NewOrder, market: MarketSpec) -> NewOrder: ...

    def send(self, orders: Sequence[NewOrder]) -> None: ...

    def announce(self, rows: Sequence[OrderRow]) -> None: ...


class Intake:
    """Judges, journals and sends orders that are rows already."""

    def __init__(self, pool: Pool, sender: Sender, marks: Marks | None = None) -> None:
        """Without `marks` a price band goes by what is known already."""
        self._pool = pool
        self._sender = sender
        self._marks = marks
        self._at_once = asyncio.Semaphore(AT_ONCE)

    async def take(self, client_order_id: UUID) -> None:
        """Judge one order; send it or deny it. Nothing happens when it is no longer INITIALIZED."""
        async with self._at_once:
            await self._take(client_order_id)

    async def _take(self, client_order_id: UUID) -> None:
        now = utc_now()
        ready: NewOrder | None = None
        denied: list[OrderRow] = []
        async with self._pool.connection() as conn:
            rows = await load_orders(conn, [client_order_id])
        if not rows:
            # The row is committed before the command is published, so this is no row of this database.
            log.error("command_for_unknown_order", order=str(client_order_id))
            return
        if self._marks is not None and rows[0].status == OrderStatus.INITIALIZED:
            await self._marks.refresh(rows[0].market_key)
        async with self._pool.connection() as conn, conn.transaction():
            await lock_market(conn, rows[0].market_key)
            row = (await load_orders(conn, [client_order_id]))[0]
            if row.status != OrderStatus.INITIALIZED:
                return
            judged = await self._judge(conn, row)
            if isinstance(judged, Denied):
                denied = await record_denied(conn, row.id, judged.reason, now)
            else:
                order_hash, body = journaled(judged)
                reach("intake.before_journal")
                if await record_journal(conn, row.id, order_hash, body, judged.salt, judged.sender, now):
                    ready = judged
                reach("intake.before_commit")
        if ready is not None:
            reach("intake.journaled")
            self._sender.send([ready])
        self._sender.announce(denied)

    async def _judge(self, conn: AsyncConnection[Any], row: OrderRow) -> NewOrder | Denied:
        standing = await load_standing(conn, row, utc_now())
        verdict = check(
            Proposal(
                id=row.id,
                account_id=row.account_id,
                outcome=Outcome(row.outcome),
                action=Action(row.action),
                price=row.price,
                size=row.size,
                kind=pass_of(row.origin, row.exposure_id),
            ),
            standing,
        )
        if isinstance(verdict, Denied):
            return verdict
        assert standing.market is not None  # the check denies an unknown market
        try:
            return self._sender.prepare(new_order(row), standing.market)
        except AccountUnavailable as error:
            return Denied("account_unavailable", error.reason)
        except InvalidValue as error:
            return Denied("invalid_order", str(error))


def journaled(order: NewOrder) -> tuple[str, bytes]:
    """The hash and bytes of a signed order."""
    if order.order_hash is None or order.body is None:
        raise InvalidValue(f"order {order.id} is not signed")
    return order.order_hash, order.body


def new_order(row: OrderRow) -> NewOrder:
    """The order of a row, as the executor signs and sends it."""
    return NewOrder(
        id=row.id,
        account_id=row.account_id,
        market_key=row.market_key,
        outcome=Outcome(row.outcome),
        action=Action(row.action),
        price=row.price,
        size=row.size,
        order_type=OrderType(row.order_type),
        post_only=row.post_only,
        status=OrderStatus(row.status),
        origin=OrderOrigin(row.origin),
        exposure_id=row.exposure_id,
        strategy_id=row.strategy_id,
        cause=row.cause,
        leg=row.leg,
        rung=row.rung,
        salt=row.salt,
        expires_at_s=row.expires_at_s,
        order_hash=row.order_hash,
        body=row.body,
        sender=row.sender,
        cause_at=row.cause_at,
    )
