"""The second look: REST's word that an order is over is believed when it says so twice, some time apart.

A venue's status lags behind the truth: an order that filled may read OPEN, or even CANCELLED, and a match shows up only
once it has settled. Whoever ends an order by REST's word alone asks here first, and fetches its fills after both looks.
"""

import time
from collections.abc import Callable

AGREES_AFTER_S = 12.0
"""Longer than a settlement and the venue's lag together, as a rule; later fills are late fills, and counted."""
_FORGET_AFTER_S = 600.0


class SecondLook:
    """Remembers when an order was first said to be over. One process's memory: a new process looks twice again."""

    def __init__(self, after_s: float = AGREES_AFTER_S, clock: Callable[[], float] = time.monotonic) -> None:
        self.after_s = after_s
        self._clock = clock
        self._first: dict[str, float] = {}

    def agrees(self, order_hash: str, after_s: float | None = None) -> bool:
        """Say that the order reads as over. True when it did already `after_s` ago, and never read otherwise since."""
        now = self._clock()
        if len(self._first) > 10_000:
            self._first = {name: at for name, at in self._first.items() if now - at < _FORGET_AFTER_S}
        apart = self.after_s if after_s is None else after_s
        return now - self._first.setdefault(order_hash, now) >= apart

    def forget(self, order_hash: str) -> None:
        """It reads as open again, or has ended: the next word is a first one."""
        self._first.pop(order_hash, None)
