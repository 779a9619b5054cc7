"""Fills: each execution enters the books once, with its order's progress and its position.

A batch is recorded in two round trips inside the caller's transaction, so that the dispatch can read its exposures
in the first and write its decision in the second:

    batch = FillBatch(executions, now)
    async with conn.pipeline():
        await batch.queue(conn)          # locks the orders, inserts what is new, settles what was matched
        …                                # the caller queues its own reads
        fills = await batch.effects()    # what changed; a repeat changes nothing
        await batch.queue_writes(conn)   # orders.filled and status, positions
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection, AsyncCursor

from accounts.ledger.positions import PositionBatch
from accounts.ledger.rows import OrderProgress, Received, RecordedFill
from trading.enums import Action, FeeKind, OrderStatus, Outcome, Settlement
from trading.orders import TERMINAL, status_after_fill
from trading.values import ZERO

Connection = AsyncConnection[Any]
Cursor = AsyncCursor[Any]

_LOCK_ORDERS = """
SELECT id, exposure_id, account_id, market_id, outcome, action, price, size, filled, status FROM accounts_order
WHERE order_hash = ANY(%s) ORDER BY id FOR UPDATE
"""

_STUB_MARKETS = """
INSERT INTO markets_market (
    id, platform, market_id, title, question, slug, category, status, yes_token, no_token, condition_id, tick, lot,
    min_size, min_value, fee_rate_bps, is_neg_risk, is_yield_bearing
)
SELECT t.id, split_part(t.id, ':', 1), substr(t.id, position(':' in t.id) + 1), t.id, '', '', '', 'closed', '', '', '',
    0, 0, 0, 0, 0, false, false
FROM unnest(%s::text[]) AS t(id)
WHERE NOT EXISTS (SELECT 1 FROM markets_market m WHERE m.id = t.id)
ON CONFLICT DO NOTHING
"""
"""A fill in a market the catalogue has not met is still a fill: it gets a row that trades nothing until synced."""

_INCOMING = """
unnest(
    %s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::numeric[], %s::numeric[],
    %s::numeric[], %s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[]
) AS i(account_id, market_id, trade_id, settlement_id, order_hash, outcome, action, price, size, fee, fee_kind,
       liquidity, settlement, transaction_hash, venue_time, received_at)
"""

_RETURNED = """
f.trade_id, f.account_id, f.market_id, f.order_id, f.exposure_id, f.outcome, f.action, f.price, f.size,
coalesce(f.fee, 0), f.fee_kind, f.settlement, f.received_at
"""

_INSERT = f"""
WITH f AS (
    INSERT INTO accounts_fill (
        account_id, market_id, order_id, exposure_id, trade_id, settlement_id, order_hash, outcome, action, price, size,
        fee, fee_kind, liquidity, settlement, transaction_hash, venue_time, received_at, recorded_at, settled_at
    )
    SELECT i.account_id, i.market_id, o.id, o.exposure_id, i.trade_id, i.settlement_id, i.order_hash, i.outcome,
        i.action, i.price, i.size, i.fee, i.fee_kind, i.liquidity, i.settlement, i.transaction_hash, i.venue_time,
        i.received_at, %s, CASE WHEN i.settlement = 'matched' THEN NULL ELSE %s END
    FROM {_INCOMING}
    LEFT JOIN accounts_order o ON o.order_hash = i.order_hash AND o.account_id = i.account_id
    ORDER BY i.account_id, i.trade_id
    ON CONFLICT (account_id, trade_id) DO NOTHING
    RETURNING *
)
SELECT {_RETURNED}, o.strategy_id, 'none', 0::numeric, NULL::text
FROM f LEFT JOIN accounts_order o ON o.id = f.order_id
"""

_SETTLE = f"""
WITH prior AS (
    SELECT f.id, f.settlement, coalesce(f.fee, 0) AS fee, f.fee_kind,
        i.settlement AS settled_as, i.fee AS new_fee, i.fee_kind AS new_fee_kind, i.liquidity AS new_liquidity,
        i.transaction_hash AS new_transaction_hash
    FROM {_INCOMING}
    JOIN accounts_fill f ON f.account_id = i.account_id AND f.trade_id = i.trade_id
    WHERE (f.settlement = 'matched' AND i.settlement IN ('settled', 'failed'))
       OR (f.settlement = 'failed' AND i.settlement = 'settled')
    ORDER BY f.id
    FOR UPDATE OF f
), f AS (
    UPDATE accounts_fill f SET
        settlement = prior.settled_as,
        fee = CASE WHEN prior.settled_as = 'settled' THEN coalesce(prior.new_fee, f.fee) ELSE f.fee END,
        fee_kind = CASE WHEN prior.settled_as = 'settled' THEN coalesce(prior.new_fee_kind, f.fee_kind)
                        ELSE f.fee_kind END,
        liquidity = coalesce(prior.new_liquidity, f.liquidity),
        transaction_hash = CASE WHEN prior.new_transaction_hash <> '' THEN prior.new_transaction_hash
                                ELSE f.transaction_hash END,
        settled_at = %s
    FROM prior WHERE f.id = prior.id
    RETURNING f.*, prior.settlement AS before, prior.fee AS fee_before, prior.fee_kind AS fee_kind_before
)
SELECT {_RETURNED}, o.strategy_id, f.before, f.fee_before, f.fee_kind_before
FROM f LEFT JOIN accounts_order o ON o.id = f.order_id
"""

_PROGRESS = """
UPDATE accounts_order o SET filled = t.filled, status = t.status, announced = t.status, updated_at = %s,
    closed_at = CASE WHEN t.closed THEN coalesce(o.closed_at, %s) ELSE NULL END
