"""The last word before bytes leave. The executor sets a permit around a submit; the HTTP session asks it at the socket.

It is called in the same step that hands the bytes over, so that nothing can come between the answer and the sending.
A permit that refuses raises `RetryLater`: nothing left.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_permit: ContextVar[Callable[[], None] | None] = ContextVar("permit", default=None)


@contextmanager
def permitted_by(check: Callable[[], None]) -> Iterator[None]:
    """Every request this task sends inside the block asks `check` immediately before it leaves."""
    token = _permit.set(check)
    try:
        yield
    finally:
        _permit.reset(token)


def ask_permit() -> None:
    """Raises what the permit in force raises; without one everything may leave (reads, cancels, logins)."""
    check = _permit.get()
    if check is not None:
        check()
