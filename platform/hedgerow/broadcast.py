"""From the bus to the sockets of `/ws`: one reader per web process, a bounded `Backlog` per socket.

Putting a frame into a backlog never waits. A socket that reads too slowly loses its backlog at once, is told how much
and from which cursor to fetch it again; the others do not notice.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec
import redis.asyncio

from hedgerow.live import Entry, LiveFeed, feed_of_this_loop
from hedgerow.topics import Frame, frame_of, streams_of, write_cursor
from streams.connection import connect
from streams.names import FIELD
from streams.positions import after, split

MOST_WAITING = 1_000
"""Frames a socket may be behind before they are dropped."""
AT_ONCE = 64
"""Frames taken from a backlog in one go."""
REPLAY_MOST = 20_000
"""Messages looked through for a socket that comes back."""
REPLAY_STEP = 500


class Backlog:
    """What one socket has not been sent yet."""

    def __init__(self, account_ids: frozenset[str] | None) -> None:
        self.topics: frozenset[str] = frozenset()
        self.account_ids = account_ids
        self.is_held = False
        """True while older messages are sent first."""
        self._frames: deque[tuple[str, str]] = deque()
        self._filled = asyncio.Event()
        self._dropped = 0
        self._since = ""

    def put(self, frame: Frame, before: str) -> None:
        """Note a frame the socket wants. `before` is the cursor in front of it."""
        if not frame.is_for(self.topics, self.account_ids):
            return
        if len(self._frames) >= MOST_WAITING:
            self._since = self._since or self._frames[0][1]
            self._dropped += len(self._frames)
            self._frames.clear()
        self._frames.append((frame.text, before))
        self._filled.set()

    async def take(self) -> list[str]:
        """Wait for frames and hand some out, oldest first; what was dropped is told before them."""
        while True:
            await self._filled.wait()
            if self.is_held:
                await asyncio.sleep(0.01)
                continue
            break
        texts: list[str] = []
        if self._dropped:
            notice = {"type": "conflated", "dropped": self._dropped, "cursor": self._since}
            texts.append(msgspec.json.encode(notice).decode())
            self._dropped, self._since = 0, ""
        while self._frames and len(texts) < AT_ONCE:
            texts.append(self._frames.popleft()[0])
        if not self._frames:
            self._filled.clear()
        return texts


class Broadcast:
    """Makes frames of what the live feed hears and puts each into every backlog. One per event loop."""

    def __init__(self, feed: LiveFeed) -> None:
        self.feed = feed
        self._backlogs: set[Backlog] = set()

    def __len__(self) -> int:
        return len(self._backlogs)

    async def join(self, backlog: Backlog) -> None:
        """From now on the backlog gets what it wants. Returns once the reader stands on the bus."""
        if not self._backlogs:
            self.feed.listen(self)
        self._backlogs.add(backlog)
        await self.feed.is_reading.wait()

    async def leave(self, backlog: Backlog) -> None:
        """The backlog gets nothing more."""
        self._backlogs.discard(backlog)
        if not self._backlogs:
            await self.feed.unlisten(self)

    def cursor(self) -> str:
        """Where the process stands on the bus now."""
        return write_cursor(self.feed.positions)

    def hear(self, entries: Sequence[Entry], before: Mapping[str, bytes]) -> None:
        """What the feed has read: in the order it came onto the bus, over all streams."""
        positions = dict(before)
        cursor = write_cursor(positions)
        for entry in sorted(entries, key=lambda entry: split(entry.entry_id)):
            behind = cursor
            positions[entry.stream] = entry.entry_id.encode()
            cursor = write_cursor(positions)
            frame = frame_of(entry, cursor)
            if frame is not None:
                for backlog in self._backlogs:
                    backlog.put(frame, behind)

    async def replay(self, backlog: Backlog, since: dict[str, bytes], until: dict[str, bytes]) -> AsyncIterator[str]:
        """What the backlog wants of (since, until], oldest first within each stream, then nothing more.

        Messages the bus no longer has, or too many of them, are told of in a `gap`: then fetch the lists anew.
        """
        client = connect(self.feed.url)
        try:
            at = dict(since)
            left = REPLAY_MOST
            gone: list[str] = []
            for stream in streams_of(backlog.topics):
                end = until.get(stream, b"0-0").decode()
                if split(at[stream].decode()) < split(end) and await is_trimmed(client, stream, at[stream].decode()):
                    gone.append(stream)
                while left > 0 and split(at[stream].decode()) < split(end):
                    step = min(REPLAY_STEP, left)
                    found: Any = await client.xrange(stream, after(at[stream].decode()), end, count=step)
                    left -= len(found)
                    for entry_id, fields in found:
                        at[stream] = entry_id
                        frame = frame_of(Entry(stream, entry_id.decode(), fields.get(FIELD, b"")), write_cursor(at))
                        if frame is not None and frame.is_for(backlog.topics, backlog.account_ids):
                            yield frame.text
                    if len(found) < step:
                        break
                if left <= 0:
                    gone.append(stream)
            if gone:
                yield msgspec.json.encode({"type": "gap", "streams": gone, "cursor": write_cursor(until)}).decode()
        finally:
            await client.aclose()


async def is_trimmed(client: redis.asyncio.Redis, stream: str, entry_id: str) -> bool:
    """True when entries after `entry_id` may be gone from the stream already."""
    information: Any = await client.xinfo_stream(stream)
    first = information["first-entry"]
    removed = int(information["entries-added"]) > int(information["length"])
    return removed and (first is None or split(entry_id) < split(first[0].decode()))


_broadcasts: dict[asyncio.AbstractEventLoop, Broadcast] = {}


def broadcast_of_this_loop(url: str) -> Broadcast:
    """The running event loop's; a web process has one loop, so one broadcast."""
    loop = asyncio.get_running_loop()
    for stale in [known for known in _broadcasts if known.is_closed()]:
        del _broadcasts[stale]
    if loop not in _broadcasts:
        _broadcasts[loop] = Broadcast(feed_of_this_loop(url))
    return _broadcasts[loop]
