"""Rate-limit budgets as the venue's own headers tell them, and a guard that stops before the venue would say 429.

One RateBudget per API key (the venue counts per application); clients that share a key may share the object.
Nothing is assumed before the first answer: the venue's headers are the only source of limits.
"""

import time
from collections.abc import Callable, Mapping

from trading.errors import RetryLater


class _Window:
    __slots__ = ("limit", "remaining", "resets_at_s")

    def __init__(self, limit: int, remaining: int, resets_at_s: float) -> None:
        self.limit = limit
        self.remaining = remaining
        self.resets_at_s = resets_at_s


class RateBudget:
    """What is left of each route class's window. Orders may spend all of it; everything else leaves them a tenth."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._windows: dict[str, _Window] = {}
        self._closed_until_s: dict[str, float] = {}

    def spend(self, route_class: str, *, urgent: bool = False) -> None:
        """Take one request from the window, or raise RetryLater("rate_limit_guard") saying when it opens again."""
        now = self._clock_s()
        if (closed_until := self._closed_until_s.get(route_class, 0.0)) > now:
            raise RetryLater("rate_limit_guard", f"{route_class} is closed", after_s=closed_until - now)
        window = self._windows.get(route_class)
        if window is None:
            return
        if now >= window.resets_at_s:
            del self._windows[route_class]
            return
        if window.remaining <= (0 if urgent else window.limit // 10):
            raise RetryLater("rate_limit_guard", f"{route_class} is spent", after_s=window.resets_at_s - now)
        window.remaining -= 1

    def learn(self, route_class: str, headers: Mapping[str, str]) -> None:
        """Take over what an answer's RateLimit-* headers say. Answers that overtook each other never raise the rest."""
        limit, remaining = _number(headers.get("RateLimit-Limit")), _number(headers.get("RateLimit-Remaining"))
        reset_s = _number(headers.get("RateLimit-Reset"))
        if limit is None or remaining is None or reset_s is None:
            return
        resets_at_s = self._clock_s() + reset_s
        window = self._windows.get(route_class)
        if window is None or resets_at_s > window.resets_at_s + 2:
            self._windows[route_class] = _Window(limit, remaining, resets_at_s)
        else:
            window.limit = limit
            window.remaining = min(window.remaining, remaining)

    def refuse(self, route_class: str, headers: Mapping[str, str]) -> float:
        """The venue said 429: close the class for as long as it advises, and return those seconds."""
        advice = _number(headers.get("Retry-After"))
        if advice is None:
            advice = _number(headers.get("RateLimit-Reset"))
        after_s = float(max(advice, 1)) if advice is not None else 1.0
        self._closed_until_s[route_class] = self._clock_s() + after_s
        return after_s

    def remaining(self, route_class: str) -> int | None:
        """Requests left in the present window, or None while the venue has not said."""
        window = self._windows.get(route_class)
        return None if window is None or self._clock_s() >= window.resets_at_s else window.remaining


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.strip().isdigit() else None
