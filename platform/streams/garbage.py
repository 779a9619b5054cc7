"""Garbage: when a process that must not pause looks for what died in a cycle. The engine and the listener use it.

Python's own full collection walks through everything that lives, Django and every account's client: a quarter of a
second with ten thousand accounts, in the middle of a hedge. Instead:

    young    collected by Python, as always: a few milliseconds at most
    due      once Python would walk through everything: only what came since the last time is, in a moment with nothing
             in hand, and what stays of it is frozen: it is not walked through again
    thawed   now and then, in a quiet second, all of it once: what was frozen may have died since
"""

import asyncio
import gc
import time
from collections.abc import Callable

STEP_S = 0.25
DUE = 10
"""Collections of the middle generation, Python's own measure: some 70,000 objects more than before, at most."""
OVERDUE = 40
"""A process that is never idle must not drown in its garbage."""
THAW_EVERY_S = 600.0
QUIET_STEPS = 4
_NEVER = 1_000_000_000


class Collector:
    """One process's full collections, within `async with`: from when what it lives with is loaded."""

    def __init__(self, is_idle: Callable[[], bool], clock: Callable[[], float] = time.monotonic) -> None:
        """`is_idle`: nobody waits for this process just now."""
        self._is_idle = is_idle
        self._clock = clock
        self._quiet = 0
        self._thawed_at = 0.0
        self._thresholds = gc.get_threshold()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Collector":
        self.start()
        self._task = asyncio.create_task(self._run(), name="collector")
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._task is not None:
            self._task.cancel()
        self.stop()

    def start(self) -> None:
        """Collect everything, freeze what stays, and take the full collections over from Python."""
        young, middle, _ = self._thresholds
        gc.set_threshold(young, middle, _NEVER)
        self._thaw()

    def stop(self) -> None:
        """Give them back. What is frozen stays so, or Python would walk through it at once; a next `start` thaws it."""
        gc.set_threshold(*self._thresholds)

    def step(self) -> None:
        """Collect what is due, if this is the moment. To be called often."""
        is_idle = self._is_idle()
        self._quiet = self._quiet + 1 if is_idle else 0
        late = self._clock() - self._thawed_at - THAW_EVERY_S
        if late >= 0 and (self._quiet >= QUIET_STEPS or (is_idle and late >= THAW_EVERY_S)):
            self._thaw()
            return
        pending = gc.get_count()[2]
        if pending >= OVERDUE or (pending >= DUE and is_idle):
            gc.collect()
            gc.freeze()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(STEP_S)
            self.step()

    def _thaw(self) -> None:
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        self._thawed_at = self._clock()
