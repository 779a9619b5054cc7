"""Carrying out a connection test: log in at the venue anew, as the account would, and read what only it may read.

Run by the worker, which has the vault's key (`accounts.tasks.test_connection`). It takes the account's own proxy and
nothing else, sends no order, and writes on the test's row what each step found, in words for a person.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import redis
import structlog
from django.conf import settings
from django.utils import timezone
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from accounts.connection_test import STEPS
from accounts.credentials import CredentialStore, KnownAccount
from accounts.models import Account, ConnectionTest
from accounts.vault import Opener, VaultError
from markets.endpoints import load_endpoints
from streams.connection import connect_now
from streams.publisher import publish_now
from trading.enums import Platform
from trading.errors import RetryLater, TradingError, VenueError
from trading.events import ACCOUNT_EVENTS, AccountChanged, Event
from trading.ids import event_id
from venues.contract import VenueClient, WalletEventKind
from venues.registry import Endpoints, market_data, venue_client

STEP_S = 12.0
"""A step that takes longer has failed."""

log = structlog.get_logger()


class StepFailed(Exception):
    """A step found something wrong. Its text is for a person: what, and what to do; never a secret."""


class Check:
    """One account's way to its venue, tried step by step."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._known: KnownAccount | None = None
        self._endpoints: Endpoints | None = None
        self._client: VenueClient | None = None

    def step(self, name: str) -> Callable[[], Awaitable[str]]:
        """What carries out the step of this name; it returns what it found."""
        return {
            "keys": self._keys,
            "reachable": self._reachable,
            "login": self._login,
            "balance": self._balance,
            "positions": self._positions,
            "stream": self._stream,
        }[name]

    async def close(self) -> None:
        """Log out of the test: nothing of it stays open."""
        if self._client is not None:
            await self._client.close()

    async def _keys(self) -> str:
        pool: AsyncConnectionPool[AsyncConnection[Any]] = AsyncConnectionPool(
            settings.DATABASE_URL, min_size=0, max_size=1, open=False, name="connection-check"
        )
        try:
            opener = Opener(settings.VAULT_PRIVATE_KEY_FILE)
        except VaultError as error:
            raise StepFailed(f"The worker cannot open the vault: {error}.") from None
        async with pool:
            loaded = await CredentialStore(pool, opener, settings.MODE).load([self._account.pk])
        if not loaded:
            raise StepFailed(f"It is a {self._account.mode} account, and this installation runs {settings.MODE}.")
        [self._known] = loaded
        if self._known.credentials is None:
            raise StepFailed(f"Its secrets cannot be used: {self._known.problem}. Enter them again.")
        platform = Platform(self._account.platform)
        self._endpoints = load_endpoints().get(platform)
        if self._endpoints is None:
            raise StepFailed(f"No addresses of {platform.value} are configured here.")
        try:
            self._client = venue_client(platform, self._known.credentials, self._endpoints)
        except TradingError as error:
            raise StepFailed(f"Its settings cannot be right: {error}.") from None
        held = "the private key" + (" and its own API key" if self._known.credentials.api_key else "")
        return f"Opened {held} of {self._account.address}."

    async def _reachable(self) -> str:
        assert self._known is not None
        assert self._known.credentials is not None
        assert self._endpoints is not None
        public = market_data(self._known.platform, self._endpoints, proxy_url=self._known.credentials.proxy_url)
        began = time.perf_counter()
        try:
            async with aclosing(public.fetch_markets()) as markets:  # type: ignore[type-var]
                async for _ in markets:
                    break
        except VenueError as error:
            if isinstance(error, RetryLater):
                raise
            # It answered, if only to refuse: it can be reached. Who we are is the next step's matter.
        finally:
            await public.close()
        took_ms = round((time.perf_counter() - began) * 1000)
        return f"{self._host()} answers {self._way()} in {took_ms} ms."

    async def _login(self) -> str:
        await self._open_client().connect()
        return "The venue took the signature and gave a token."

    async def _balance(self) -> str:
        balance = await self._open_client().fetch_balance()
        return f"{balance.total:,.2f} USDT, of which {balance.reserved:,.2f} USDT is reserved by open orders."

    async def _positions(self) -> str:
        count = len(await self._open_client().fetch_positions())
        return f"The venue lists {count} position{'' if count == 1 else 's'}."

    async def _stream(self) -> str:
        async with aclosing(self._open_client().stream_wallet()) as said:  # type: ignore[type-var]
            async for event in said:
                if event.kind is WalletEventKind.CONNECTED:
                    return "Subscribed to the account's own events."
        raise StepFailed("The venue's stream ended before it was subscribed: test again.")

    def _open_client(self) -> VenueClient:
        assert self._client is not None
        return self._client

    def _host(self) -> str:
        return urlsplit(self._endpoints.api_url).netloc if self._endpoints is not None else ""

    def _way(self) -> str:
        return f"through the proxy {self._account.proxy_label}" if self._account.proxy_label else "without a proxy"

    def explain(self, error: Exception) -> str:
        """A failed step in words: what it means, and what to do."""
        if isinstance(error, StepFailed):
            return str(error)
        if isinstance(error, TimeoutError):
            return f"There was no answer within {STEP_S:.0f} s: see whether the venue works for other accounts."
        slug = error.slug if isinstance(error, VenueError) else type(error).__name__
        match slug:
            case "proxy_unavailable":
                return (
                    f"The proxy {self._account.proxy_label} cannot be used. Nothing was sent without it: check that it"
                    " runs, and its user and password."
                )
            case "not_connected" | "websocket_unavailable":
                return f"{self._host()} cannot be reached {self._way()}: check the network and the venue's state."
            case "timeout" | "connection_lost":
                return f"{self._host()} did not answer in time {self._way()}: test again, then check the venue's state."
            case "login_refused":
                why = error.message if isinstance(error, VenueError) else ""
                return f"The venue refused the login ({why}): check the private key, the signer kind and the API key."
            case "too_many_requests":
                return "The venue's request budget is spent: wait a minute, then test again."
        return f"The venue answered {slug}: look it up in the venue's documentation, then test again."


