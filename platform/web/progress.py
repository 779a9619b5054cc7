"""How far a long piece of work is, written down in Redis for the pages that show it.

A Redis that is away costs the progress bar and nothing else.
"""

import json
import re
import time
from dataclasses import dataclass

import redis
from django.conf import settings

from streams.connection import connect_now

NAME = re.compile(r"[a-z-]{1,20}:[0-9a-z]{1,32}")
KEPT_S = 300


@dataclass(frozen=True)
class Steps:
    """What was written down last. `total` of 0 means that nobody knows how much there is."""

    done: int
    total: int
    word: str
    at: float
    """Seconds since 1970."""

    @property
    def is_over(self) -> bool:
        return self.total > 0 and self.done >= self.total


class Progress:
    """Writes down how far one piece of work is, at most every twentieth of it. `name` is `kind:token`."""

    def __init__(self, name: str, word: str) -> None:
        self.key = f"progress:{name}" if NAME.fullmatch(name) else ""
        self.word = word

    def note(self, done: int, total: int) -> None:
        """`done` of `total` are behind us; a `total` of 0 when nobody knows."""
        if not self.key or (done < total and done % max(1, total // 20)):
            return
        told = json.dumps({"done": done, "total": total, "word": self.word, "at": time.time()})
        try:
            with connect_now(settings.REDIS_URL) as bus:
                bus.set(self.key, told, ex=KEPT_S)
        except redis.RedisError:
            self.key = ""


def load_steps(name: str) -> Steps | None:
    """What was written down last under `kind:token`; None when nothing was, or Redis is away."""
    if not NAME.fullmatch(name):
        return None
    try:
        with connect_now(settings.REDIS_URL) as bus:
            found = bus.get(f"progress:{name}")
    except redis.RedisError:
        return None
    return Steps(**json.loads(found)) if isinstance(found, bytes | str) else None
