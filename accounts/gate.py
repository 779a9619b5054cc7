"""The gate: whether this process may send orders, at this instant. The executor asks it last, at the socket.

What it keeps true: **when `stop.pull_stop` has returned, no further order bytes leave, from any process.**

The desk is one row (`Desk`) with a generation that grows with every stop and lift. A process may send only on a lease:

1. It reads its clock (t0), then renews its lease in one statement that share-locks the desk row, reads generation and
   `stopped`, and writes both the renewal and what it saw. If the desk trades, it may send until t0 + TTL. It renews
   four times in that span, and at once when PostgreSQL notifies it of a change.
2. A stop updates the desk row and commits. The share lock orders the two: a renewal is either committed before the
   stop, and then the stop sees that lease, or it runs after and reads the stopped desk. No lease can be missed.
3. So any process that still believes it may send renewed before the commit, and its t0 + TTL lies before the commit +
   TTL. The stop therefore waits, on its own clock, for each lease's word ("I have seen your generation, and nothing I
   sent is unanswered"), or, where no word comes, until TTL and a margin have passed since its commit. Two clocks are
   never compared; only their speed must agree (the margin).
   A stop's level says which orders it lets out (`levels`); the word is about the sends that it does not.
4. A process that was paused (SIGSTOP, a suspended machine, a long garbage collection) wakes with its deadline passed:
   the clock is CLOCK_BOOTTIME, which runs on meanwhile, and `check` is called by the HTTP session in the same step, on
   the same thread, that hands the bytes to the socket (`venues.permit`). Nothing is awaited in between.
5. A lease belongs to one run of one process: a restarted engine of the same name cannot give its predecessor's word.
6. Without PostgreSQL no lease is renewed and the gate closes by itself within TTL.

What stays outside: a process frozen between that last check and the system call, for longer than the whole lease. No
user-space program can close those microseconds; the stop names every process that gave no word, so that somebody looks.
"""

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg
import structlog
from psycopg import AsyncConnection

from accounts.levels import LEVELS, NO_NEW, OTHER, PASSES, lets_out
from trading.errors import RetryLater

TTL_S = 2.0
RENEW_EVERY_S = 0.5
CHANNEL = "desk"
DRAIN_POLL_S = 0.02
"""How soon after its last answer a stopped process gives its word."""
FORGET_AFTER_S = 60.0
"""A lease this long unrenewed belongs to a dead process, whatever a clock step did to either end."""

_RENEW = """
WITH desk AS (
    SELECT generation, stopped, level FROM accounts_desk WHERE id = 1 FOR SHARE
), lease AS (
    INSERT INTO accounts_enginelease (name, pid, generation_seen, started_at, renewed_at)
    SELECT %(name)s, %(pid)s,
           CASE WHEN NOT desk.stopped OR desk.level = ANY(%(quiet)s) THEN desk.generation ELSE %(seen)s END,
           clock_timestamp(), clock_timestamp()
    FROM desk
    ON CONFLICT (name) DO UPDATE
    SET generation_seen = excluded.generation_seen, renewed_at = excluded.renewed_at
    RETURNING generation_seen
)
SELECT desk.generation, desk.stopped, desk.level, lease.generation_seen FROM desk, lease
"""
"""One statement, so that a process paused at any point never holds the desk's lock."""

_FORGET = "DELETE FROM accounts_enginelease WHERE renewed_at < clock_timestamp() - make_interval(secs => %s)"

log = structlog.get_logger()


class GateClosed(RetryLater):
    """The desk is stopped (`by_stop`), or this process's lease is over. Nothing left."""

    def __init__(self, why: str, *, by_stop: bool = False) -> None:
        super().__init__("gate_closed", why, after_s=RENEW_EVERY_S)
        self.by_stop = by_stop


