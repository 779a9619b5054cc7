"""Threads for the database work of the bot's event loop, in lanes: what hangs in one lane holds up no other.

The stop has a lane of its own, so it works while every other command hangs; so has the sending of alerts. A thread
holds a connection only while it works, and the pool is made wide enough for all of them (`widen_pool`).
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from functools import partial
from typing import Any, ParamSpec, TypeVar, cast

from django.db import connections

P = ParamSpec("P")
R = TypeVar("R")


class Lane(StrEnum):
    """What kind of work waits for what other work."""

    USUAL = "usual"
    """Commands and buttons."""
    FRONT = "front"
    """What every update needs first and takes a millisecond: whether it is new, who speaks, what a button means."""
    URGENT = "urgent"
    """Health, lifting the stop, starting and stopping strategies."""
    STOP = "stop"
    """The emergency stop, from its question to its last word, and nothing else."""
    OUT = "out"
    """From the bus to the outbox and from there to Telegram."""
    WATCH = "watch"
    """Looking at rows, and drawing the daily summary."""


THREADS: Mapping[Lane, int] = {
    Lane.USUAL: 4, Lane.FRONT: 2, Lane.URGENT: 2, Lane.STOP: 2, Lane.OUT: 2, Lane.WATCH: 1,
}  # fmt: skip


def widen_pool(databases: Mapping[str, Any]) -> None:
    """Let Django's pool hold a connection for every thread. Called once, before the first connection is made."""
    pool = databases["default"].get("OPTIONS", {}).get("pool")
    if isinstance(pool, dict):
        pool["max_size"] = max(int(pool.get("max_size") or 0), sum(THREADS.values()))


class Hands:
    """The lanes' threads."""

    def __init__(self) -> None:
        self._lanes = {lane: ThreadPoolExecutor(threads, f"bot-{lane}") for lane, threads in THREADS.items()}

    async def do(self, lane: Lane, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `work` in a thread of the lane and give its connection back afterwards."""
        job = partial(work, *args, **kwargs)
        return cast(R, await asyncio.get_running_loop().run_in_executor(self._lanes[lane], _finish, job))

    def close(self) -> None:
        for lane, executor in self._lanes.items():
            # A stop that was begun is seen through; a command that hangs must not keep the next bot waiting.
            executor.shutdown(wait=lane is Lane.STOP, cancel_futures=lane is not Lane.STOP)


def _finish(work: "partial[Any]") -> Any:
    try:
        return work()
    finally:
        connections.close_all()
