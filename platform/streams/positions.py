"""Where each reader group stands on a stream. Trimming and the lag figures are both computed from this."""

from dataclasses import dataclass
from typing import Any

import redis

BEGINNING = "0-0"
END = "18446744073709551615-18446744073709551615"


@dataclass(frozen=True, slots=True)
class GroupPosition:
    """One group on one stream. Entry ids as text, e.g. "1795366515892-0"."""

    name: str
    last_delivered: str
    pending: int
    first_pending: str | None
    """The oldest entry that was handed out and is not acknowledged."""
    lag: int | None
    """Entries not handed out yet; None when Redis itself cannot tell (entries were deleted in between)."""

    @property
    def first_needed(self) -> str:
        """The least entry id that this group may still ask for. Everything below it is acknowledged."""
        return self.first_pending or after(self.last_delivered)


def load_positions(client: redis.Redis, stream: str) -> dict[str, GroupPosition]:
    """Every group that exists on `stream`, by name; none for a stream that does not exist."""
    try:
        groups: list[dict[str, Any]] = client.xinfo_groups(stream)
    except redis.ResponseError as error:
        if "no such key" in str(error):
            return {}
        raise
    found: dict[str, GroupPosition] = {}
    for group in groups:
        name = as_text(group["name"])
        # In this order: an entry delivered between the two answers then counts as still to come, never as done.
        pending: Any = client.xpending(stream, name)
        found[name] = GroupPosition(
            name=name,
            last_delivered=as_text(group["last-delivered-id"]),
            pending=int(pending["pending"]),
            first_pending=as_text(pending["min"]) if pending["pending"] else None,
            lag=group["lag"],
        )
    return found


def after(entry_id: str) -> str:
    """The least entry id above `entry_id`."""
    milliseconds, sequence = split(entry_id)
    return f"{milliseconds}-{sequence + 1}"


def split(entry_id: str) -> tuple[int, int]:
    """An entry id as numbers that compare as Redis compares it: Unix milliseconds, then a sequence number."""
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)


def as_text(value: Any) -> str:
    """What Redis answered as bytes, as text."""
    return value.decode() if isinstance(value, bytes) else str(value)