def run_connection_test(test_id: UUID) -> str:
    """Carry out one test and write it down as it goes; returns its final status. A test that is over stays as it is."""
    claimed = ConnectionTest.objects.filter(pk=test_id, status=ConnectionTest.Status.WAITING)
    if not claimed.update(status=ConnectionTest.Status.RUNNING, started_at=timezone.now()):
        return "not waiting"
    test = ConnectionTest.objects.select_related("account").get(pk=test_id)
    check, problem = Check(test.account), ""
    with asyncio.Runner() as runner:
        try:
            for step in test.steps:
                if problem:
                    step["state"] = "skipped"
                    continue
                step["state"] = "running"
                test.save(update_fields=["steps"])
                began = time.perf_counter()
                try:
                    step["text"] = runner.run(_within(STEP_S, check.step(step["name"])))
                    step["state"] = "ok"
                except (StepFailed, VenueError, TimeoutError, OSError) as error:
                    problem = step["text"] = check.explain(error)
                    step["state"] = "failed"
                step["took_ms"] = round((time.perf_counter() - began) * 1000)
        except Exception as error:
            # A fault of ours: the person still gets an end, and the log its trace.
            problem = f"The test itself failed ({type(error).__name__}): tell the operator."
            log.exception("connection_test_failed", account=test.account.name)
        finally:
            runner.run(check.close())
    test.status = ConnectionTest.Status.FAILED if problem else ConnectionTest.Status.PASSED
    test.problem, test.finished_at = problem[:400], timezone.now()
    test.save(update_fields=["status", "problem", "finished_at", "steps"])
    log.info("connection_tested", account=test.account.name, status=test.status, steps=len(STEPS))
    _announce(test)
    return test.status


async def _within(seconds: float, step: Callable[[], Awaitable[str]]) -> str:
    async with asyncio.timeout(seconds):
        return await step()


def _announce(test: ConnectionTest) -> None:
    """Tell the pages, so that they look again."""
    account = test.account
    event = Event(
        id=event_id("account_changed", str(account.pk), "connection_test", str(test.pk)),
        platform=Platform(account.platform),
        timestamp=test.finished_at or timezone.now(),
        data=AccountChanged(
            account_id=str(account.pk), account_name=account.name, what="connection_test", value=test.status
        ),
    )
    try:
        with connect_now(settings.REDIS_URL) as bus:
            publish_now(bus, ACCOUNT_EVENTS, event)
    except redis.RedisError as error:
        log.warning("connection_test_unannounced", error=type(error).__name__)
