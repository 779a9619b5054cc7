"""Counting in Redis: how often somebody asked within a window, over all web processes together.

A Redis that is away refuses nobody: the emergency stop must stay reachable. The failure is logged.
"""

import math
import time
from dataclasses import dataclass
from functools import cache

import redis
import structlog
from django.conf import settings

from streams.connection import connect_now

log = structlog.get_logger()


@dataclass(frozen=True)
class Allowance:
    """What is left of a window. `after_s` is when it begins anew."""

    allowed: bool
    limit: int
    remaining: int
    after_s: int


def take(key: str, limit: int, window_s: int = 60, now: float | None = None) -> Allowance:
    """Count one more under `key` in the current window, in one round trip."""
    now = time.time() if now is None else now
    after_s = math.ceil(window_s - now % window_s)
    name = f"throttle:{key}:{int(now // window_s)}"
    try:
        with counter(settings.REDIS_URL).pipeline(transaction=False) as pipeline:
            pipeline.incr(name)
            pipeline.expire(name, window_s + 1)
            count = int(pipeline.execute()[0])
    except redis.RedisError as error:
        log.warning("throttle_unavailable", error=type(error).__name__)
        return Allowance(True, limit, limit, after_s)
    return Allowance(count <= limit, limit, max(0, limit - count), after_s)


@cache
def counter(url: str) -> redis.Redis:
    """This process's connection for counting."""
    return connect_now(url)