FROM unnest(%s::uuid[], %s::numeric[], %s::text[], %s::bool[]) AS t(id, filled, status, closed) WHERE o.id = t.id
"""
"""The fill event itself has announced this status."""


class FillBatch:
    """Executions on their way into the books. Use once, inside one transaction."""

    def __init__(self, executions: Sequence[Received], now: datetime) -> None:
        self._executions = _latest_word(executions)
        self._now = now
        self._orders: dict[UUID, OrderProgress] = {}
        self._moved: set[UUID] = set()
        self._positions = PositionBatch(now)
        self._order_cursor: Cursor | None = None
        self._cursors: list[Cursor] = []

    async def queue(self, conn: Connection) -> None:
        """Queue the statements that lock, insert and settle. Call inside a pipeline, inside a transaction."""
        if not self._executions:
            return
        executions = self._executions
        columns = _columns(executions)
        hashes = [execution.order_hash for execution in executions]
        markets = sorted({execution.market_key for execution in executions})
        await conn.execute(_STUB_MARKETS, (markets,), prepare=True)
        self._order_cursor = await conn.execute(_LOCK_ORDERS, (hashes,), prepare=True)
        self._cursors.append(await conn.execute(_INSERT, (self._now, self._now, *columns), prepare=True))
        if any(execution.settlement is not Settlement.MATCHED for execution in executions):
            self._cursors.append(await conn.execute(_SETTLE, (*columns, self._now), prepare=True))
        await self._positions.queue(
            conn,
            {(execution.account_id, execution.market_key, execution.outcome) for execution in executions},
        )

    async def effects(self) -> list[RecordedFill]:
        """What recording changed, in no particular order. Waits for the server; applies positions and progress."""
        if self._order_cursor is None:
            return []
        for row in await self._order_cursor.fetchall():
            self._orders[row[0]] = OrderProgress(*row)
        rows = [row for cursor in self._cursors for row in await cursor.fetchall()]
        await self._positions.load()
        recorded = [_effect(row) for row in rows]
        for row in rows:
            self._apply(row)
        return recorded

    def progress(self) -> list[OrderProgress]:
        """The orders these fills moved, as they will stand. Call after `effects`."""
        return [self._orders[order_id] for order_id in sorted(self._moved)]

    async def queue_writes(self, conn: Connection) -> None:
        """Queue the orders' progress and the positions. Call after `effects`, in the same transaction."""
        moved = self.progress()
        if moved:
            await conn.execute(
                _PROGRESS,
                (
                    self._now,
                    self._now,
                    [order.id for order in moved],
                    [order.filled for order in moved],
                    [order.status for order in moved],
                    [OrderStatus(order.status) in TERMINAL for order in moved],
                ),
                prepare=True,
            )
        await self._positions.queue_writes(conn)

    def _apply(self, row: tuple[Any, ...]) -> None:
        change = _change(row)
        account_id, market_key, order_id = row[1], row[2], row[3]
        outcome, action, price = Outcome(row[5]), Action(row[6]), row[7]
        self._positions.apply(
            (account_id, market_key, outcome), action, price, change.shares, change.fee, change.fee_kind
        )
        if order_id in self._orders and change.shares:
            order = self._orders[order_id]
            filled = order.filled + change.shares
            status = status_after_fill(OrderStatus(order.status), order.size, filled)
            self._moved.add(order_id)
            self._orders[order_id] = msgspec.structs.replace(order, filled=filled, status=status.value)


