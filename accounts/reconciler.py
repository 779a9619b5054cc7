"""The reconciler: what the venue says about an account's fills and orders, against the ledger.

The listener runs it after every connect, before the account counts as connected; the worker every 30 s. It writes
nothing itself: missing fills and changed orders enter by the bus, with the same ids the wallet stream would give them.
The venue's status may lag behind the truth, so an order ends here only after its fills are in the books, and only when
two looks some time apart say so. Shares held are compared last; a difference, too, is believed the second time. What
differed is counted and explained on the account's `Reconciliation`.
"""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from accounts.answers import utc_now
from accounts.credentials import KnownAccount
from accounts.executions import order_state
from accounts.holdings import Holdings, held_at
from accounts.reconciliation import Reconciled, report_comparison, report_unreachable
from accounts.second_look import SecondLook
from accounts.sweep import sweep_fills
from accounts.unsettled import fail_silent_fills
from streams.killpoints import reach
from streams.publisher import Publisher
from trading.enums import OrderStatus
from trading.errors import NotFound, VenueError
from trading.events import TRADE_EVENTS
from venues.contract import OrderState, VenueClient
from venues.priority import Priority, prioritised

Pool = AsyncConnectionPool[AsyncConnection[Any]]

OVERLAP = timedelta(minutes=10)
"""Read again what was read before: settlement takes a while, and the venue's clock is not ours."""
SETTLE_AFTER = timedelta(seconds=5)
"""An order answered more recently may be missing from the venue's list because the list is late."""
MOST_LOOKUPS = 50
_RESTING = (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED)

_SINCE = """
SELECT a.created_at, a.reconciled_at,
       (SELECT min(f.received_at) FROM accounts_fill f WHERE f.account_id = a.id AND f.settlement = 'matched')
FROM accounts_account a WHERE a.id = %s
"""

_OPEN = """
SELECT order_hash, status, updated_at FROM accounts_order
WHERE account_id = %s AND order_hash IS NOT NULL AND status IN ('submitted', 'unknown', 'accepted', 'partially_filled')
"""

_OURS = """
SELECT order_hash, CASE WHEN status IN ('cancelled', 'expired', 'rejected', 'denied') THEN updated_at END
FROM accounts_order WHERE account_id = %s AND order_hash = ANY(%s)
"""

log = structlog.get_logger()


