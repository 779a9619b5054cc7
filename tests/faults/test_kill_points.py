"""Every named step of the path, and a SIGKILL there: afterwards the books are right. `make faults` runs them all."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from accounts.models import Order, Position
from strategies.models import Exposure
from strategies.rehearsal.patience import RanOut
from streams.killpoints import KILL_POINTS, make_reach
from tests.faults.house import House
from tests.faults.killing import Killing

ROOT = Path(__file__).resolve().parents[2]
A_FEW = ("dispatch.written_ahead", "dispatch.committed", "executor.answered", "listener.published")


@pytest.mark.faults
@pytest.mark.timeout(150)
def test_a_few_kill_points_survive(open_house: Callable[..., House]) -> None:
    killing = Killing(open_house())
    for point in A_FEW:
        killing.run(point)


@pytest.mark.faults
@pytest.mark.timeout(3000)
def test_every_kill_point_survives(open_house: Callable[..., House], capsys: pytest.CaptureFixture[str]) -> None:
    house = open_house()
    killing = Killing(house)
    failed: dict[str, str] = {}
    for point in KILL_POINTS:
        began = time.monotonic()
        try:
            killing.run(point)
        except (AssertionError, RanOut) as error:
            failed[point] = str(error)[:500]
        with capsys.disabled():
            print(f"\n  {point}: {failed.get(point, 'survived')} ({time.monotonic() - began:.0f} s)", end="")
    with capsys.disabled():
        print(f"\nkill points tried: {len(killing.tried)}, survived: {len(killing.tried) - len(failed)}")
        for point, reason in failed.items():
            print(f"  {point}: {reason}")
    assert not failed
    replayed = replay_changes_nothing(house)
    with capsys.disabled():
        print(f"fill events put on the bus once more: {replayed}, changes in the books: 0")


def replay_changes_nothing(house: House) -> int:
    before = books()
    replayed = house.replay()
    assert replayed
    house.wait_until_read()
    house.check()
    assert books() == before
    return replayed


def books() -> tuple[list[object], ...]:
    return (
        list(Exposure.objects.order_by("pk").values_list("pk", "primary", "hedged", "in_flight", "need")),
        list(Position.objects.order_by("pk").values_list("pk", "size", "cost", "realized", "fees", "cash")),
        list(Order.objects.order_by("pk").values_list("pk", "status", "filled", "order_hash")),
    )


def test_every_kill_point_lies_on_the_path() -> None:
    sources = "".join(path.read_text() for room in ("accounts", "strategies") for path in (ROOT / room).rglob("*.py"))
    assert set(re.findall(r'\breach\("([a-z_.]+)"\)', sources)) == set(KILL_POINTS)


def test_live_process_cannot_be_armed() -> None:
    for mode in ("live", ""):
        with pytest.raises(ValueError, match="paper mode only"):
            make_reach({"HEDGEROW_KILL_AT": "dispatch.opened", "HEDGEROW_MODE": mode})
    with pytest.raises(ValueError, match="no kill point"):
        make_reach({"HEDGEROW_KILL_AT": "dispatch.nowhere", "HEDGEROW_MODE": "paper"})
    make_reach({"HEDGEROW_MODE": "live"})("dispatch.opened")
