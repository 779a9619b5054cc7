"""How far each reader group is behind: for metrics, the dashboard and alerts."""

from dataclasses import dataclass

import redis

from streams.names import ALL_STREAMS, dead_letter_stream, groups_of
from streams.positions import BEGINNING, GroupPosition, as_text, load_positions, split

COUNT_AT_MOST = 10_000
"""Where Redis cannot tell a lag it is counted, up to here."""


@dataclass(frozen=True, slots=True)
class GroupLag:
    """One group on one stream."""

    stream: str
    group: str
    exists: bool
    """False: the table names it, but it has never read this stream."""
    length: int
    """Entries on the stream."""
    pending: int
    """Entries handed out and not acknowledged."""
    lag: int
    """Entries not handed out yet."""
    oldest_unacknowledged_ms: int
    """Age of the oldest entry that this group has not acknowledged, handed out or not; 0 when there is none."""
    dead_letters: int
    """Dead letters of the stream, of all groups."""


def load_lag(client: redis.Redis) -> list[GroupLag]:
    """The figures of every stream and group: those of the table, and any other that exists."""
    return [figures for stream in ALL_STREAMS for figures in load_stream_lag(client, stream)]


def load_stream_lag(client: redis.Redis, stream: str) -> list[GroupLag]:
    """The figures of every group on one stream."""
    length, dead = int(client.xlen(stream)), int(client.xlen(dead_letter_stream(stream)))
    seconds, microseconds = client.time()
    now_ms = int(seconds) * 1000 + int(microseconds) // 1000
    positions = load_positions(client, stream)
    wanted = [group.name for group in groups_of(stream) if group.name in positions or not group.is_optional]
    figures = []
    for name in dict.fromkeys([*wanted, *positions]):
        position = positions.get(name) or GroupPosition(name, BEGINNING, 0, None, length)
        oldest = position.first_pending or _first_undelivered(client, stream, position)
        figures.append(
            GroupLag(
                stream=stream,
                group=name,
                exists=name in positions,
                length=length,
                pending=position.pending,
                lag=_count_lag(client, stream, position),
                oldest_unacknowledged_ms=max(now_ms - split(oldest)[0], 0) if oldest else 0,
                dead_letters=dead,
            )
        )
    return figures


def _first_undelivered(client: redis.Redis, stream: str, position: GroupPosition) -> str | None:
    entries = client.xrange(stream, min=f"({position.last_delivered}", count=1)
    return as_text(entries[0][0]) if entries else None


def _count_lag(client: redis.Redis, stream: str, position: GroupPosition) -> int:
    if position.lag is not None:
        return position.lag
    return len(client.xrange(stream, min=f"({position.last_delivered}", count=COUNT_AT_MOST) or ())
