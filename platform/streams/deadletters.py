"""Messages that could not be handled: listed, replayed and, by a person only, purged. Nothing expires by itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis

from streams.names import ALL_STREAMS, FIELD, dead_letter_stream
from streams.positions import as_text, split

_MOVE = """
local moved = {}
for i = 2, #ARGV do
  local found = redis.call('XRANGE', KEYS[2], ARGV[i], ARGV[i])[1]
  if found then
    local body = ''
    for j = 1, #found[2], 2 do
      if found[2][j] == ARGV[1] then body = found[2][j + 1] end
    end
    moved[#moved + 1] = {ARGV[i], redis.call('XADD', KEYS[1], '*', ARGV[1], body)}
    redis.call('XDEL', KEYS[2], ARGV[i])
  end
end
if KEYS[3] ~= '' and redis.call('EXISTS', KEYS[3]) == 1 then
  redis.call('HINCRBY', KEYS[3], 'done', #moved)
  redis.call('HSET', KEYS[3], 'at', redis.call('TIME')[1])
end
return moved
"""


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


def load_dead_letters(
    client: redis.Redis, stream: str | None = None, limit: int = 100, before: str = ""
) -> list[DeadLetter]:
    """The newest dead letters of one stream, or of all, newest first; only those `before` an entry, if one is given."""
    found: list[DeadLetter] = []
    for name in ALL_STREAMS if stream is None else (stream,):
        entries: Any = client.xrevrange(dead_letter_stream(name), max=f"({before}" if before else "+", count=limit)
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


def load_oldest(client: redis.Redis, stream: str, until: str, limit: int) -> list[DeadLetter]:
    """The oldest dead letters of `stream` up to and with the entry `until`, oldest first."""
    entries: Any = client.xrange(dead_letter_stream(stream), max=until, count=limit)
    return [_dead_letter(stream, entry_id, fields) for entry_id, fields in entries]


def move(client: redis.Redis, stream: str, entry_ids: Sequence[str], counter: str = "") -> dict[str, str]:
    """Put these dead letters back on `stream` in this order and off the dead ones, all in one step: those still there,
    by their new entry ids. Every group sees them again: effects count once by the event's id.

    `counter` is a key whose hash counts them in that same step (`done`), with its time (`at`), as long as it exists. It
    tells the truth even when the answer was lost and the step, sent again, found nothing left to move.
    """
    script = client.register_script(_MOVE)
    moved: Any = script(keys=[stream, dead_letter_stream(stream), counter], args=[FIELD, *entry_ids])
    return {as_text(entry_id): as_text(new_id) for entry_id, new_id in moved}


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
