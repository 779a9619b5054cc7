"""Clearance: when an order's bytes may leave, and the end of an order whose bytes certainly never did.

`submitted_at` is the moment the bytes were last cleared to leave: by the journal, or by a recovery that sends them
again. No process lets them go later than `LEAVE_WITHIN` after that. Both steps here are compare-and-set, so an order
is never ended by one process while another, that read it earlier, still sends it.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from accounts.ledger.rows import COLUMNS, OrderRow

Connection = AsyncConnection[Any]

LEAVE_WITHIN = timedelta(seconds=3)
"""Below the four seconds after which a recovery looks at an order."""

_CLEAR = """
UPDATE accounts_order SET submitted_at = %s, updated_at = %s, sender = %s, attempts = attempts + 1
WHERE id = %s AND status IN ('submitted', 'unknown') AND submitted_at = %s AND cancel_requested_at IS NULL
"""

_JOINED = "FROM ended o JOIN accounts_account a ON a.id = o.account_id JOIN markets_market m ON m.id = o.market_id"
_END = "status = 'cancelled', reason = left(%s, 255), closed_at = %s, updated_at = %s"

_UNSENT = f"""
WITH ended AS (
    UPDATE accounts_order SET {_END}
    WHERE id = %s AND status = 'submitted' AND sender = %s AND attempts = 0 AND sent_at IS NULL RETURNING *
) SELECT {COLUMNS} {_JOINED}
"""

_ABSENT = f"""
WITH ended AS (
    UPDATE accounts_order SET {_END}
    WHERE id = %s AND status IN ('submitted', 'unknown') AND submitted_at = %s AND filled = 0 RETURNING *
) SELECT {COLUMNS} {_JOINED}
"""

_PROVED = """
UPDATE accounts_order SET doubted_since = NULL
WHERE id = %s AND doubted_since IS NOT NULL AND status IN ('cancelled', 'expired') AND filled >= %s
"""

_CLAIM = """
UPDATE accounts_order SET cancel_requested_at = %(now)s WHERE id IN (
    SELECT id FROM accounts_order
    WHERE status IN ('initialized', 'submitted', 'accepted', 'unknown', 'partially_filled')
      AND cancel_requested_at IS NULL
      AND (origin <> 'closing' OR %(spared)s::timestamptz IS NULL OR created_at < %(spared)s)
    ORDER BY created_at LIMIT %(most)s FOR UPDATE SKIP LOCKED
) RETURNING id
"""


async def record_cancels_claimed(conn: Connection, spared: datetime | None, now: datetime, most: int) -> list[UUID]:
    """Claim up to `most` open orders of the whole desk for cancelling, each for one caller, oldest first; closing
    orders made after `spared` are left alone."""
    cursor = await conn.execute(_CLAIM, {"now": now, "spared": spared, "most": most}, prepare=True)
    return [order_id for (order_id,) in await cursor.fetchall()]


async def record_cleared(
    conn: Connection, client_order_id: UUID, seen: datetime | None, sender: str, now: datetime
) -> bool:
    """Clear the bytes to leave once more. False when the order moved on since it was read with `submitted_at` `seen`:
    then they must not leave."""
    cursor = await conn.execute(_CLEAR, (now, now, sender, client_order_id, seen), prepare=True)
    return cursor.rowcount == 1


async def record_unsent(
    conn: Connection, client_order_id: UUID, sender: str, reason: str, now: datetime
) -> OrderRow | None:
    """End an order that `sender` journaled and knows it never let go, unless anybody else has touched it since."""
    return await _ended(conn, _UNSENT, (reason, now, now, client_order_id, sender))


async def record_absent(
    conn: Connection, client_order_id: UUID, seen: datetime | None, reason: str, now: datetime
) -> OrderRow | None:
    """End an order the venue does not know, read with `submitted_at` `seen`, unless it was cleared again since.

    The caller has waited long enough after `seen` that nothing can be on its way.
    """
    return await _ended(conn, _ABSENT, (reason, now, now, client_order_id, seen))


async def record_proved(conn: Connection, client_order_id: UUID, filled: Decimal) -> bool:
    """End the doubt about an end: what is left of the order is in flight no longer. False while the ledger has fewer
    shares of it than the venue filled in all, or when there is no doubt."""
    cursor = await conn.execute(_PROVED, (client_order_id, filled), prepare=True)
    return cursor.rowcount == 1


async def _ended(conn: Connection, statement: str, parameters: tuple[object, ...]) -> OrderRow | None:
    row = await (await conn.execute(statement, parameters, prepare=True)).fetchone()
    return OrderRow(*row) if row is not None else None
