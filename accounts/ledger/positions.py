"""Positions: locked, moved by the kernel's arithmetic, written back. Only the ledger's fills call this."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, AsyncCursor

from trading.enums import Action, FeeKind, Outcome
from trading.positions import Position

Connection = AsyncConnection[Any]
Key = tuple[UUID, str, Outcome]

_ENSURE = """
INSERT INTO accounts_position (account_id, market_id, outcome, size, cost, realized, fees, cash, updated_at)
SELECT t.account_id, t.market_id, t.outcome, 0, 0, 0, 0, 0, %s
FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS t(account_id, market_id, outcome)
WHERE NOT EXISTS (
    SELECT 1 FROM accounts_position p
    WHERE p.account_id = t.account_id AND p.market_id = t.market_id AND p.outcome = t.outcome
)
ON CONFLICT DO NOTHING
"""
"""The row must exist before it is locked: two first fills must not both start from nothing."""

_LOCK = """
SELECT p.account_id, p.market_id, p.outcome, p.size, p.cost, p.realized, p.fees, p.cash FROM accounts_position p
JOIN unnest(%s::uuid[], %s::text[], %s::text[]) AS t(account_id, market_id, outcome)
  ON p.account_id = t.account_id AND p.market_id = t.market_id AND p.outcome = t.outcome
ORDER BY p.id FOR UPDATE OF p
"""

_WRITE = """
UPDATE accounts_position p
SET size = t.size, cost = t.cost, realized = t.realized, fees = t.fees, cash = t.cash, updated_at = %s
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[],
            %s::numeric[]) AS t(account_id, market_id, outcome, size, cost, realized, fees, cash)
WHERE p.account_id = t.account_id AND p.market_id = t.market_id AND p.outcome = t.outcome
"""


class PositionBatch:
    """The positions one transaction moves."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._cursor: AsyncCursor[Any] | None = None
        self._held: dict[Key, Position] = {}
        self._moved: set[Key] = set()

    async def queue(self, conn: Connection, keys: Iterable[Key]) -> None:
        """Queue the statements that make sure of these rows and lock them."""
        ordered = sorted(keys)
        columns = (
            [account_id for account_id, _, _ in ordered],
            [market_key for _, market_key, _ in ordered],
            [outcome.value for _, _, outcome in ordered],
        )
        await conn.execute(_ENSURE, (self._now, *columns), prepare=True)
        self._cursor = await conn.execute(_LOCK, columns, prepare=True)

    async def load(self) -> None:
        """Wait for the locked rows."""
        if self._cursor is None:
            return
        for account_id, market_key, outcome, size, cost, realized, fees, cash in await self._cursor.fetchall():
            self._held[(account_id, market_key, Outcome(outcome))] = Position(
                size=size, cost=cost, realized=realized, fees=fees, cash=cash
            )

    def apply(
        self, key: Key, action: Action, price: Decimal, shares: Decimal, fee: Decimal, fee_kind: FeeKind | None
    ) -> None:
        """Move one position by signed `shares` (negative: a fill taken back) and a signed change of its fee."""
        position = self._held[key]
        if shares > 0:
            position = position.apply_fill(action, price, shares)
        elif shares < 0:
            position = position.reverse_fill(action, price, -shares)
        if fee and fee_kind is not None:
            position = position.apply_fee(fee, fee_kind, price)
        self._held[key] = position
        self._moved.add(key)

    async def queue_writes(self, conn: Connection) -> None:
        """Queue the moved rows' new values."""
        moved = [(key, self._held[key]) for key in sorted(self._moved)]
        if not moved:
            return
        await conn.execute(
            _WRITE,
            (
                self._now,
                [key[0] for key, _ in moved],
                [key[1] for key, _ in moved],
                [key[2].value for key, _ in moved],
                [position.size for _, position in moved],
                [position.cost for _, position in moved],
                [position.realized for _, position in moved],
                [position.fees for _, position in moved],
                [position.cash for _, position in moved],
            ),
            prepare=True,
        )
