"""Fills that matched and whose end was never heard: the word that their settlement failed was lost on its way.

The venue lists settled matches only, so a failed one is silence. The reconciler asks here: when a fill is old, is not
among the settled ones, its order is over and the venue's settled quantity of that order has no room for it, it failed.
Should it settle after all, the ledger takes that word over this one.
"""

import time
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from accounts.executions import failed_fill
from streams.killpoints import reach
from streams.publisher import Publisher
from trading.enums import Action, OrderStatus, Outcome, Platform
from trading.errors import NotFound
from trading.events import FILL_EVENTS
from trading.values import ZERO
from venues.contract import VenueClient

Pool = AsyncConnectionPool[AsyncConnection[Any]]

SILENT_FOR = timedelta(seconds=20)
"""A settlement takes seconds; the venue's own lists lag some more."""
MOST_ORDERS = 20
_OVER = frozenset({OrderStatus.CANCELLED, OrderStatus.EXPIRED})
"""Predict.fun's INVALIDATED reads as CANCELLED."""

_SILENT = """
SELECT f.trade_id, f.settlement_id, f.order_hash, m.market_id, f.outcome, f.action, f.price, f.size,
       (SELECT coalesce(sum(s.size), 0) FROM accounts_fill s
        WHERE s.account_id = f.account_id AND s.order_hash = f.order_hash AND s.settlement = 'settled')
FROM accounts_fill f JOIN markets_market m ON m.id = f.market_id
WHERE f.account_id = %s AND f.settlement = 'matched' AND f.received_at < %s
ORDER BY f.received_at LIMIT %s
"""

log = structlog.get_logger()


class SilentFill(msgspec.Struct, frozen=True):
    """A matched fill nobody has heard of since. Field order is the query's."""

    trade_id: str
    settlement_id: str
    order_hash: str
    market_id: str
    outcome: str
    action: str
    price: Decimal
    size: Decimal
    settled: Decimal
    """Shares of its order that have settled, in the ledger."""


async def fail_silent_fills(
    pool: Pool,
    publisher: Publisher,
    client: VenueClient,
    platform: Platform,
    account_id: UUID,
    account_name: str,
    listed: Collection[str],
    now: datetime,
) -> int:
    """Publish the failure of what has failed; how many. `listed`: trades the venue lists as settled.

    Raises VenueError when the venue cannot be asked; then nothing is concluded.
    """
    async with pool.connection() as conn:
        cursor = await conn.execute(_SILENT, (account_id, now - SILENT_FOR, 10 * MOST_ORDERS))
        silent = [SilentFill(*row) for row in await cursor.fetchall()]
    failed: list[SilentFill] = []
    asked = list(dict.fromkeys(fill.order_hash for fill in silent if fill.trade_id not in listed))[:MOST_ORDERS]
    for order_hash in asked:
        fills = [fill for fill in silent if fill.order_hash == order_hash and fill.trade_id not in listed]
        if await _have_failed(client, order_hash, fills):
            failed += fills
    if failed:
        log.warning("settlements_failed_silently", account=account_name, fills=[fill.trade_id for fill in failed])
        now_ns = time.time_ns()
        events = [
            failed_fill(
                platform,
                str(account_id),
                account_name,
                market_id=fill.market_id,
                outcome=Outcome(fill.outcome),
                action=Action(fill.action),
                price=fill.price,
                size=fill.size,
                order_hash=fill.order_hash,
                trade_id=fill.trade_id,
                settlement_id=fill.settlement_id,
                now_ns=now_ns,
            )
            for fill in failed
        ]
        reach("reversal.before_publish")
        await publisher.publish_many(FILL_EVENTS, events)
        reach("reversal.published")
    return len(failed)


async def _have_failed(client: VenueClient, order_hash: str, fills: Sequence[SilentFill]) -> bool:
    try:
        state = await client.fetch_order(order_hash)
    except NotFound:
        return False
    # A lagging status says too little, never too much: then it is asked again in the next round.
    settled = max((fill.settled for fill in fills), default=ZERO)
    return state.status in _OVER and state.filled <= settled