class Reconciler:
    """Compares one account at a time."""

    def __init__(self, pool: Pool, publisher: Publisher, looks: SecondLook | None = None) -> None:
        self._pool = pool
        self._publisher = publisher
        self._looks = looks or SecondLook()
        self._holdings = Holdings()

    async def reconcile(self, account: KnownAccount, client: VenueClient) -> Reconciled:
        """Publish what the ledger lacks, and record how the two compared. Raises VenueError when the venue cannot be
        read; then nothing is concluded, and the account's record says since when nobody could look."""
        began = utc_now()
        try:
            with prioritised(Priority.RECONCILE):
                found = await self._reconcile(account, client, began)
        except VenueError as error:
            await report_unreachable(self._pool, account, f"the venue cannot be read: {error.slug}", began)
            raise
        if found.complete:
            await report_comparison(self._pool, self._publisher, account, found, began)
        else:
            why = "no engine takes the fills the venue told of into the books"
            await report_unreachable(self._pool, account, why, began)
        return found

    async def _reconcile(self, account: KnownAccount, client: VenueClient, began: datetime) -> Reconciled:
        since = await self._load_since(account.id)
        listed = await client.fetch_open_orders()
        # After the orders: whatever filled an order that is no longer listed is in this answer, or in the next.
        fills = await client.fetch_fills(int(since.timestamp()) * 1000)
        swept = await sweep_fills(self._pool, self._publisher, account.platform, account.id, account.name, fills)
        if not swept.complete:
            return Reconciled(fills_missing=swept.published, orders_changed=0, orders_foreign=0, complete=False)
        found = await self._compare_orders(account, client, listed, began)
        settled = {fill.trade_id for fill in fills}
        held = held_at(account.platform, await client.fetch_positions())
        failed = await fail_silent_fills(
            self._pool, self._publisher, client, account.platform, account.id, account.name, settled, held, began
        )
        async with self._pool.connection() as conn:
            apart = await self._holdings.compare(conn, account.id, held, began)
        found = msgspec.structs.replace(
            found, fills_missing=swept.published, fills_failed=failed, positions_apart=tuple(apart)
        )
        await self._record(account.id, began)
        if swept.published or failed or found.orders_changed or found.orders_foreign or found.orders_undead:
            log.info("account_reconciled", account=account.name, **msgspec.structs.asdict(found))
        return found

    async def _compare_orders(
        self, account: KnownAccount, client: VenueClient, listed: Sequence[OrderState], began: datetime
    ) -> Reconciled:
        at_venue = {state.order_hash.lower(): state for state in listed}
        async with self._pool.connection() as conn:
            rows = await (await conn.execute(_OPEN, (account.id,))).fetchall()
            known = dict(await (await conn.execute(_OURS, (account.id, list(at_venue)))).fetchall())
        states: list[OrderState] = []
        late, unconfirmed, lost = 0, 0, 0
        for order_hash, status, updated_at in rows:
            if order_hash in at_venue:
                self._looks.forget(order_hash)
                if status in (OrderStatus.SUBMITTED, OrderStatus.UNKNOWN):
                    states.append(at_venue[order_hash])
            elif status in _RESTING and began - updated_at > SETTLE_AFTER and late < MOST_LOOKUPS:
                late += 1
                try:
                    state = await client.fetch_order(order_hash)
                except NotFound:
                    log.warning("order_missing_at_venue", account=account.name, order_hash=order_hash)
                    lost += 1
                    continue
                # Filled is for its fills to say, and open may be a lagging list: only an end is taken from a status.
                if state.status not in (OrderStatus.CANCELLED, OrderStatus.EXPIRED):
                    self._looks.forget(order_hash)
                elif self._looks.agrees(order_hash):
                    states.append(state)
                else:
                    unconfirmed += 1
        if states:
            now_ns = time.time_ns()
            reach("reconcile.before_publish")
            await self._publisher.publish_many(
                TRADE_EVENTS,
                [order_state(account.platform, str(account.id), account.name, state, now_ns) for state in states],
            )
            reach("reconcile.published")
        foreign = len(at_venue.keys() - known.keys())
        if foreign:
            log.warning("foreign_orders", account=account.name, orders=foreign)
        undead = [order_hash for order_hash, ended_at in known.items() if ended_at and began - ended_at > SETTLE_AFTER]
        if undead:
            log.warning("undead_orders", account=account.name, order_hashes=undead)
        return Reconciled(
            fills_missing=0,
            orders_changed=len(states),
            orders_foreign=foreign,
            orders_undead=len(undead),
            orders_missing=lost,
            unconfirmed=unconfirmed,
            complete=True,
        )

    async def _load_since(self, account_id: UUID) -> datetime:
        """From the last reconcile, or the oldest fill still waiting for its settlement; never before the account."""
        async with self._pool.connection() as conn:
            row = await (await conn.execute(_SINCE, (account_id,))).fetchone()
        if row is None:
            raise LookupError(f"there is no account {account_id}")
        created_at, reconciled_at, unsettled = row
        oldest = min(moment for moment in (reconciled_at or created_at, unsettled) if moment is not None)
        since: datetime = max(oldest - OVERLAP, created_at)
        return since

    async def _record(self, account_id: UUID, began: datetime) -> None:
        async with self._pool.connection() as conn:
            await conn.execute("UPDATE accounts_account SET reconciled_at = %s WHERE id = %s", (began, account_id))
