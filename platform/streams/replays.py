"""Replays a person asked for: which dead letters go back on their streams, kept on the bus until the last one has.

A batch moves in one step of Redis that counts it too, the oldest first. So whoever carries a replay out may die
anywhere, and two may be at it at once: what is left is what is still among the dead letters.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import redis

from streams.deadletters import load_oldest, move
from streams.names import dead_letter_stream
from streams.positions import as_text

BATCH = 100
KEPT_S = 86_400
"""How long one that is over can still be looked at."""
OPEN = "replays"
"""The set of those that are not over."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for: everything of `stream` up to `until`, or `letters`. What dies later is not replayed again."""

    stream: str
    until: str
    letters: tuple[str, ...]
    """Each as `stream entry`, the oldest first; empty when a stream is meant."""
    total: int
    by: str
    reason: str
    source: str = "admin"
    """Where it was asked for, as the audit log names places."""


@dataclass(frozen=True, slots=True)
class Replay:
    """A plan, and how far it is."""

    token: str
    plan: Plan
    done: int
    at: int
    """When a batch moved last, or when it was asked for: seconds since 1970, by Redis's clock."""
    is_over: bool

    @property
    def gone(self) -> int:
        """Once it is over: those that somebody else replayed or purged before their turn."""
        return self.plan.total - self.done if self.is_over else 0


def count_until(client: redis.Redis, stream: str, until: str) -> int:
    """How many dead letters `stream` has up to the entry `until`."""
    dead = dead_letter_stream(stream)
    pipeline: Any
    with client.pipeline(transaction=True) as pipeline:
        length, newer = pipeline.xlen(dead).xrange(dead, min=f"({until}").execute()
    return int(length) - len(newer)


def record_replay(client: redis.Redis, token: str, plan: Plan) -> Replay:
    """Write down what is to be replayed. Nothing moves yet."""
    now: Any = client.time()
    pipeline: Any
    with client.pipeline(transaction=True) as pipeline:
        told = {"plan": json.dumps(asdict(plan)), "done": 0, "at": now[0], "is_over": 0}
        pipeline.hset(_key(token), mapping=told).sadd(OPEN, token).execute()
    return Replay(token, plan, 0, int(now[0]), False)


def load_replay(client: redis.Redis, token: str) -> Replay | None:
    """The replay of that token; None when it was never asked for, or is over for a day."""
    found: Any = client.hgetall(_key(token))
    if b"plan" not in found:
        return None
    plan = json.loads(found[b"plan"])
    plan["letters"] = tuple(plan["letters"])
    return Replay(token, Plan(**plan), int(found[b"done"]), int(found[b"at"]), found[b"is_over"] == b"1")


def load_open(client: redis.Redis) -> list[Replay]:
    """Those that are not over, the one that moved last at the end."""
    tokens: Any = client.smembers(OPEN)
    found = [load_replay(client, as_text(token)) for token in tokens]
    return sorted((replay for replay in found if replay is not None), key=lambda replay: (replay.at, replay.token))


def carry_out(client: redis.Redis, replay: Replay) -> Iterator[int]:
    """Move what is left of it, batch by batch; gives how many each one moved. `end_replay` says that it is over."""
    for stream, entry_ids in _batches(client, replay.plan):
        yield len(move(client, stream, entry_ids, _key(replay.token)))


def end_replay(client: redis.Redis, token: str) -> bool:
    """Say that it is over, once everything moved. False when somebody else has said so."""
    pipeline: Any
    with client.pipeline(transaction=True) as pipeline:
        pipeline.srem(OPEN, token).hset(_key(token), "is_over", 1).expire(_key(token), KEPT_S)
        return bool(pipeline.execute()[0])


def _batches(client: redis.Redis, plan: Plan) -> Iterator[tuple[str, list[str]]]:
    if plan.stream:
        while letters := load_oldest(client, plan.stream, plan.until, BATCH):
            yield plan.stream, [letter.entry_id for letter in letters]
        return
    for stream, names in groupby(plan.letters, key=lambda name: name.partition(" ")[0]):
        entry_ids = [name.partition(" ")[2] for name in names]
        for start in range(0, len(entry_ids), BATCH):
            yield stream, entry_ids[start : start + BATCH]


def _key(token: str) -> str:
    return f"replay:{token}"
