"""Every fault the paper venue commits on request, set from the command line, and the product trading through it."""

import time
from collections.abc import Callable

import pytest
from django.core.management import call_command

from accounts.models import Fill
from strategies.fault_rules import KINDS
from strategies.rehearsal.patience import wait_until
from tests.faults.house import House

RULES = (
    "latency_ms=400@0.5",
    "timeout_before_accept@0.5",
    "timeout_after_accept@0.5",
    "http_429:2",
    "http_5xx@0.5",
    "duplicate_events",
    "reorder_events=250@0.5",
    "drop_events@0.3",
    "ws_silence:1",
    "ws_drain=200:1",
    "fail_settlement:2",
    "status_lag_ms=1500",
    "partial_fills=150",
    "post_only_cancel:2",
    "clock_skew_ms=-3000",
)
FILLS = 3
SETTLED_S = 2.0
"""A fault may strike only when the last fill settles."""
STANDING = ("status_lag_ms", "clock_skew_ms", "ws_silence")
"""Nobody counts how often these strike: they hold for every answer, or for all streams open as they are set."""


@pytest.mark.faults
@pytest.mark.timeout(3000)
def test_desk_is_right_after_every_fault(open_house: Callable[..., House], capsys: pytest.CaptureFixture[str]) -> None:
    house = open_house()
    house.start_listener()
    house.start_engine("engine-1")
    house.start_engine("engine-2")
    house.start_reconciler()
    house.wait_until_heard()
    failed: dict[str, str] = {}
    for rule in RULES:
        try:
            struck = trade_through(house, rule)
        except Exception as error:  # The others are tried all the same.
            failed[rule] = f"{type(error).__name__}: {error}"[:500]
            continue
        with capsys.disabled():
            print(f"\n  {rule}: struck {struck} times, the books are right", end="")
    with capsys.disabled():
        print(f"\nfaults tried: {len(RULES)}, survived: {len(RULES) - len(failed)}")
    assert not failed


def trade_through(house: House, rule: str) -> int:
    """Some fills with the fault on, then peace and an audit; how often the fault struck."""
    before = Fill.objects.count()
    call_command("faults", "set", rule, verbosity=0)
    try:
        house.load(FILLS, seconds=240).result(300)
        wait_until(lambda: house.venue.load_faults()[0]["struck"] > 0, time.monotonic() + SETTLED_S)
        (standing,) = house.venue.load_faults()
    finally:
        call_command("faults", "clear", verbosity=0)
    house.check()
    assert Fill.objects.count() >= before + FILLS
    struck: int = standing["struck"]
    assert struck or standing["kind"] in STANDING, "the fault never struck"
    return struck


def test_no_fault_is_left_out() -> None:
    assert {rule.partition("=")[0].partition("@")[0].partition(":")[0] for rule in RULES} == set(KINDS)
