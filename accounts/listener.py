"""The listener: one wallet stream per account, each frame an event on the bus. Run by `manage.py listener`.

    1  take new and changed accounts; lease those that are this process's share
    2  per account: subscribe through its own client and proxy
    3  every frame is published first, before anything else is done with it
    4  after every connect, reconcile by REST; only then does the account count as connected

Frames that come while the reconcile is still reading are published at once: each names its fact, so it does no harm
that REST tells some of them again, and a fill must not wait for a page of history. HALTED accounts are listened to
like all others: what was ordered before may still fill.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import psycopg
import redis.asyncio
import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from accounts.answers import utc_now
from accounts.credentials import CredentialStore, KnownAccount
from accounts.executions import wallet_event
from accounts.leases import AccountLeases
from accounts.models import Account
from accounts.reconciler import Reconciler
from accounts.second_look import AGREES_AFTER_S
from streams.killpoints import reach
from streams.publisher import Publisher
from trading.enums import Platform
from trading.errors import TradingError, VenueError
from trading.events import ACCOUNT_EVENTS, FILL_EVENTS, TRADE_EVENTS, AccountChanged, Event, OrderUpdate
from trading.ids import event_id
from venues.backoff import Backoff
from venues.contract import VenueClient, WalletEvent, WalletEventKind
from venues.registry import Endpoints, venue_client
from venues.shared_budget import Budgets

Pool = AsyncConnectionPool[AsyncConnection[Any]]

LOOK_EVERY_S = 1.0
RECONCILING_AT_ONCE = 4
_OUTAGES = (redis.RedisError, psycopg.Error, PoolTimeout, OSError)

log = structlog.get_logger()


class Listener:
    """One listener process: watches the accounts and runs a `WalletWatch` for each of its share."""

    def __init__(
        self,
        pool: Pool,
        bus: redis.asyncio.Redis,
        credentials: CredentialStore,
        endpoints: Mapping[Platform, Endpoints],
        name: str,
    ) -> None:
        self._pool = pool
        self._publisher = Publisher(bus)
        self._credentials = credentials
        self._endpoints = endpoints
        self._leases = AccountLeases(bus, name)
        self._reconciler = Reconciler(pool, self._publisher)
        self._reconciling = asyncio.Semaphore(RECONCILING_AT_ONCE)
        self._budgets = Budgets(bus)
        self._watches: dict[UUID, WalletWatch] = {}
        self._stopping = asyncio.Event()

    @property
    def account_ids(self) -> set[UUID]:
        """The accounts this process listens to now."""
        return set(self._watches)

    def stop(self) -> None:
        """Ask `run` to end."""
        self._stopping.set()

    async def run(self) -> None:
        """Listen until `stop`; an outage of Redis or PostgreSQL is waited out with the streams kept open."""
        try:
            while not self._stopping.is_set():
                try:
                    await self._look()
                except _OUTAGES as error:
                    log.warning("listener_waits", error=type(error).__name__)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), LOOK_EVERY_S)
        finally:
            await self._close()

    async def _look(self) -> None:
        """Take in what changed, renew leases, give away what is beyond this process's share."""
        for account in await self._credentials.refresh():
            watch = self._watches.get(account.id)
            if watch is not None and watch.account.credentials != account.credentials:
                await self._end(account.id)
        accounts = [account for account in self._credentials.known() if account.credentials is not None]
        share = await self._leases.share_of(len(accounts))
        for account_id in list(self._watches)[share:]:
            await self._end(account_id)
            await self._leases.leave([account_id])
        for account in sorted(accounts, key=lambda account: (account.id not in self._watches, account.id)):
            if account.id not in self._watches and len(self._watches) >= share:
                break
            if not await self._leases.take(account.id):
                await self._end(account.id)
            elif account.id not in self._watches:
                self._begin(account)

    def _begin(self, account: KnownAccount) -> None:
        endpoints = self._endpoints.get(account.platform)
        if endpoints is None or account.credentials is None:
            return
        try:
            client = venue_client(
                account.platform,
                account.credentials,
                endpoints,
                budget=self._budgets.of(account.platform, account.credentials.api_key or endpoints.api_key),
            )
        except TradingError as error:
            log.error("account_not_listened_to", account=account.name, problem=str(error))
            return
        watch = WalletWatch(account, client, self._pool, self._publisher, self._reconciler, self._reconciling)
        self._watches[account.id] = watch
        watch.begin()

    async def _end(self, account_id: UUID) -> None:
        watch = self._watches.pop(account_id, None)
        if watch is not None:
            await watch.end()

    async def _close(self) -> None:
        watches, self._watches = self._watches, {}
        await asyncio.gather(*(watch.end() for watch in watches.values()))
        with contextlib.suppress(redis.RedisError, OSError):
            await self._leases.leave(watches)
            await self._leases.sign_off()


