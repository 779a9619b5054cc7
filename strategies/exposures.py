"""Exposure rows in SQL: made when first needed, locked, read with everything a decision depends on, written back.

Called by the dispatch alone, inside its one transaction. Locks are taken in one order everywhere (orders, fills,
positions, exposures by id), so two engines can wait for each other but never in a circle.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection, AsyncCursor
from psycopg.types.json import Jsonb

Connection = AsyncConnection[Any]
Cursor = AsyncCursor[Any]


class ExposureRow(msgspec.Struct, frozen=True):
    """One exposure, with its strategy, pair, accounts and desk as they stand in this transaction."""

    id: UUID
    strategy_id: UUID
    pair_id: UUID
    market_key: str
    primary_id: UUID
    hedge_id: UUID
    primary: Decimal
    hedged: Decimal
    lots: list[list[str]]
    in_flight: Decimal
    need: Decimal
    rung: int
    reason: str
    unhedged_since: datetime | None
    dust_since: datetime | None
    revision: int
    strategy_name: str
    strategy_kind: str
    config: str
    strategy_state: str
    pair_enabled: bool
    primary_name: str
    primary_state: str
    hedge_name: str
    hedge_state: str
    hedge_platform: str
    hedge_mode: str
    hedge_max_order: Decimal | None
    hedge_max_position: Decimal | None
    hedge_max_notional: Decimal | None
    desk_stopped: bool
    desk_level: str


class OpenOrder(msgspec.Struct, frozen=True):
    """An order of ours that may still move shares in a market."""

    id: UUID
    exposure_id: UUID | None
    account_id: UUID
    market_key: str
    outcome: str
    action: str
    price: Decimal
    remaining: Decimal
    status: str
    cancel_requested: bool


class ExposureUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """An exposure's new values after one evaluation."""

    id: UUID
    primary: Decimal
    hedged: Decimal
    lots: list[list[str]]
    in_flight: Decimal
    need: Decimal
    rung: int
    reason: str
    unhedged_since: datetime | None
    dust_since: datetime | None


class NewDecision(msgspec.Struct, frozen=True, kw_only=True):
    """One evaluation worth remembering."""

    exposure_id: UUID
    cause: str
    primary: Decimal
    hedged: Decimal
    in_flight: Decimal
    need: Decimal
    orders: list[str]
    reason: str


_ENSURE = """
INSERT INTO strategies_exposure (
    id, strategy_id, pair_id, market_id, primary_account_id, hedge_account_id, "primary", hedged, lots, in_flight,
    need, rung, reason, revision, created_at, updated_at
)
SELECT gen_random_uuid(), s.id, d.pair_id, t.market_id, d.primary_id, d.hedge_id, 0, 0, '[]', 0, 0, 0, '', 0, %s, %s
FROM unnest(%s::uuid[], %s::text[]) AS t(account_id, market_id)
JOIN markets_market m ON m.id = t.market_id
JOIN LATERAL (
    SELECT p.id AS pair_id, p.strategy_id, p.primary_id, p.hedge_id, false AS mirrored
    FROM strategies_pair p WHERE p.primary_id = t.account_id AND p.enabled
    UNION ALL
    SELECT p.id, p.strategy_id, p.hedge_id, p.primary_id, true
    FROM strategies_pair p WHERE p.hedge_id = t.account_id AND p.enabled
) d ON true
JOIN strategies_strategy s ON s.id = d.strategy_id
WHERE s.started_at IS NOT NULL
  AND (NOT d.mirrored OR coalesce((s.config ->> 'mutual')::boolean, false))
  AND (coalesce(jsonb_array_length(s.config -> 'markets'), 0) = 0 OR s.config -> 'markets' ? m.market_id)
  AND NOT EXISTS (
    SELECT 1 FROM strategies_exposure e
    WHERE e.pair_id = d.pair_id AND e.market_id = t.market_id AND e.primary_account_id = d.primary_id
  )
ON CONFLICT DO NOTHING
"""

_LOAD = """
WITH wanted AS (
    SELECT unnest(%s::uuid[]) AS id
    UNION
    SELECT e.id FROM unnest(%s::uuid[], %s::text[]) AS t(account_id, market_id)
    JOIN strategies_exposure e ON e.primary_account_id = t.account_id AND e.market_id = t.market_id
    UNION
    SELECT o.exposure_id FROM accounts_order o WHERE o.order_hash = ANY(%s) AND o.exposure_id IS NOT NULL
)
SELECT e.id, e.strategy_id, e.pair_id, e.market_id, e.primary_account_id, e.hedge_account_id, e."primary", e.hedged,
    e.lots, e.in_flight, e.need, e.rung, e.reason, e.unhedged_since, e.dust_since, e.revision,
    s.name, s.kind, s.config::text, s.state, p.enabled, pa.name, pa.state, ha.name, ha.state, ha.platform, ha.mode,
    ha.max_order, ha.max_position, ha.max_notional_per_day,
    coalesce((SELECT stopped FROM accounts_desk WHERE id = 1), false),
    coalesce((SELECT level FROM accounts_desk WHERE id = 1), '')
FROM wanted
JOIN strategies_exposure e ON e.id = wanted.id
JOIN strategies_strategy s ON s.id = e.strategy_id
JOIN strategies_pair p ON p.id = e.pair_id
JOIN accounts_account pa ON pa.id = e.primary_account_id
JOIN accounts_account ha ON ha.id = e.hedge_account_id
ORDER BY e.id
FOR UPDATE OF e
"""

