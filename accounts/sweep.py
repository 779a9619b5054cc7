"""Sweeps: settled fills found by REST that the ledger lacks go to the bus, and the ledger is waited for.

The canceller, the recovery and the reconciler end an order only after a sweep whose fills are in the books: otherwise
whoever counts shares would see an order end without its fill, and order it again.
"""

import asyncio
import time
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from accounts.executions import missing, settled_fill
from streams.killpoints import reach
from streams.publisher import Publisher
from trading.enums import Platform
from trading.events import FILL_EVENTS
from venues.contract import VenueFill

Pool = AsyncConnectionPool[AsyncConnection[Any]]

WAIT_S = 3.0
_POLL_S = 0.05

_SETTLED = """
SELECT trade_id FROM accounts_fill WHERE account_id = %s AND trade_id = ANY(%s) AND settlement = 'settled'
"""


class Swept(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep came to."""

    published: int
    complete: bool
    """Every fill the venue told of is in the books as settled. Only then may an order be ended."""


async def sweep_fills(
    pool: Pool,
    publisher: Publisher,
    platform: Platform,
    account_id: UUID,
    account_name: str,
    fills: Sequence[VenueFill],
    wait_s: float = WAIT_S,
) -> Swept:
    """Publish those of `fills` that the ledger lacks and wait up to `wait_s` until it has them."""
    ids = [fill.trade_id for fill in fills]
    found = missing(fills, await load_settled(pool, account_id, ids))
    if not found:
        return Swept(published=0, complete=True)
    now_ns = time.time_ns()
    reach("sweep.before_publish")
    await publisher.publish_many(
        FILL_EVENTS, [settled_fill(platform, str(account_id), account_name, fill, now_ns) for fill in found]
    )
    reach("sweep.published")
    wanted = {fill.trade_id for fill in found}
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        if wanted <= await load_settled(pool, account_id, wanted):
            return Swept(published=len(found), complete=True)
        await asyncio.sleep(_POLL_S)
    return Swept(published=len(found), complete=False)


async def load_settled(pool: Pool, account_id: UUID, trade_ids: Collection[str]) -> set[str]:
    """Which of these trades the ledger has as settled."""
    if not trade_ids:
        return set()
    async with pool.connection() as conn:
        cursor = await conn.execute(_SETTLED, (account_id, list(trade_ids)), prepare=True)
        return {trade_id for (trade_id,) in await cursor.fetchall()}
