"""Full collections come when nobody waits, look at what is new only, and lose nothing in the end."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from streams.garbage import DUE, OVERDUE, QUIET_STEPS, THAW_EVERY_S, Collector


class Ring:
    """Lives until a collector comes."""

    def __init__(self) -> None:
        self.itself = self


class Process:
    def __init__(self) -> None:
        self.idle = True
        self.now = 1000.0
        self.collector = Collector(lambda: self.idle, lambda: self.now)


@pytest.fixture
def process() -> Iterator[Process]:
    process = Process()
    process.collector.start()
    yield process
    process.collector.stop()
    gc.unfreeze()


def make_old(times: int = DUE) -> None:
    """So many collections of the middle generation go by."""
    for _ in range(times):
        gc.collect(1)


def drop() -> "weakref.ref[Ring]":
    """A dead ring that only a full collection finds."""
    ring = Ring()
    gc.collect(1)
    return weakref.ref(ring)


def drop_frozen(process: Process) -> "weakref.ref[Ring]":
    """A ring that was frozen while it lived, and is dead now."""
    ring = Ring()
    make_old()
    process.collector.step()
    assert all(held is not ring for held in gc.get_objects())
    return weakref.ref(ring)


def test_python_walks_through_everything_no_more_until_it_is_given_back(process: Process) -> None:
    assert gc.get_freeze_count() > 1_000
    assert gc.get_threshold()[2] > 1_000_000
    process.collector.stop()
    assert gc.get_threshold()[2] < 1_000


def test_what_is_due_is_collected_in_an_idle_moment(process: Process) -> None:
    dead = drop()
    process.collector.step()
    assert dead() is not None, "not due"
    make_old()
    process.idle = False
    process.collector.step()
    assert dead() is not None, "somebody waits"
    process.idle = True
    process.collector.step()
    assert dead() is None


def test_a_process_that_is_never_idle_is_collected_all_the_same(process: Process) -> None:
    dead = drop()
    process.idle = False
    make_old(OVERDUE)
    process.collector.step()
    assert dead() is None


def test_what_stays_is_looked_at_no_more_until_a_quiet_second_long_after(process: Process) -> None:
    frozen = drop_frozen(process)
    make_old()
    process.collector.step()
    assert frozen() is not None
    process.now += THAW_EVERY_S
    process.idle = False
    process.collector.step()
    process.idle = True
    for _ in range(QUIET_STEPS - 1):
        process.collector.step()
    assert frozen() is not None, "not quiet for long enough"
    process.collector.step()
    assert frozen() is None


def test_a_desk_that_is_never_quiet_is_thawed_in_any_idle_moment(process: Process) -> None:
    frozen = drop_frozen(process)
    process.now += 2 * THAW_EVERY_S
    process.idle = False
    process.collector.step()
    assert frozen() is not None
    process.idle = True
    process.collector.step()
    assert frozen() is None
