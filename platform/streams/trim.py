"""Trims what every reader group has acknowledged. Run by maintenance every minute or so.

Never touched, however full Redis is: an entry that any group has pending or has not been handed yet; an entry that a
group in the table has not even begun to ask for; an entry younger than the window. Dead letters are not trimmed.
"""

from collections.abc import Iterable

import redis

from streams.names import ALL_STREAMS, groups_of
from streams.positions import BEGINNING, load_positions, split

KEEP_MS = 10 * 60 * 1000
"""Acknowledged entries stay this long, for people and for readers without a group (the live pages)."""


def trim_all(client: redis.Redis, keep_ms: int = KEEP_MS) -> dict[str, int]:
    """Trim every stream of the bus; gives the number of entries removed from each."""
    return {stream: trim(client, stream, keep_ms=keep_ms) for stream in ALL_STREAMS}


def trim(client: redis.Redis, stream: str, keep_ms: int = KEEP_MS, required: Iterable[str] | None = None) -> int:
    """Trim one stream; gives the number of entries removed. `required` are the groups that must exist (the table's)."""
    if required is None:
        required = [group.name for group in groups_of(stream) if not group.is_optional]
    floor = first_needed(client, stream, required)
    seconds, microseconds = client.time()
    window = f"{max(int(seconds) * 1000 + int(microseconds) // 1000 - keep_ms, 0)}-0"
    floor = min(floor, window, key=split)
    if floor == BEGINNING:
        return 0
    return int(client.xtrim(stream, minid=floor, approximate=False))


def first_needed(client: redis.Redis, stream: str, required: Iterable[str]) -> str:
    """The least entry id of `stream` that some group may still ask for. A group outside the table counts too."""
    positions = load_positions(client, stream)
    if not positions or any(name not in positions for name in required):
        return BEGINNING
    return min((position.first_needed for position in positions.values()), key=split)
