"""Fills that matched and whose end was never heard: the word that their settlement failed was lost on its way.

The venue lists settled matches only, so a failed one is silence, and so is a slow one. The reconciler asks here. A fill
is taken to have failed only on all of this evidence together:

    the order is over, and its settled quantity has no room for the fill
    it is not among the settled matches, `WORD_AFTER` after it matched when the venue itself says that the order could
        not be settled (INVALIDATED), else `ABSENT_FOR` after
    the venue's position lacks its shares; for an INVALIDATED order it may go unasked after `SILENT_AFTER`, since shares
        from elsewhere can hide what lacks

Everything else stays matched, is shown, and alerts as slow. Should a fill settle after all, the ledger takes that word
over this one.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from accounts.executions import failed_fill
from accounts.holdings import Key
from streams.killpoints import reach
from streams.publisher import Publisher
from trading.enums import Action, OrderStatus, Outcome, Platform
from trading.errors import NotFound
from trading.events import FILL_EVENTS
from trading.values import ZERO
from venues.contract import OrderState, VenueClient

Pool = AsyncConnectionPool[AsyncConnection[Any]]

WORD_AFTER = timedelta(seconds=20)
"""With the venue's word that the order could not be settled: its lists lag some seconds."""
ABSENT_FOR = timedelta(seconds=30)
"""Without it: ten times what a settlement takes. With rounds every 30 s a lost failure is found within a minute."""
SLOW_AFTER = timedelta(seconds=60)
"""A fill matched so long ago is told of as slow."""
SILENT_AFTER = timedelta(minutes=5)
"""A fill matched so long ago that neither settled nor could be shown to have failed stays unexplained."""
MOST_ORDERS = 20
_FEE_ROOM = Decimal("0.9")
"""A purchase's fee may be taken in shares: never a tenth of them."""
_OVER = frozenset({OrderStatus.CANCELLED, OrderStatus.EXPIRED})

_SILENT = """
SELECT f.trade_id, f.settlement_id, f.order_hash, f.market_id, m.market_id, f.outcome, f.action, f.price, f.size,
       f.received_at,
       (SELECT coalesce(sum(s.size), 0) FROM accounts_fill s
        WHERE s.account_id = f.account_id AND s.order_hash = f.order_hash AND s.settlement = 'settled'),
       p.size - moving.coming + moving.going, moving.fresh_coming, moving.fresh_going
FROM accounts_fill f JOIN markets_market m ON m.id = f.market_id
JOIN accounts_position p ON p.account_id = f.account_id AND p.market_id = f.market_id AND p.outcome = f.outcome
CROSS JOIN LATERAL (
    SELECT coalesce(sum(u.size) FILTER (WHERE u.action = 'buy'), 0) AS coming,
           coalesce(sum(u.size) FILTER (WHERE u.action = 'sell'), 0) AS going,
           coalesce(sum(u.size) FILTER (WHERE u.action = 'buy' AND u.received_at >= %(before)s), 0) AS fresh_coming,
           coalesce(sum(u.size) FILTER (WHERE u.action = 'sell' AND u.received_at >= %(before)s), 0) AS fresh_going
    FROM accounts_fill u
    WHERE u.account_id = f.account_id AND u.market_id = f.market_id AND u.outcome = f.outcome
      AND u.settlement = 'matched'
) moving
WHERE f.account_id = %(account)s AND f.settlement = 'matched' AND f.received_at < %(before)s
ORDER BY f.received_at LIMIT %(most)s
"""

log = structlog.get_logger()


class SilentFill(msgspec.Struct, frozen=True):
    """A matched fill nobody has heard of since. Field order is the query's."""

    trade_id: str
    settlement_id: str
    order_hash: str
    market_key: str
    market_id: str
    outcome: str
    action: str
    price: Decimal
    size: Decimal
    received_at: datetime
    settled: Decimal
    """Shares of its order that have settled, in the ledger."""
    base: Decimal
    """Shares of its outcome the account holds by settled fills alone."""
    fresh_coming: Decimal
    """Younger purchases of the same outcome that may have settled by now."""
    fresh_going: Decimal


async def fail_silent_fills(
    pool: Pool,
    publisher: Publisher,
    client: VenueClient,
    platform: Platform,
    account_id: UUID,
    account_name: str,
    listed: Collection[str],
    held: Mapping[Key, Decimal],
    now: datetime,
) -> int:
    """Publish the failure of what has failed; how many. `listed`: trades the venue lists as settled; `held`: what it
    says the account holds, read after them.

    Raises VenueError when the venue cannot be asked; then nothing is concluded.
    """
    asked = {"account": account_id, "before": now - WORD_AFTER, "most": 10 * MOST_ORDERS}
    async with pool.connection() as conn:
        cursor = await conn.execute(_SILENT, asked)
        silent = [SilentFill(*row) for row in await cursor.fetchall()]
    silent = [fill for fill in silent if fill.trade_id not in listed]
    failed: list[SilentFill] = []
    for order_hash in list(dict.fromkeys(fill.order_hash for fill in silent))[:MOST_ORDERS]:
        try:
            state = await client.fetch_order(order_hash)
        except NotFound:
            continue
        failed += judge(state, [fill for fill in silent if fill.order_hash == order_hash], held, now)
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


def judge(
    state: OrderState, fills: Sequence[SilentFill], held: Mapping[Key, Decimal], now: datetime
) -> list[SilentFill]:
    """Those of one order's silent fills that the evidence shows to have failed. Pure."""
    # A lagging status says too little, never too much: then it is asked again in the next round.
    if state.status not in _OVER or state.filled > max((fill.settled for fill in fills), default=ZERO):
        return []
    wait = WORD_AFTER if state.is_invalidated else ABSENT_FOR
    return [
        fill
        for fill in fills
        if now - fill.received_at >= wait
        and (
            lacks(fill, held.get((fill.market_key, fill.outcome), ZERO))
            or (state.is_invalidated and now - fill.received_at >= SILENT_AFTER)
        )
    ]


def lacks(fill: SilentFill, held: Decimal) -> bool:
    """Whether what the venue holds cannot include this fill, whatever became of the younger ones."""
    if fill.action == Action.BUY:
        return held < fill.base + fill.size * _FEE_ROOM - fill.fresh_going
    return held > fill.base - fill.size * _FEE_ROOM + fill.fresh_coming