def read_boot_clock() -> float:
    """Seconds that also pass while the machine sleeps; CLOCK_MONOTONIC stands still then."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Gate:
    """One process's lease on sending. `start` it before the first send; `close` gives the lease back."""

    def __init__(
        self,
        dsn: str,
        name: str,
        *,
        ttl_s: float = TTL_S,
        renew_every_s: float = RENEW_EVERY_S,
        clock: Callable[[], float] = read_boot_clock,
    ) -> None:
        """`name` is the process's own, for people; the lease's adds its pid and a random part."""
        self.name = f"{name[:40]}:{os.getpid()}:{secrets.token_hex(4)}"
        self.level = ""
        """The level of the stop in force; empty while the desk trades."""
        self.generation = -1
        self._dsn = dsn
        self._ttl_s = ttl_s
        self._renew_every_s = renew_every_s
        self._clock = clock
        self._deadline = float("-inf")
        self._closed = True
        self._sending = dict.fromkeys(PASSES, 0)
        self._acknowledged = -1
        self._owes_word = False
        self._conn: AsyncConnection[Any] | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def open(self) -> bool:
        """Whether any order may leave now: the desk trades and the lease is fresh. Costs one clock reading."""
        return self.permits(OTHER)

    @property
    def sending(self) -> int:
        """Sends that have passed the gate and have no answer yet."""
        return sum(self._sending.values())

    def permits(self, kind: str) -> bool:
        """Whether an order on this pass (`levels.pass_of`) may leave now."""
        return not self._closed and lets_out(self.level, kind) and self._clock() < self._deadline

    def check(self, kind: str = OTHER) -> None:
        """Raises GateClosed unless an order on this pass may leave now. To be called in the very step that writes to
        the socket."""
        if self._closed:
            raise GateClosed("no lease yet")
        if not lets_out(self.level, kind):
            raise GateClosed(f"the desk is stopped ({self.level})", by_stop=True)
        if self._clock() >= self._deadline:
            raise GateClosed("this process's lease is over")

    @contextmanager
    def pass_through(self, kind: str = OTHER) -> Iterator[Callable[[], None]]:
        """Count a send until its answer is in: a stop's word is given only when none it forbids is out. Yields the
        check to make at the socket."""
        self.enter(kind)
        try:
            yield partial(self.check, kind)
        finally:
            self.leave(kind)

    def enter(self, kind: str) -> None:
        """`pass_through` for a send that is begun in one step and ends in another: `leave` when its answer is in."""
        self.check(kind)
        self._sending[kind] += 1

    def leave(self, kind: str) -> None:
        """The send that `enter` counted is over."""
        self._sending[kind] -= 1

    async def start(self) -> None:
        """Take the first lease and keep it renewed. Raises psycopg.Error when the database cannot be reached."""
        self._conn = await self._connect()
        self._task = asyncio.create_task(self._run(), name=f"gate {self.name}")

    async def close(self) -> None:
        """Stop sending and give the lease back, so that no stop waits for this process."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        await self._disconnect()
        self._closed = True
        if self.sending:
            return  # An answer is out: the lease must run its time.
        with contextlib.suppress(psycopg.Error, OSError, TimeoutError):
            async with asyncio.timeout(self._ttl_s):
                async with await AsyncConnection.connect(self._dsn, autocommit=True) as conn:
                    await conn.execute("DELETE FROM accounts_enginelease WHERE name = %s", (self.name,))

    async def _run(self) -> None:
        """Renew for ever; on any failure the lease simply runs out while a new connection is tried."""
        while True:
            try:
                if self._conn is None:
                    self._conn = await self._connect()
                while True:
                    if await self._wait(self._conn):
                        self._shut()
                    await self._renew(self._conn)
            except (psycopg.Error, OSError, TimeoutError) as error:
                log.warning("gate_renewal_failed", lease=self.name, error=type(error).__name__)
            await self._disconnect()
            await asyncio.sleep(self._renew_every_s / 2)

    async def _disconnect(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            with contextlib.suppress(psycopg.Error, OSError):
                await conn.close()

    async def _connect(self) -> AsyncConnection[Any]:
        async with asyncio.timeout(self._ttl_s):
            conn = await AsyncConnection.connect(self._dsn, autocommit=True)
        try:
            async with asyncio.timeout(self._ttl_s):
                await conn.execute(f"LISTEN {CHANNEL}")
                await conn.execute(_FORGET, (FORGET_AFTER_S,))
            await self._renew(conn)
        except BaseException:
            await conn.close()
            raise
        return conn

    async def _wait(self, conn: AsyncConnection[Any]) -> bool:
        """Until the next renewal is due; True at once when the desk changed."""
        timeout = DRAIN_POLL_S if self._owes_word else self._renew_every_s
        async for _ in conn.notifies(timeout=timeout, stop_after=1):
            return True
        return False

    async def _renew(self, conn: AsyncConnection[Any]) -> None:
        began = self._clock()
        # Levels on which nothing they forbid is out, nor can begin before this statement is done.
        still = [kind for kind in PASSES if not self._sending[kind] and not self.permits(kind)]
        quiet = [level for level in LEVELS if all(lets_out(level, kind) or kind in still for kind in PASSES)]
        async with asyncio.timeout(self._ttl_s):
            cursor = await conn.execute(
                _RENEW, {"name": self.name, "pid": os.getpid(), "quiet": quiet, "seen": self._acknowledged}
            )
            row = await cursor.fetchone()
        if row is None:
            self._shut()
            raise psycopg.DataError("the desk has no row: run the migrations")
        generation, stopped, level, seen = row
        changed = generation != self.generation
        self.generation, self.level, self._acknowledged = generation, (level or NO_NEW) if stopped else "", seen
        self._closed = False
        self._deadline = began + self._ttl_s
        if changed:
            log.info("gate_changed", lease=self.name, generation=generation, stopped=stopped, stop_level=level)
        self._owes_word = stopped and seen != generation

    def _shut(self) -> None:
        self._deadline = float("-inf")
