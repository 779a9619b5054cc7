"""One bot at a time: whoever holds a PostgreSQL advisory lock polls and sends; the others wait to take over.

The lock ends with its connection, so a killed bot's is free at once. A holder that loses its connection stops first
and asks again. For the moment in which two might poll, Telegram refuses the second with 409, and updates are taken
once (`SeenUpdate`).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from hashlib import sha256

import psycopg
import structlog

ASK_EVERY_S = 1.0
CHECK_EVERY_S = 2.0

log = structlog.get_logger()


class Lead:
    """The lock of one bot, named by the number in its token."""

    def __init__(self, dsn: str, token: str) -> None:
        self._dsn = dsn
        digest = sha256(b"telegram:" + token.split(":")[0].encode()).digest()
        self._key = int.from_bytes(digest[:8], "big", signed=True)
        self.lost = asyncio.Event()

    @contextlib.asynccontextmanager
    async def held(self, stop: asyncio.Event) -> AsyncIterator[bool]:
        """Wait for the lock; yields False when told to stop before it came. `lost` is set if it slips away."""
        conn = await self._take(stop)
        if conn is None:
            yield False
            return
        self.lost.clear()
        watch = asyncio.create_task(self._watch(conn))
        try:
            yield True
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            with contextlib.suppress(psycopg.Error):
                await conn.close()

    async def _take(self, stop: asyncio.Event) -> psycopg.AsyncConnection[tuple[object, ...]] | None:
        waiting = False
        while not stop.is_set():
            conn = None
            try:
                conn = await psycopg.AsyncConnection.connect(
                    self._dsn, autocommit=True, connect_timeout=5, keepalives_idle=5, application_name="bot"
                )
                while not stop.is_set():
                    row = await (await conn.execute("SELECT pg_try_advisory_lock(%s)", (self._key,))).fetchone()
                    if row and row[0]:
                        return conn
                    if not waiting:
                        log.info("bot_waits", reason="another bot process leads")
                        waiting = True
                    await pause(ASK_EVERY_S, stop)
            except psycopg.Error as error:
                log.warning("bot_lead_unasked", error=type(error).__name__)
                await pause(ASK_EVERY_S, stop)
            if conn is not None:
                with contextlib.suppress(psycopg.Error):
                    await conn.close()
        return None

    async def _watch(self, conn: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            try:
                async with asyncio.timeout(CHECK_EVERY_S * 2):
                    await conn.execute("SELECT 1")
            except (psycopg.Error, TimeoutError) as error:
                log.warning("bot_lead_lost", error=type(error).__name__)
                self.lost.set()
                return


async def pause(seconds: float, stop: asyncio.Event) -> None:
    """Sleep, but not past `stop`."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
