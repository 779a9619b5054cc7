"""Balances: what each account holds in collateral, read from its venue. The worker refreshes them; pages show them."""

from typing import Any
from uuid import UUID

import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from accounts.answers import utc_now
from accounts.lanes import Lane
from streams.publisher import Publisher
from trading.events import ACCOUNT_EVENTS, AccountChanged, Event
from trading.ids import event_id
from trading.values import text
from venues.contract import Balance

Pool = AsyncConnectionPool[AsyncConnection[Any]]

_RECORD = """
UPDATE accounts_account a SET collateral = %s, reserved = %s, balance_at = %s
FROM (SELECT collateral, reserved FROM accounts_account WHERE id = %s FOR UPDATE) before
WHERE a.id = %s RETURNING before.collateral <> a.collateral OR before.reserved <> a.reserved
"""

log = structlog.get_logger()


async def refresh_balance(pool: Pool, publisher: Publisher, lane: Lane) -> Balance:
    """Read one account's balance, write it on its row, announce a change. Raises VenueError."""
    account = lane.account
    balance = await lane.client.fetch_balance()
    if await _record(pool, account.id, balance):
        now = utc_now()
        value = text(balance.total - balance.reserved)
        await publisher.publish(
            ACCOUNT_EVENTS,
            Event(
                id=event_id("account_changed", str(account.id), "balance", now.isoformat()),
                platform=account.platform,
                timestamp=now,
                data=AccountChanged(account_id=str(account.id), account_name=account.name, what="balance", value=value),
            ),
        )
    return balance


async def _record(pool: Pool, account_id: UUID, balance: Balance) -> bool:
    async with pool.connection() as conn:
        cursor = await conn.execute(
            _RECORD, (balance.total, balance.reserved, utc_now(), account_id, account_id), prepare=True
        )
        row = await cursor.fetchone()
    return bool(row and row[0])
