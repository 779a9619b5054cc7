"""How long to wait before trying again: exponential with full jitter, so that a fleet does not return all at once."""

import random
from collections.abc import Callable


class Backoff:
    """Delays for one thing being retried. `reset` once it worked."""

    def __init__(
        self, base_s: float = 0.25, cap_s: float = 30.0, uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._base_s = base_s
        self._cap_s = cap_s
        self._uniform = uniform
        self._failures = 0

    def next_delay_s(self) -> float:
        """Somewhere between 0 and min(cap, base · 2^failures)."""
        ceiling = min(self._cap_s, self._base_s * 2 ** min(self._failures, 32))
        self._failures += 1
        return self._uniform(0.0, ceiling)

    def reset(self) -> None:
        """The next failure is the first again."""
        self._failures = 0
