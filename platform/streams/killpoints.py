"""Kill points: the named steps of the path at which a test may kill the process that takes them, as a power cut would.

The path calls `reach("…")` before and after each durable write and each send. In paper mode HEDGEROW_KILL_AT=name or
name:nth arms one of them, and the process kills itself with SIGKILL when it gets there (for the nth time). Unarmed, as
always in production, `reach` is an empty function.
"""

import os
import signal
from collections.abc import Callable, Mapping

VARIABLE = "HEDGEROW_KILL_AT"

LISTENER = ("listener.before_publish", "listener.published")
"""A frame of the wallet stream on its way to the bus."""

ENGINE = (
    "engine.before_dispatch",
    "dispatch.written_ahead",
    "dispatch.opened",
    "dispatch.signed",
    "dispatch.before_commit",
    "dispatch.committed",
    "dispatch.sent",
    "engine.dispatched",
    "engine.words_recorded",
    "engine.before_ack",
    "engine.acknowledged",
    "engine.before_tell",
    "engine.told",
    "intake.before_journal",
    "intake.before_commit",
    "intake.journaled",
    "executor.before_send",
    "executor.answered",
    "answers.before_record",
    "answers.before_commit",
    "answers.recorded",
    "answers.before_publish",
    "answers.published",
    "answers.announced",
)
"""From a batch off the bus to an announced answer."""

CANCEL = (
    "cancel.before_request",
    "cancel.requested",
    "cancel.before_send",
    "cancel.answered",
    "cancel.before_publish",
    "cancel.published",
)
"""An order on its way off the book."""

STOPPED = ("executor.before_end", "executor.ended")
"""An order a stop held back before it left."""

RECOVERY = (
    "recovery.before_look",
    "recovery.found",
    "recovery.before_clear",
    "recovery.cleared",
    "recovery.before_end",
    "recovery.ended",
)
"""Settling what a first death, or a lost answer, left open."""

ENDS = ("end.before_record", "end.recorded")
"""Proving that a hedge is over."""

RECONCILE = (
    "sweep.before_publish",
    "sweep.published",
    "reconcile.before_publish",
    "reconcile.published",
    "reversal.before_publish",
    "reversal.published",
)
"""What the venue's REST tells, on its way to the bus."""

TRADE = ("trade.before_commit", "trade.committed", "trade.published")
"""A person's or a quoter's order, from the row to the command."""

KILL_POINTS = (*LISTENER, *ENGINE, *CANCEL, *STOPPED, *RECOVERY, *ENDS, *RECONCILE, *TRADE)


def make_reach(environment: Mapping[str, str]) -> Callable[[str], None]:
    """`reach` as this environment wants it. Raises ValueError for an armed point that does not exist, or outside
    paper mode: a live process must never be told to kill itself.
    """
    armed = environment.get(VARIABLE, "")
    if not armed:
        return _pass
    name, _, nth = armed.partition(":")
    if name not in KILL_POINTS:
        raise ValueError(f"{VARIABLE} names no kill point: {name}")
    if environment.get("HEDGEROW_MODE", "") != "paper":
        raise ValueError(f"{VARIABLE} is for paper mode only")
    left = int(nth or "1")

    def reach(point: str) -> None:
        nonlocal left
        if point == name:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return reach


def _pass(point: str) -> None:
    """The unarmed `reach`."""


reach = make_reach(os.environ)
