"""Rate-limit budgets as the venue's own headers tell them, and a guard that stops before the venue would say 429.

One RateBudget per API key (the venue counts per application); clients that share a key share the object, and processes
share windows through `shared_budget`. Nothing is assumed before the first answer: the venue's headers are the only
source of limits.
"""

import time
from collections.abc import Callable, Mapping

import msgspec

from trading.errors import RetryLater
from venues.priority import KEPT_PERCENT, Priority


class _Window:
    __slots__ = ("limit", "remaining", "resets_at_s")

    def __init__(self, limit: int, remaining: int, resets_at_s: float) -> None:
        self.limit = limit
        self.remaining = remaining
        self.resets_at_s = resets_at_s


class Told(msgspec.Struct, frozen=True):
    """What an answer's headers say of its window."""

    limit: int
    remaining: int
    reset_s: int

    def arguments(self) -> tuple[int, int, int]:
        """limit, remaining, milliseconds to the reset."""
        return self.limit, self.remaining, self.reset_s * 1000


def told_by(headers: Mapping[str, str]) -> Told | None:
    """The RateLimit-* headers; None when one is missing or unreadable."""
    limit, remaining = _number(headers.get("RateLimit-Limit")), _number(headers.get("RateLimit-Remaining"))
    reset_s = _number(headers.get("RateLimit-Reset"))
    if limit is None or remaining is None or reset_s is None:
        return None
    return Told(limit, remaining, reset_s)


class RateBudget:
    """What is left of each route class's window, as this process knows it. Each priority leaves some of it to those
    above it (`priority.KEPT_PERCENT`); a hedge may spend all."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._windows: dict[str, _Window] = {}
        self._closed_until_s: dict[str, float] = {}

    async def claim(self, route_class: str, priority: Priority) -> None:
        """Take one request, or raise RetryLater. Never pauses for a hedge."""
        self.claim_now(route_class, priority)

    def claim_now(self, route_class: str, priority: Priority) -> bool:
        """`claim` in one step. False, with nothing taken, when somebody has to be asked first: never for a hedge."""
        self.spend(route_class, priority)
        return True

    def spend(self, route_class: str, priority: Priority = Priority.READ) -> None:
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
        if window.remaining <= window.limit * KEPT_PERCENT[priority] // 100:
            raise RetryLater("rate_limit_guard", f"{route_class} is spent", after_s=window.resets_at_s - now)
        window.remaining -= 1

    def learn(self, route_class: str, headers: Mapping[str, str]) -> None:
        """Take over what an answer's RateLimit-* headers say. Answers that overtook each other never raise the rest."""
        told = told_by(headers)
        if told is None:
            return
        resets_at_s = self._clock_s() + told.reset_s
        window = self._windows.get(route_class)
        if window is None or resets_at_s > window.resets_at_s + 2:
            self._windows[route_class] = _Window(told.limit, told.remaining, resets_at_s)
        else:
            window.limit = told.limit
            window.remaining = min(window.remaining, told.remaining)

    def refuse(self, route_class: str, headers: Mapping[str, str]) -> float:
        """The venue said 429: close the class for as long as it advises, and return those seconds.

        A 429 whose headers still leave requests in the window is about a shorter limit that no header names
        (Predict.fun: 40 orders a second), so the window's end is no advice then.
        """
        advice = _number(headers.get("Retry-After"))
        if advice is None and not _number(headers.get("RateLimit-Remaining")):
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