_OPEN_ORDERS = """
SELECT o.id, o.exposure_id, o.account_id, o.market_id, o.outcome, o.action, o.price, o.size - o.filled, o.status,
    o.cancel_requested_at IS NOT NULL
FROM accounts_order o
WHERE o.market_id = ANY(%s)
  AND o.status IN ('initialized', 'submitted', 'accepted', 'unknown', 'partially_filled')
"""

_POSITIONS = """
SELECT p.account_id, p.market_id, p.outcome, p.size, coalesce((
    SELECT sum(f.size) FROM accounts_fill f
    WHERE f.settlement = 'matched' AND f.action = 'buy'
      AND f.account_id = p.account_id AND f.market_id = p.market_id AND f.outcome = p.outcome
), 0)
FROM accounts_position p
WHERE p.market_id = ANY(%s) AND p.size <> 0 AND p.account_id IN (
    SELECT e.hedge_account_id FROM strategies_exposure e WHERE e.market_id = ANY(%s)
)
"""

_NOTIONAL = """
SELECT o.account_id, o.strategy_id, coalesce(sum(o.price * o.size), 0) FROM accounts_order o
WHERE o.account_id = ANY(%s) AND o.created_at >= %s AND o.status NOT IN ('denied', 'rejected')
GROUP BY o.account_id, o.strategy_id
"""

_UPDATE = """
UPDATE strategies_exposure SET "primary" = %s, hedged = %s, lots = %s, in_flight = %s, need = %s, rung = %s,
    reason = %s, unhedged_since = %s, dust_since = %s, revision = revision + 1, updated_at = %s
WHERE id = %s
"""

_DECISION = """
INSERT INTO strategies_decision (exposure_id, cause, "primary", hedged, in_flight, need, orders, reason, at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

_OPEN = """
SELECT e.id FROM strategies_exposure e
JOIN strategies_strategy s ON s.id = e.strategy_id
WHERE (e.need <> 0 OR e.in_flight <> 0) AND s.state <> 'halted' AND e.updated_at < %s AND e.id > %s
ORDER BY e.id LIMIT %s
"""


async def queue_exposures(
    conn: Connection,
    touched: Sequence[tuple[UUID, str]],
    ids: Sequence[UUID],
    order_hashes: Sequence[str],
    now: datetime,
) -> Cursor:
    """Queue: make missing exposures of the (account, market) touched, then lock and read every one concerned."""
    accounts = [account_id for account_id, _ in touched]
    markets = [market_key for _, market_key in touched]
    if touched:
        await conn.execute(_ENSURE, (now, now, accounts, markets), prepare=True)
    return await conn.execute(_LOAD, (list(ids), accounts, markets, list(order_hashes)), prepare=True)


async def queue_open_orders(conn: Connection, markets: Sequence[str]) -> Cursor:
    """Queue the read of every order of ours that may still move shares in these markets."""
    return await conn.execute(_OPEN_ORDERS, (list(markets),), prepare=True)


async def queue_hedge_positions(conn: Connection, markets: Sequence[str]) -> Cursor:
    """Queue the read of what hedge accounts hold in these markets, and how much of it is bought but not settled."""
    return await conn.execute(_POSITIONS, (list(markets), list(markets)), prepare=True)


async def load_day_notional(
    conn: Connection, accounts: Sequence[UUID], since: datetime
) -> dict[tuple[UUID, UUID | None], Decimal]:
    """Price × size of today's orders by (account, strategy); only asked for when a daily limit is set."""
    cursor = await conn.execute(_NOTIONAL, (list(accounts), since), prepare=True)
    return {(account_id, strategy_id): total for account_id, strategy_id, total in await cursor.fetchall()}


async def queue_updates(conn: Connection, updates: Sequence[ExposureUpdate], now: datetime) -> None:
    """Queue the exposures' new values."""
    for update in updates:
        await conn.execute(
            _UPDATE,
            (
                update.primary,
                update.hedged,
                Jsonb(update.lots),
                update.in_flight,
                update.need,
                update.rung,
                update.reason[:255],
                update.unhedged_since,
                update.dust_since,
                now,
                update.id,
            ),
            prepare=True,
        )


async def queue_decisions(conn: Connection, decisions: Sequence[NewDecision], now: datetime) -> None:
    """Queue the decisions worth remembering."""
    for decision in decisions:
        await conn.execute(
            _DECISION,
            (
                decision.exposure_id,
                decision.cause[:200],
                decision.primary,
                decision.hedged,
                decision.in_flight,
                decision.need,
                Jsonb(decision.orders),
                decision.reason[:255],
                now,
            ),
            prepare=True,
        )


async def load_open_exposures(conn: Connection, before: datetime, after: UUID, limit: int) -> list[UUID]:
    """Exposures that still need something or have something in flight, untouched since `before`, by id beyond `after`.

    Fewer than `limit` means the end: begin again at the zero UUID, so that every one has its turn.
    """
    cursor = await conn.execute(_OPEN, (before, after, limit), prepare=True)
    return [row[0] for row in await cursor.fetchall()]
