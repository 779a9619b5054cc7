"""The recorder: every event of the bus into ClickHouse, each counted once. A process of its own.

1. Read what is new in the group `recorder`, on every event stream.
2. Once enough is gathered, or the oldest has waited long enough, write it as one batch.
3. Only then acknowledge. Until then Redis keeps it, whatever happens here.
4. ClickHouse down: keep the batch, hold it against other recorders, and try again with growing pauses. Nothing is
   read meanwhile; it waits on the streams, which are not trimmed past us.
5. Told to stop: write what is gathered if ClickHouse answers; else leave it unacknowledged, to be read again.
"""

import asyncio
import time

import structlog

from streams.reader import GroupReader, Message
from trading.errors import InvalidValue
from warehouse.writer import OUTAGES, Batch, Writer

log = structlog.get_logger()

MAX_ROWS = 10_000
MAX_WAIT_S = 1.0
READ_COUNT = 1000
"""Messages of one stream in one read."""
BLOCK_MS = 200
CLAIM_IDLE_MS = 60_000
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0


class Recorder:
    """One recorder. `reader` reads the group `recorder` with BLOCK_MS, READ_COUNT and CLAIM_IDLE_MS."""

    def __init__(
        self, reader: GroupReader, writer: Writer, max_rows: int = MAX_ROWS, max_wait_s: float = MAX_WAIT_S
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._max_rows = max_rows
        self._max_wait_s = max_wait_s
        self._batch = Batch()
        self._gathering_since = 0.0
        self.recorded = 0
        """Messages stored and acknowledged by this process."""

    async def run(self, stop: asyncio.Event) -> None:
        """Record until `stop` is set."""
        await self._reader.ensure_groups()
        log.info("recorder_started", streams=self._reader.streams)
        while not stop.is_set():
            for message in await self._reader.read():
                await self._take(message)
            if self._is_due():
                await self._store(stop)
        if len(self._batch):
            await self._store(stop)
        await asyncio.to_thread(self._writer.close)
        log.info("recorder_stopped", recorded=self.recorded, left=len(self._batch))

    async def _take(self, message: Message) -> None:
        if not len(self._batch):
            self._gathering_since = time.monotonic()
        try:
            self._batch.add(message)
        except InvalidValue as error:
            await self._reader.dead_letter(message, str(error))

    def _is_due(self) -> bool:
        waited = time.monotonic() - self._gathering_since
        return len(self._batch) >= self._max_rows or (len(self._batch) > 0 and waited >= self._max_wait_s)

    async def _store(self, stop: asyncio.Event) -> None:
        """Write the batch and acknowledge it. Gives up only when told to stop, and then acknowledges nothing."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                await asyncio.to_thread(self._writer.write, self._batch)
                break
            except OUTAGES as error:
                reason = f"{type(error).__name__}: {error}"[:300]
                log.warning("recorder_waits", rows=len(self._batch), pause_s=pause_s, error=reason)
                if stop.is_set():
                    return
            await self._reader.hold(self._batch.messages)
            await _sleep(pause_s, stop)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        await self._reader.ack(self._batch.messages)
        self.recorded += len(self._batch)
        log.debug("recorder_stored", rows=len(self._batch))
        self._batch = Batch()


async def _sleep(seconds: float, stop: asyncio.Event) -> None:
    """Sleep, but not past `stop`."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass
