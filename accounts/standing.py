"""Reads, in one round trip, all that a verdict on an order depends on. Called by the intake, inside its transaction."""

from datetime import datetime
from typing import Any

from psycopg import AsyncConnection

from accounts.ledger.rows import OrderRow
from accounts.limits import OwnOrder, Standing
from markets.specs import load_specs
from trading.enums import Action, Outcome, TradingState
from trading.orders import IN_FLIGHT

Connection = AsyncConnection[Any]

_ACCOUNT = """
SELECT a.state, a.max_order, a.max_position, a.max_notional_per_day,
       coalesce((SELECT CASE WHEN stopped THEN coalesce(nullif(level, ''), 'no_new') ELSE '' END
                 FROM accounts_desk WHERE id = 1), 'no_new')
FROM accounts_account a WHERE a.id = %s
"""

_OWN = """
SELECT id, account_id, outcome, action, price, size - filled FROM accounts_order
WHERE market_id = %s AND status = ANY(%s) AND id <> %s AND size > filled
"""

_HELD = "SELECT outcome, size FROM accounts_position WHERE account_id = %s AND market_id = %s"

_DAY = """
SELECT coalesce(sum(price * size), 0) FROM accounts_order
WHERE account_id = %s AND created_at >= %s AND id <> %s AND status NOT IN ('denied', 'rejected')
"""

_FLYING = sorted(status.value for status in IN_FLIGHT - {"initialized"})


async def lock_market(conn: Connection, market_key: str) -> None:
    """Until this transaction ends no other order of ours passes its checks in this market: two orders that would
    cross each other must not both be judged before either is written."""
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"orders:{market_key}",))


async def load_standing(conn: Connection, order: OrderRow, now: datetime) -> Standing:
    """Where `order`'s account, market and desk stand. Orders still INITIALIZED count for nothing: they, too, will be
    judged, one after the other."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    async with conn.pipeline():
        account = await conn.execute(_ACCOUNT, (order.account_id,), prepare=True)
        own = await conn.execute(_OWN, (order.market_key, _FLYING, order.id), prepare=True)
        held = await conn.execute(_HELD, (order.account_id, order.market_key), prepare=True)
        day = await conn.execute(_DAY, (order.account_id, midnight, order.id), prepare=True)
        account_row, day_row = await account.fetchone(), await day.fetchone()
        own_rows, held_rows = await own.fetchall(), await held.fetchall()
        specs = await load_specs(conn, [order.market_key])
    if account_row is None or day_row is None:
        raise LookupError(f"order {order.id} has no account")
    state, max_order, max_position, max_notional, level = account_row
    return Standing(
        desk_level=level,
        account_state=TradingState(state),
        market=specs.get(order.market_key),
        max_order=max_order,
        max_position=max_position,
        max_notional_per_day=max_notional,
        held={Outcome(outcome): size for outcome, size in held_rows},
        own_orders=tuple(
            OwnOrder(
                id=order_id,
                account_id=account_id,
                outcome=Outcome(outcome),
                action=Action(action),
                price=price,
                size=size,
            )
            for order_id, account_id, outcome, action, price, size in own_rows
        ),
        day_notional=day_row[0],
    )
