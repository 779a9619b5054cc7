"""Lanes: one account's way to its venue. Each has its own signer, client, proxy and bound on what is in flight.

The executor sends through them and the reconciler reads through them. One account's slow venue call holds up nothing
but that account: it can fill its own lane, never the road.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from uuid import UUID

import structlog

from accounts.credentials import CredentialStore, KnownAccount
from trading.enums import Platform
from trading.errors import RetryLater, TradingError, VenueError
from venues.contract import OrderSigner, VenueClient
from venues.registry import Endpoints, order_signer, venue_client
from venues.shared_budget import CREDIT_PAUSE_S, Budgets

PER_ACCOUNT = 8
IN_ALL = 256
_CONNECTING_AT_ONCE = 8
_CONNECT_WITHIN_S = 2.0
_A_MOMENT_S = 0.1

log = structlog.get_logger()


class AccountUnavailable(TradingError):
    """Nothing can be signed or sent for this account now; `reason` says why and holds no secret."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Slots:
    """A bound on what is under way at once; who must wait is served in turn. A semaphore, but for `take`."""

    __slots__ = ("_free", "_waiting")

    def __init__(self, most: int) -> None:
        self._free = most
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take(self) -> bool:
        """A place at once, or False; nobody who waits is overtaken."""
        if self._free == 0:
            return False
        self._free -= 1
        return True

    async def wait(self) -> None:
        """A place, in turn."""
        if self.take():
            return
        mine = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        try:
            await mine
        except BaseException:
            if mine.done() and not mine.cancelled():
                self.free()  # It was given in the moment in which nobody wanted it any more.
            raise

    def free(self) -> None:
        """Give a place back: straight to who waits longest."""
        while self._waiting:
            next_one = self._waiting.popleft()
            if not next_one.done():
                next_one.set_result(None)
                return
        self._free += 1


class Lane:
    """One account, ready to sign and send."""

    __slots__ = ("account", "client", "signer", "slots")

    def __init__(self, account: KnownAccount, signer: OrderSigner, client: VenueClient) -> None:
        self.account = account
        self.signer = signer
        self.client = client
        self.slots = Slots(PER_ACCOUNT)

    def __repr__(self) -> str:
        return f"Lane({self.account.name!r})"


class Lanes:
    """Every account's lane, kept in step with the credentials."""

    def __init__(
        self,
        credentials: CredentialStore,
        endpoints: Mapping[Platform, Endpoints],
        in_all: int = IN_ALL,
        *,
        budgets: Budgets | None = None,
    ) -> None:
        """`budgets`: the rate limits this process shares with others; without them it counts for itself."""
        self._credentials = credentials
        self._endpoints = endpoints
        self._lanes: dict[UUID, Lane] = {}
        self._problems: dict[UUID, str] = {}
        self._budgets = budgets or Budgets()
        self._road = Slots(in_all)
        self._connecting = asyncio.Semaphore(_CONNECTING_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"Lanes({len(self._lanes)} open)"

    def get(self, account_id: UUID) -> Lane:
        """The account's lane; raises AccountUnavailable with the reason when there is none."""
        lane = self._lanes.get(account_id)
        if lane is None:
            raise AccountUnavailable(self._problems.get(account_id, "the account is not known to this process"))
        return lane

    def account_ids(self) -> list[UUID]:
        """Accounts that have a lane."""
        return list(self._lanes)

    def take(self, lane: Lane) -> bool:
        """A place in the account's lane and on the road at once, to be given back by `free`; or False and neither."""
        if not lane.slots.take():
            return False
        if not self._road.take():
            lane.slots.free()
            return False
        return True

    def free(self, lane: Lane) -> None:
        """Give both places back."""
        self._road.free()
        lane.slots.free()

    @asynccontextmanager
    async def slot(self, lane: Lane) -> AsyncIterator[None]:
        """A place in the account's lane first and on the road after, so that a full lane blocks nobody else."""
        await lane.slots.wait()
        try:
            await self._road.wait()
            try:
                yield
            finally:
                self._road.free()
        finally:
            lane.slots.free()

    async def refresh(self, *, connect: bool = True) -> None:
        """Take in new and changed accounts. Their connections are warmed in the background."""
        self._take(await self._credentials.refresh(), connect=connect)

    async def load(self, account_ids: Iterable[UUID]) -> None:
        """Take in these accounts now."""
        self._take(await self._credentials.load(account_ids), connect=False)

    async def connect(self, account_ids: Iterable[UUID]) -> None:
        """Log in and warm these accounts' connections; one that cannot is logged and connects with its first order."""
        lanes = [lane for account_id in account_ids if (lane := self._lanes.get(account_id)) is not None]
        await asyncio.gather(*(self._connect(lane) for lane in lanes))

    async def close(self) -> None:
        """Close every connection."""
        for task in list(self._tasks):
            task.cancel()
        lanes, self._lanes = list(self._lanes.values()), {}
        await asyncio.gather(*(_close(lane.client) for lane in lanes), *self._tasks, return_exceptions=True)

    def _take(self, accounts: Iterable[KnownAccount], *, connect: bool) -> None:
        for account in accounts:
            lane = self._lanes.get(account.id)
            if lane is not None and lane.account.credentials == account.credentials:
                lane.account = account
                continue
            if lane is not None:
                del self._lanes[account.id]
                self._spawn(_close(lane.client))
            self._open(account)
            if connect and (opened := self._lanes.get(account.id)) is not None:
                self._spawn(self._connect(opened))

    def _open(self, account: KnownAccount) -> None:
        credentials = account.credentials
        try:
            if credentials is None:
                raise AccountUnavailable(account.problem)
            endpoints = self._endpoints.get(account.platform)
            if endpoints is None:
                raise AccountUnavailable(f"no endpoints are configured for {account.platform.value}")
            signer = order_signer(account.platform, credentials, endpoints)
            budget = self._budgets.of(account.platform, credentials.api_key or endpoints.api_key)
            client = venue_client(account.platform, credentials, endpoints, budget=budget)
        except TradingError as error:
            self._problems[account.id] = str(error)
            log.error("account_unavailable", account=account.name, problem=str(error))
            return
        self._problems.pop(account.id, None)
        self._lanes[account.id] = Lane(account, signer, client)

    async def _connect(self, lane: Lane) -> None:
        async with self._connecting:
            until = time.monotonic() + _CONNECT_WITHIN_S
            while True:
                try:
                    await lane.client.connect()
                    return
                except VenueError as error:
                    # At start-up everybody logs in at once, and the budget's next lease is moments away.
                    if not isinstance(error, RetryLater) or error.after_s > _A_MOMENT_S or time.monotonic() > until:
                        log.warning("account_not_connected", account=lane.account.name, error=error.slug)
                        return
                    await asyncio.sleep(max(error.after_s, CREDIT_PAUSE_S))

    def _spawn(self, job: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _close(client: VenueClient) -> None:
    with contextlib.suppress(VenueError, OSError):
        await client.close()
