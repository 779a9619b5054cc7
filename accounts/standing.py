"""Reads, in one round trip, all that a verdict on an order depends on. Called by the intake, inside its transaction."""

from datetime import datetime, timedelta
from typing import Any

from psycopg import AsyncConnection

from accounts.ledger.rows import OrderRow
from accounts.limits import OwnOrder, Standing
from accounts.reconciliation import STALE_AFTER
from markets.specs import load_specs
from trading.enums import Action, Outcome, TradingState
from trading.orders import IN_FLIGHT

Connection = AsyncConnection[Any]

BALANCE_KEPT = timedelta(minutes=2)
"""A balance read longer ago than this is not known any more (the worker reads every account's each minute)."""

_ACCOUNT = """
SELECT a.state, coalesce(a.reconciled_at, a.created_at) < %(stale_since)s,
       a.max_order, a.max_position, a.max_notional_per_day,
       coalesce(CASE WHEN d.stopped THEN coalesce(nullif(d.level, ''), 'no_new') ELSE '' END, 'no_new'),
       coalesce(d.state, 'halted'), coalesce(v.state, 'active'),
       (SELECT f.free FROM account_funds(ARRAY[a.id], %(balance_since)s, %(id)s) f),
       coalesce((SELECT sum(o.price * o.size) FROM accounts_order o
                 WHERE o.account_id = a.id AND o.created_at >= %(midnight)s AND o.id <> %(id)s
                   AND o.status NOT IN ('denied', 'rejected')), 0)
FROM accounts_account a
LEFT JOIN accounts_desk d ON d.id = 1
LEFT JOIN markets_venuestate v ON v.platform = a.platform
WHERE a.id = %(account)s
"""

_OWN = """
SELECT id, account_id, outcome, action, price, size - filled FROM accounts_order
WHERE market_id = %s AND status = ANY(%s) AND id <> %s AND size > filled
"""

_HELD = """
SELECT p.outcome, p.size, coalesce((
    SELECT sum(f.size) FROM accounts_fill f
    WHERE f.settlement = 'matched' AND f.action = 'buy'
      AND f.account_id = p.account_id AND f.market_id = p.market_id AND f.outcome = p.outcome
), 0)
FROM accounts_position p WHERE p.account_id = %s AND p.market_id = %s
"""

_MARKET = """
SELECT b.max_position, b.price_band, coalesce(
    CASE WHEN m.marked_at > %(now)s - interval '1 hour' THEN m.mark END,
    CASE WHEN b.price_band IS NOT NULL THEN (
        SELECT yes_price(f.outcome, f.price) FROM accounts_fill f
        WHERE f.market_id = m.id AND f.received_at > %(now)s - interval '1 day' ORDER BY f.id DESC LIMIT 1
    ) END
), b.yes, b.no
FROM markets_market m JOIN market_bounds(ARRAY[%(market)s]) b ON b.market_key = m.id
WHERE m.id = %(market)s
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
    asked = {
        "account": order.account_id,
        "id": order.id,
        "midnight": midnight,
        "balance_since": now - BALANCE_KEPT,
        "stale_since": now - STALE_AFTER,
    }
    async with conn.pipeline():
        account = await conn.execute(_ACCOUNT, asked, prepare=True)
        own = await conn.execute(_OWN, (order.market_key, _FLYING, order.id), prepare=True)
        held = await conn.execute(_HELD, (order.account_id, order.market_key), prepare=True)
        market = await conn.execute(_MARKET, {"market": order.market_key, "now": now}, prepare=True)
        account_row, market_row = await account.fetchone(), await market.fetchone()
        own_rows, held_rows = await own.fetchall(), await held.fetchall()
        specs = await load_specs(conn, [order.market_key])
    if account_row is None or market_row is None:
        raise LookupError(f"order {order.id} has no account")
    state, is_stale, max_order, max_position, max_notional, level, desk_state, venue_state, free, day_notional = (
        account_row
    )
    market_max_position, price_band, mark, yes, no = market_row
    return Standing(
        desk_level=level,
        desk_state=TradingState(desk_state),
        venue_state=TradingState(venue_state),
        account_state=TradingState(state),
        is_stale=is_stale,
        market=specs.get(order.market_key),
        max_order=max_order,
        max_position=max_position,
        max_notional_per_day=max_notional,
        held={Outcome(outcome): size for outcome, size, _ in held_rows},
        unsettled={Outcome(outcome): size for outcome, _, size in held_rows},
        free=free,
        market_max_position=market_max_position,
        market_held={Outcome.YES: yes, Outcome.NO: no},
        price_band=price_band,
        mark=mark,
        day_notional=day_notional,
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
    )