class WalletWatch:
    """One account's stream, from the first frame to `end`."""

    def __init__(
        self,
        account: KnownAccount,
        client: VenueClient,
        pool: Pool,
        publisher: Publisher,
        reconciler: Reconciler,
        reconciling: asyncio.Semaphore,
    ) -> None:
        self.account = account
        self._client = client
        self._pool = pool
        self._publisher = publisher
        self._reconciler = reconciler
        self._reconciling = reconciling
        self._task: asyncio.Task[None] | None = None
        self._catching_up: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"wallet {self.account.name}")

    async def end(self) -> None:
        """Close the stream; the account is offline until somebody listens again."""
        tasks = [task for task in (self._task, self._catching_up) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(VenueError, OSError):
            await self._client.close()
        with contextlib.suppress(*_OUTAGES):
            await self._tell(Account.Connection.OFFLINE)

    async def _run(self) -> None:
        """The stream never ends by itself; should it fail by a fault of ours, it is begun again and the fault shown."""
        backoff = Backoff(0.5, 30.0)
        while True:
            try:
                async for said in self._client.stream_wallet():
                    await self._take(said)
            except Exception:
                log.exception("wallet_stream_failed", account=self.account.name)
            await asyncio.sleep(backoff.next_delay_s())

    async def _take(self, said: WalletEvent) -> None:
        if said.kind is WalletEventKind.CONNECTED:
            self._catch_up()
        elif said.kind is WalletEventKind.DISCONNECTED:
            if self._catching_up is not None:
                self._catching_up.cancel()
            with contextlib.suppress(*_OUTAGES):
                await self._tell(Account.Connection.CONNECTING)
        else:
            account = self.account
            event = wallet_event(account.platform, str(account.id), account.name, said)
            if event is not None:
                await self._publish(event)

    async def _publish(self, event: Event) -> None:
        """Until it is on the bus: later frames wait their turn, in order."""
        stream = TRADE_EVENTS if isinstance(event.data, OrderUpdate) else FILL_EVENTS
        backoff = Backoff(0.05, 2.0)
        while True:
            try:
                reach("listener.before_publish")
                await self._publisher.publish(stream, event)
                reach("listener.published")
            except (redis.RedisError, OSError) as error:
                log.warning("event_delayed", account=self.account.name, error=type(error).__name__)
                await asyncio.sleep(backoff.next_delay_s())
            else:
                return

    def _catch_up(self) -> None:
        if self._catching_up is not None:
            self._catching_up.cancel()
        self._catching_up = asyncio.create_task(self._reconcile(), name=f"reconcile {self.account.name}")

    async def _reconcile(self) -> None:
        backoff = Backoff(0.25, 15.0)
        while True:
            try:
                async with self._reconciling:
                    found = await self._reconciler.reconcile(self.account, self._client)
                if found.complete:
                    await self._tell(Account.Connection.CONNECTED)
                    if not found.unconfirmed:
                        return
                    await asyncio.sleep(AGREES_AFTER_S + 1)  # the second look at what reads as over
                    continue
            except (VenueError, *_OUTAGES) as error:
                reason = error.slug if isinstance(error, VenueError) else type(error).__name__
                log.warning("reconcile_delayed", account=self.account.name, reason=reason)
            await asyncio.sleep(backoff.next_delay_s())

    async def _tell(self, connection: Account.Connection) -> None:
        """The account's connection, on its row and on the bus. Leaves `updated_at` alone: no configuration changed."""
        account, now = self.account, utc_now()
        async with self._pool.connection() as conn:
            await conn.execute(
                "UPDATE accounts_account SET connection = %s, connection_at = %s WHERE id = %s",
                (connection.value, now, account.id),
            )
        await self._publisher.publish(
            ACCOUNT_EVENTS,
            Event(
                id=event_id("account_changed", str(account.id), "connection", str(time.time_ns())),
                platform=account.platform,
                timestamp=now,
                data=AccountChanged(
                    account_id=str(account.id), account_name=account.name, what="connection", value=connection.value
                ),
            ),
        )
