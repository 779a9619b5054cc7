"""The engine inside a Celery worker: a bootstep that runs it in one thread on an event loop of its own.

`celery -A hedgerow worker --engine` starts it. A Celery task per event was measured three times slower, and it lost
orders when killed (docs/performance.md); here the loop itself reads the streams, and Celery gives it its process,
its signals and its place among the workers. An engine that fails is built anew, after a pause, from what is durable.
"""

import asyncio
import os
import threading
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import psycopg
import structlog
import uvloop
from celery import bootsteps
from django.conf import settings
from psycopg_pool import AsyncConnectionPool

from accounts.credentials import CredentialStore
from accounts.executor import Executor
from accounts.gate import Gate
from accounts.vault import Opener
from markets.endpoints import load_endpoints
from strategies.dispatch import Dispatcher
from strategies.engine import Engine
from strategies.foresight import Foresight
from strategies.halting import halt_strategy
from strategies.specs import BookShelf, SpecBook
from streams.connection import connect, connect_reader
from streams.garbage import Collector
from streams.names import READER_GROUPS, STRATEGIES
from streams.publisher import Publisher
from streams.reader import GroupReader
from trading.enums import Platform
from venues.contract import MarketData
from venues.registry import market_data
from venues.shared_budget import Budgets

log = structlog.get_logger()

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
STEADY_AFTER_S = 30.0
STOP_TIMEOUT_S = 15.0
AT_ONCE = 2
"""Batches in hand, of different markets: one is decided while the other is with the database."""

PLANS = (
    "plan_cache_mode = force_generic_plan",
    "enable_seqscan = off",
    "enable_bitmapscan = off",
    "enable_hashjoin = off",
    "enable_mergejoin = off",
    "jit = off",
)
"""How a dispatcher's statements are planned: once, and by index."""


def utc_now() -> datetime:
    """The engine's clock."""
    return datetime.now(UTC)


async def connect_dispatcher(database_url: str) -> psycopg.AsyncConnection[Any]:
    """A connection for one dispatcher. Its few statements are planned once: planning them anew took longer than
    running them, and every one of them finds its rows by index, one by one.

    A batch's size is not known when it is planned. PostgreSQL guesses a hundred rows, and would rather hash the whole
    orders table than look up the one that is there: 0.5 ms a fill with a thousand orders, and more with each order.
    """
    conn = await psycopg.AsyncConnection.connect(database_url, autocommit=True)
    for setting in PLANS:
        await conn.execute(f"SET {setting}")
    return conn


async def run_engine(name: str, stopping: threading.Event) -> None:
    """Build an engine from the settings and run it until `stopping` is set. Raises whatever it cannot live with."""
    async with AsyncExitStack() as stack:
        pool = AsyncConnectionPool[psycopg.AsyncConnection[Any]](
            settings.DATABASE_URL, min_size=2, max_size=8, kwargs={"autocommit": True}, open=False, name="engine"
        )
        await stack.enter_async_context(pool)
        redis = connect(settings.REDIS_URL)
        stack.push_async_callback(redis.aclose)
        reading = connect_reader(settings.REDIS_URL)
        stack.push_async_callback(reading.aclose)
        publisher = Publisher(redis)
        endpoints, budgets = load_endpoints(), Budgets(redis)
        venues: dict[Platform, MarketData] = {
            platform: market_data(platform, where, budget=budgets.of(platform, where.api_key))
            for platform, where in endpoints.items()
        }
        for venue in venues.values():
            stack.push_async_callback(venue.close)
        gate = Gate(settings.DATABASE_URL, name)
        await gate.start()
        stack.push_async_callback(gate.close)
        credentials = CredentialStore(pool, Opener(settings.VAULT_PRIVATE_KEY_FILE), settings.MODE)
        executor = Executor(pool, publisher, gate, credentials, name, endpoints, budgets=budgets)
        await executor.start()
        stack.push_async_callback(executor.close)
        specs, books = SpecBook(), BookShelf(venues, utc_now)
        foresight = Foresight(executor.prepare, executor.sent_lately, specs)
        dispatchers = [
            Dispatcher(
                await stack.enter_async_context(await connect_dispatcher(settings.DATABASE_URL)),
                executor,
                specs,
                books,
                utc_now,
                foresight,
            )
            for _ in range(AT_ONCE + 1)
        ]
        engine = Engine(
            reader=GroupReader(reading, STRATEGIES, name, READER_GROUPS[STRATEGIES].streams),
            dispatchers=dispatchers[:AT_ONCE],
            sweeper=dispatchers[AT_ONCE],
            executor=executor,
            specs=specs,
            books=books,
            publisher=publisher,
            pool=pool,
            clock=utc_now,
            halt=halt_strategy,
        )
        watcher = asyncio.create_task(_stop_when_asked(engine, stopping))
        stack.callback(watcher.cancel)
        await stack.enter_async_context(Collector(lambda: engine.is_idle))
        log.info("engine_running", engine=name, pid=os.getpid())
        await engine.run()


async def _stop_when_asked(engine: Engine, stopping: threading.Event) -> None:
    while not stopping.is_set():
        await asyncio.sleep(0.1)
    engine.stop()


class EngineThread(threading.Thread):
    """Runs engines one after the other until told to stop: a failed one is replaced, never left dead."""

    def __init__(self, name: str) -> None:
        super().__init__(name="engine", daemon=True)
        self._engine_name = name
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Ask the engine to finish what is in hand."""
        self._stopping.set()

    def run(self) -> None:
        pause = FIRST_PAUSE_S
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    runner.run(run_engine(self._engine_name, self._stopping))
            except Exception as error:
                if time.monotonic() - began > STEADY_AFTER_S:
                    pause = FIRST_PAUSE_S
                log.error("engine_failed", error=_named(error), again_in_s=pause, exc_info=error)
                self._stopping.wait(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)


def _named(error: BaseException) -> str:
    """The error's name; for a group the names of what is inside."""
    if isinstance(error, BaseExceptionGroup):
        return ", ".join(_named(inner) for inner in error.exceptions)
    return type(error).__name__


class EngineStep(bootsteps.StartStopStep):
    """Starts the engine with its worker, and only in a worker started with `--engine`."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, engine: bool = False, **options: Any) -> None:
        super().__init__(parent, **options)
        self.enabled = engine
        self._thread: EngineThread | None = None

    def start(self, parent: Any) -> None:
        """Called once the worker's pool is up."""
        self._thread = EngineThread(parent.hostname)
        self._thread.start()

    def stop(self, parent: Any) -> None:
        """Called on a warm shutdown: what is in hand is finished."""
        if self._thread is not None:
            self._thread.stop()
            self._thread.join(STOP_TIMEOUT_S)

    terminate = stop
