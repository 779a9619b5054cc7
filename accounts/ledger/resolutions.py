"""A person's word on an order nobody knows the fate of, as the ledger takes it: one legal step, from what they saw.

`accounts.unknowns` has checked the person's evidence. For Django request code, inside its atomic block.
"""

from datetime import datetime
from uuid import UUID

from django.db import connection

from accounts.ledger.rows import COLUMNS, OrderRow
from trading.enums import OrderStatus
from trading.orders import TERMINAL, check_step

_RESOLVE = f"""
WITH resolved AS (
    UPDATE accounts_order SET status = %s, reason = left(%s, 255), updated_at = %s,
        venue_order_id = CASE WHEN venue_order_id = '' THEN %s ELSE venue_order_id END,
        closed_at = CASE WHEN %s THEN coalesce(closed_at, %s) END
    WHERE id = %s AND status = %s AND submitted_at IS NOT DISTINCT FROM %s AND filled = %s
    RETURNING *
)
SELECT {COLUMNS} FROM resolved o
JOIN accounts_account a ON a.id = o.account_id JOIN markets_market m ON m.id = o.market_id
"""

_ANNOUNCED = "UPDATE accounts_order SET announced = %s WHERE id = %s AND status = %s"


def record_resolution_now(
    seen: OrderRow, after: OrderStatus, reason: str, now: datetime, *, venue_order_id: str = ""
) -> OrderRow | None:
    """The order as it then stands; None when it is no longer as it was `seen` (answered, filled or sent again).

    Raises IllegalTransition for a step the state machine does not know.
    """
    check_step(OrderStatus(seen.status), after)
    words = [after.value, reason, now, venue_order_id, after in TERMINAL, now]
    with connection.cursor() as cursor:
        cursor.execute(_RESOLVE, [*words, seen.id, seen.status, seen.submitted_at, seen.filled])
        row = cursor.fetchone()
    return OrderRow(*row) if row is not None else None


def record_announced_now(row: OrderRow) -> None:
    """Note that this row's status is on the bus."""
    with connection.cursor() as cursor:
        cursor.execute(_ANNOUNCED, [row.status, row.id, row.status])


def load_order_now(client_order_id: UUID) -> OrderRow | None:
    """The order as it stands, locked for the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {COLUMNS} FROM accounts_order o JOIN accounts_account a ON a.id = o.account_id"
            " JOIN markets_market m ON m.id = o.market_id WHERE o.id = %s FOR UPDATE OF o",
            [client_order_id],
        )
        row = cursor.fetchone()
    return OrderRow(*row) if row is not None else None
