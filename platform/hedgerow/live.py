"""Live updates inside one web process: one reader of the bus feeds every open page of that process.

It reads without a group, from now on: pages need no history, they refetch. Each page has a `Mailbox` that holds each
signal at most once, so a slow page costs a few words of memory and holds nobody up. A `Listener` (`/ws`) gets the
messages themselves.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import redis
import redis.asyncio
import structlog

from hedgerow.signals_map import REFETCH, SIGNALS, signal_of
from streams.connection import connect_reader
from streams.names import FIELD

BLOCK_MS = 5_000
COUNT = 1_000
RETRY_S = 1.0
SPACING_S = 0.15
"""A page hears at most once in this time, and a burst's last event always counts. It also gives the engine time to
commit what an event announces before the page asks for it."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Entry:
    """One message as it stands on the bus."""

    stream: str
    entry_id: str
    body: bytes


class Listener(Protocol):
    """Something that wants the messages themselves. It must not wait, and must not fail."""

    def hear(self, entries: Sequence[Entry], before: Mapping[str, bytes]) -> None:
        """Messages, stream by stream. `before` is where the reader stood; `LiveFeed.positions` stands behind them."""


class Mailbox:
    """The signals one page has not heard yet, each once."""

    def __init__(self) -> None:
        self._waiting: dict[str, None] = {}
        self._filled = asyncio.Event()

    def put(self, signal: str) -> None:
        """Note a signal; a repeat changes nothing."""
        self._waiting[signal] = None
        self._filled.set()

    async def take(self) -> list[str]:
        """Wait for a signal, let what comes right after join it, and hand out all of them, oldest first."""
        await self._filled.wait()
        await asyncio.sleep(SPACING_S)
        signals = list(self._waiting)
        self._waiting.clear()
        self._filled.clear()
        return signals


class LiveFeed:
    """Reads the bus while somebody listens, and broadcasts to every mailbox. One per event loop."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._mailboxes: set[Mailbox] = set()
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self.positions: dict[str, bytes] = {}
        """The last entry read of each stream. Kept while Redis is away, so that listeners miss nothing then."""
        self.is_reading = asyncio.Event()
        """Set while the reader stands on the bus: from then on nothing is missed."""

    def join(self) -> Mailbox:
        """A mailbox that gets every signal from now on. The first one starts the reader."""
        mailbox = Mailbox()
        self._mailboxes.add(mailbox)
        self._begin()
        return mailbox

    async def leave(self, mailbox: Mailbox) -> None:
        """Give the mailbox back. The last one stops the reader."""
        self._mailboxes.discard(mailbox)
        await self._end_if_alone()

    def listen(self, listener: Listener) -> None:
        """Let `listener` hear every message from now on. The first one starts the reader."""
        self._listeners.add(listener)
        self._begin()

    async def unlisten(self, listener: Listener) -> None:
        """Let it hear no more. The last one stops the reader."""
        self._listeners.discard(listener)
        await self._end_if_alone()

    def _begin(self) -> None:
        if self._task is None or self._task.done():
            self.positions = {}
            self._task = asyncio.create_task(self._run(), name="live feed")

    async def _end_if_alone(self) -> None:
        if not self._mailboxes and not self._listeners and self._task is not None:
            task, self._task = self._task, None
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def broadcast(self, signal: str) -> None:
        """Put the signal into every mailbox. Waits for nobody."""
        for mailbox in self._mailboxes:
            mailbox.put(signal)

    async def _run(self) -> None:
        missed = False
        while True:
            client = connect_reader(self.url)
            try:
                if not self.positions:
                    self.positions = await load_ends(client)
                if missed:
                    self.broadcast(REFETCH)
                self.is_reading.set()
                while True:
                    await self._read(client, self.positions)
            except (redis.RedisError, OSError, TimeoutError) as error:
                log.warning("live_feed_lost", error=type(error).__name__)
                missed = True
            finally:
                self.is_reading.clear()
                with contextlib.suppress(redis.RedisError, OSError):
                    await client.aclose()
            await asyncio.sleep(RETRY_S)

    async def _read(self, client: redis.asyncio.Redis, positions: dict[str, bytes]) -> None:
        """One read; its signals go out once each, however many messages stand behind them."""
        streams: dict[Any, Any] = {**positions}
        answer: Any = await client.xread(streams, count=COUNT, block=BLOCK_MS)
        signals: dict[str, None] = {}
        heard: list[Entry] = []
        before = dict(positions)
        for name, entries in entries_of(answer):
            for entry_id, fields in entries:
                positions[name] = entry_id
                body = fields.get(FIELD, b"")
                signals[signal_of(name, body)] = None
                heard.append(Entry(name, entry_id.decode(), body))
        for signal in signals:
            self.broadcast(signal)
        if heard:
            for listener in self._listeners:
                listener.hear(heard, before)


async def load_ends(client: redis.asyncio.Redis) -> dict[str, bytes]:
    """Where each stream ends now. `$` would miss what arrives on one stream while another is being read."""
    positions: dict[str, bytes] = {}
    for stream in SIGNALS:
        last: Any = await client.xrevrange(stream, count=1)
        positions[stream] = last[0][0] if last else b"0-0"
    return positions


def entries_of(answer: Any) -> list[tuple[str, list[tuple[bytes, dict[bytes, bytes]]]]]:
    """XREAD's answer as (stream, entries), in either protocol version's shape."""
    if not answer:
        return []
    pairs = answer.items() if isinstance(answer, dict) else answer
    found = []
    for name, entries in pairs:
        flat = entries[0] if isinstance(answer, dict) and entries and isinstance(entries[0], list) else entries
        found.append((name.decode() if isinstance(name, bytes) else name, flat))
    return found


_feeds: dict[asyncio.AbstractEventLoop, LiveFeed] = {}


def feed_of_this_loop(url: str) -> LiveFeed:
    """The feed of the running event loop; a web process has one loop, so one feed."""
    loop = asyncio.get_running_loop()
    for stale in [known for known in _feeds if known.is_closed()]:
        del _feeds[stale]
    if loop not in _feeds:
        _feeds[loop] = LiveFeed(url)
    return _feeds[loop]