class _Change:
    """How one row moved: signed shares, and the signed change of its fee."""

    __slots__ = ("fee", "fee_kind", "shares")

    def __init__(self, shares: Decimal, fee: Decimal, fee_kind: FeeKind | None) -> None:
        self.shares, self.fee, self.fee_kind = shares, fee, fee_kind


def _change(row: tuple[Any, ...]) -> _Change:
    size, fee, kind, after = row[8], row[9], row[10], Settlement(row[11])
    before, fee_before, kind_before = row[14], row[15], row[16]
    had = before not in ("none", Settlement.FAILED)
    has = after is not Settlement.FAILED
    shares = (size if has else ZERO) - (size if had else ZERO)
    change = (fee if has else ZERO) - (fee_before if had else ZERO)
    fee_kind = kind or kind_before
    return _Change(shares, change, FeeKind(fee_kind) if fee_kind else None)


def _effect(row: tuple[Any, ...]) -> RecordedFill:
    change = _change(row)
    return RecordedFill(
        trade_id=row[0],
        account_id=row[1],
        market_key=row[2],
        order_id=row[3],
        exposure_id=row[4],
        strategy_id=row[13],
        outcome=Outcome(row[5]),
        action=Action(row[6]),
        price=row[7],
        shares=change.shares,
        share_fee=change.fee if change.fee_kind is FeeKind.SHARES else ZERO,
        settlement=Settlement(row[11]),
        received_at=row[12],
    )


_FINALITY = {Settlement.MATCHED: 0, Settlement.FAILED: 1, Settlement.SETTLED: 2}


def _latest_word(executions: Sequence[Received]) -> list[Received]:
    """One execution per trade: within a batch the most final word on it, for a statement touches a row once."""
    latest: dict[tuple[UUID, str], Received] = {}
    for execution in executions:
        key = (execution.account_id, execution.trade_id)
        held = latest.get(key)
        if held is None or _FINALITY[execution.settlement] >= _FINALITY[held.settlement]:
            latest[key] = execution
    return sorted(latest.values(), key=lambda execution: (execution.account_id, execution.trade_id))


def _columns(executions: Sequence[Received]) -> tuple[list[Any], ...]:
    return (
        [e.account_id for e in executions],
        [e.market_key for e in executions],
        [e.trade_id for e in executions],
        [e.settlement_id for e in executions],
        [e.order_hash for e in executions],
        [e.outcome.value for e in executions],
        [e.action.value for e in executions],
        [e.price for e in executions],
        [e.size for e in executions],
        [e.fee for e in executions],
        [e.fee_kind.value if e.fee_kind else None for e in executions],
        [e.liquidity.value if e.liquidity else None for e in executions],
        [e.settlement.value for e in executions],
        [e.transaction_hash for e in executions],
        [e.venue_time for e in executions],
        [e.received_at for e in executions],
    )


async def record_executions(conn: Connection, executions: Sequence[Received], now: datetime) -> list[RecordedFill]:
    """Record a batch on its own, inside the caller's transaction; returns what changed. A repeat changes nothing."""
    batch = FillBatch(executions, now)
    async with conn.pipeline():
        await batch.queue(conn)
        fills = await batch.effects()
        await batch.queue_writes(conn)
    return fills
