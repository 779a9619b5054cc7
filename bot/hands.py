"""Threads for the database work of the bot's event loop. The stop has threads of its own: nothing else can fill them.

Nine threads in all, below the ten connections of Django's pool, so that a stop never waits for one.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar, cast

from django.db import connections

P = ParamSpec("P")
R = TypeVar("R")


class Hands:
    """The three groups of threads."""

    def __init__(self) -> None:
        self._usual = ThreadPoolExecutor(5, "bot")
        self._front = ThreadPoolExecutor(2, "bot-front")
        self._urgent = ThreadPoolExecutor(2, "bot-stop")

    async def do(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `work` in a thread and give its connection back afterwards."""
        return cast(R, await self._run(self._usual, partial(work, *args, **kwargs)))

    async def look_up(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The same for what every update needs first and takes a millisecond: who speaks, what a button means."""
        return cast(R, await self._run(self._front, partial(work, *args, **kwargs)))

    async def do_urgently(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The same where only the stop and its like are done."""
        return cast(R, await self._run(self._urgent, partial(work, *args, **kwargs)))

    def close(self) -> None:
        self._usual.shutdown(cancel_futures=True)
        self._front.shutdown(cancel_futures=True)
        self._urgent.shutdown(wait=True)

    async def _run(self, executor: ThreadPoolExecutor, work: "partial[Any]") -> Any:
        return await asyncio.get_running_loop().run_in_executor(executor, _finish, work)


def _finish(work: "partial[Any]") -> Any:
    try:
        return work()
    finally:
        connections.close_all()
