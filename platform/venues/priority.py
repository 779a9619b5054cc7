"""Whose request goes first when a venue's budget runs low. Whoever begins a piece of work says so; the session asks.

hedge      hedges, and what a stop sells: may spend all that is left
cancel     cancels, and orders people and programs ask for
reconcile  recovery, reconciling, sweeps for late fills
read       everything else: markets, books, balances
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import IntEnum


class Priority(IntEnum):
    """From the highest to the lowest."""

    HEDGE = 0
    CANCEL = 1
    RECONCILE = 2
    READ = 3


KEPT_PERCENT = (0, 10, 25, 40)
"""How much of a window each, from the highest to the lowest, leaves to those above it."""

_priority: ContextVar[Priority | None] = ContextVar("priority", default=None)


@contextmanager
def prioritised(priority: Priority) -> Iterator[None]:
    """Every request this task sends inside the block goes by this priority."""
    token = _priority.set(priority)
    try:
        yield
    finally:
        _priority.reset(token)


def current_priority(otherwise: Priority = Priority.READ) -> Priority:
    """The priority in force, or `otherwise` where nobody said one."""
    priority = _priority.get()
    return otherwise if priority is None else priority
