"""Messages that could not be handled: listed, replayed and, by a person only, purged. Nothing expires by itself."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis

from streams.names import ALL_STREAMS, FIELD, dead_letter_stream
from streams.positions import as_text, split


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message that `group` could not handle."""

    stream: str
    """The stream it came from."""
    entry_id: str
    """Its place among the dead letters: what replay and purge take."""
    group: str
    reason: str
    original_id: str
    deliveries: int
    body: bytes

    @property
    def died_at(self) -> datetime:
        """When the group gave it up."""
        return datetime.fromtimestamp(split(self.entry_id)[0] / 1000, UTC)


def load_dead_letters(client: redis.Redis, stream: str | None = None, limit: int = 100) -> list[DeadLetter]:
    """The newest dead letters of one stream, or of all, newest first."""
    found: list[DeadLetter] = []
    for name in ALL_STREAMS if stream is None else (stream,):
        entries: Any = client.xrevrange(dead_letter_stream(name), count=limit)
        found += [_dead_letter(name, entry_id, fields) for entry_id, fields in entries]
    return sorted(found, key=lambda letter: split(letter.entry_id), reverse=True)[:limit]


def count_dead_letters(client: redis.Redis) -> dict[str, int]:
    """How many dead letters each stream has; streams without any are left out."""
    counts = {name: int(client.xlen(dead_letter_stream(name))) for name in ALL_STREAMS}
    return {name: count for name, count in counts.items() if count}


def get_dead_letter(client: redis.Redis, stream: str, entry_id: str) -> DeadLetter | None:
    """One dead letter of `stream`, or None."""
    entries: Any = client.xrange(dead_letter_stream(stream), min=entry_id, max=entry_id, count=1)
    return _dead_letter(stream, *entries[0]) if entries else None


def replay(client: redis.Redis, letter: DeadLetter) -> str | None:
    """Put the message back on its stream and take it off the dead letters, in one step; gives its new entry id.

    Every group sees it again: effects count once by the event's id. None when another replay or purge was first.
    """
    dead = dead_letter_stream(letter.stream)
    pipeline: Any
    with client.pipeline(transaction=True) as pipeline:
        try:
            pipeline.watch(dead)
            if not pipeline.xrange(dead, min=letter.entry_id, max=letter.entry_id):
                return None
            pipeline.multi()
            pipeline.xadd(letter.stream, {FIELD: letter.body})
            pipeline.xdel(dead, letter.entry_id)
            return as_text(pipeline.execute()[0])
        except redis.WatchError:
            # A new dead letter arrived meanwhile, or this one is gone: look again.
            return replay(client, letter)


def purge(client: redis.Redis, letter: DeadLetter) -> bool:
    """Delete one dead letter for good. Only a person asks for this; False when it was gone already."""
    return bool(client.xdel(dead_letter_stream(letter.stream), letter.entry_id))


def _dead_letter(stream: str, entry_id: bytes | str, fields: dict[bytes, bytes]) -> DeadLetter:
    return DeadLetter(
        stream=stream,
        entry_id=as_text(entry_id),
        group=as_text(fields.get(b"group", b"")),
        reason=as_text(fields.get(b"reason", b"")),
        original_id=as_text(fields.get(b"original_id", b"")),
        deliveries=int(fields.get(b"deliveries", b"0")),
        body=fields.get(FIELD, b""),
    )
