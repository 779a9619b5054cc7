"""Several engines on the same streams: the same results, no fill hedged twice; and a stop that stops them all."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from accounts.models import Order
from accounts.stop import lift_stop, pull_stop
from accounts.trade import place_order
from strategies.rehearsal.desk import Stand
from tests.faults.house import Background, House, until
from trading.commands import PlaceOrder
from trading.enums import Action, Outcome, Platform
from trading.errors import TradingError

FEW, MANY = 3, 50
LATE_S = 1.5
"""How long after a stop the venue is watched for a late order."""


def run_house(house: House, engines: int, fills: int) -> None:
    house.start_listener()
    for number in range(engines):
        house.start_engine(f"engine-{number + 1}")
    house.wait_until_heard(anew=True)
    house.load(fills).result(120)
    house.check()


def senders() -> set[str]:
    return set(Order.objects.exclude(sender="").values_list("sender", flat=True))


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_two_engines_hedge_each_fill_once(open_house: Callable[..., House]) -> None:
    run_house(open_house(pairs=3), engines=2, fills=30)
    assert senders() == {"engine-1", "engine-2"}


@pytest.mark.faults
@pytest.mark.timeout(400)
@pytest.mark.parametrize("engines", [2, 4])
def test_engines_together_hedge_each_fill_once(open_house: Callable[..., House], engines: int) -> None:
    run_house(open_house(pairs=5), engines, fills=300)
    assert len(senders()) == engines


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_nothing_leaves_after_a_stop(open_house: Callable[..., House]) -> None:
    assert late_orders(open_house(pairs=3), FEW) == []


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_nothing_leaves_after_fifty_stops(open_house: Callable[..., House], capsys: pytest.CaptureFixture[str]) -> None:
    late = late_orders(open_house(pairs=5), MANY)
    with capsys.disabled():
        print(f"\nstops under load: {MANY}, orders at the venue after a stop returned: {len(late)}")
    assert late == []


def late_orders(house: House, tries: int) -> list[Any]:
    """Stop two engines at full load so often; the orders that reached the venue after a stop had returned."""
    house.start_listener()
    for number in range(2):
        house.start_engine(f"engine-{number + 1}")
    house.wait_until_heard(anew=True)
    placing = Placing(house)
    late: list[Any] = []
    try:
        for _ in range(tries):
            until(Growth(house), 30.0, "the load is on")
            pull_stop("no_new", "tests", "under load")
            at_return = count_orders(house)
            time.sleep(LATE_S)
            if (after := count_orders(house)) != at_return:
                late.append((at_return, after))
            lift_stop("tests", "on with it")
    finally:
        placing.stop()
    return late


class Growth:
    """True once the venue has taken a few more orders than when it was made."""

    def __init__(self, house: House) -> None:
        self._house, self._before = house, count_orders(house)

    def __call__(self) -> bool:
        return count_orders(self._house) >= self._before + 5


class Placing:
    """Threads that place resting orders as fast as the trade path takes them, whatever the desk says."""

    def __init__(self, house: House, threads: int = 2) -> None:
        self._over = threading.Event()
        self._threads = [Background(partial(self._place, house.stands[number])) for number in range(threads)]

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.result()

    def _place(self, stand: Stand) -> None:
        command = PlaceOrder(
            platform=Platform.PREDICT,
            account_id=str(stand.pair.primary.pk),
            market_id=stand.pair.market_id,
            side=Outcome.YES,
            action=Action.BUY,
            price=Decimal("0.02"),
            shares=Decimal(50),
            post_only=True,
        )
        while not self._over.is_set():
            with suppress(TradingError):  # Stopped: it is refused, and the next may be let through.
                place_order(command, "tests")
            time.sleep(0.01)


def count_orders(house: House) -> int:
    """Orders of the primaries that the venue ever took."""
    addresses = [stand.pair.primary.address.lower() for stand in house.stands[:2]]
    return sum(len(house.venue.load_snapshot(address)["orders"]) for address in addresses)
