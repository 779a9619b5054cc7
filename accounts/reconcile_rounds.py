"""Rounds over all accounts, for the worker's periodic tasks: reconcile each, refresh each balance, read positions.

A worker process keeps one `Rounds`, with its event loop, pool and venue clients, from task to task: logging every
account in anew each minute would spend the venue's request budget on nothing.
"""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar
from uuid import UUID

import redis
import structlog
from django.conf import settings
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from accounts.balances import refresh_balance
from accounts.credentials import CredentialStore
from accounts.lanes import Lane, Lanes
from accounts.reconciler import Reconciler
from accounts.vault import Opener
from markets.endpoints import load_endpoints
from streams.connection import connect
from streams.publisher import Publisher
from trading.errors import VenueError
from venues.contract import VenuePosition
from venues.shared_budget import Budgets

AT_ONCE = 4
T = TypeVar("T")

log = structlog.get_logger()


class Rounds:
    """One process's rounds, taken one after the other: the worker's tasks run in threads, and there is one loop."""

    def __init__(self) -> None:
        """Raises VaultError in a process that was not given the private key."""
        self._opener = Opener(settings.VAULT_PRIVATE_KEY_FILE)
        self._turn = threading.Lock()
        self._runner = asyncio.Runner()
        self._run(self._open())

    def reconcile(self) -> int:
        """Reconcile every account; returns how many missing fills were found."""
        found: int = self._run(self._each(self._reconcile))
        return found

    def refresh_balances(self) -> int:
        """Refresh every account's balance; returns how many were read."""
        read: int = self._run(self._each(self._refresh))
        return read

    def read_positions(self) -> dict[UUID, list[VenuePosition]]:
        """What the venue says every account holds; an account that could not be read is not in it."""
        read: dict[UUID, list[VenuePosition]] = {}

        async def one(lane: Lane) -> int:
            read[lane.account.id] = await lane.client.fetch_positions()
            return 1

        self._run(self._each(one))
        return read

    def close(self) -> None:
        """Close every connection."""
        with contextlib.suppress(Exception):
            self._run(self._close())
        self._runner.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        with self._turn:
            return self._runner.run(work)

    async def _open(self) -> None:
        self._pool: AsyncConnectionPool[AsyncConnection[Any]] = AsyncConnectionPool(
            settings.DATABASE_URL, min_size=0, max_size=AT_ONCE, open=False, name="rounds"
        )
        await self._pool.open()
        self._bus = connect(settings.REDIS_URL)
        self._publisher = Publisher(self._bus)
        store = CredentialStore(self._pool, self._opener, settings.MODE)
        self._lanes = Lanes(store, load_endpoints(), budgets=Budgets(self._bus))
        self._reconciler = Reconciler(self._pool, self._publisher)

    async def _close(self) -> None:
        await self._lanes.close()
        await self._bus.aclose()
        await self._pool.close()

    async def _each(self, job: Callable[[Lane], Awaitable[int]]) -> int:
        await self._lanes.refresh(connect=False)
        at_once = asyncio.Semaphore(AT_ONCE)

        async def one(lane: Lane) -> int:
            async with at_once:
                try:
                    return await job(lane)
                except VenueError as error:
                    log.warning("account_skipped", account=lane.account.name, reason=error.slug)
                except (redis.RedisError, OSError) as error:
                    log.warning("account_skipped", account=lane.account.name, reason=type(error).__name__)
                return 0

        lanes = [self._lanes.get(account_id) for account_id in self._lanes.account_ids()]
        return sum(await asyncio.gather(*(one(lane) for lane in lanes)))

    async def _reconcile(self, lane: Lane) -> int:
        return (await self._reconciler.reconcile(lane.account, lane.client)).fills_missing

    async def _refresh(self, lane: Lane) -> int:
        await refresh_balance(self._pool, self._publisher, lane)
        return 1
