"""Several engines on the same streams: the same results, no fill hedged twice; and a stop that stops them all."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any
from uuid import UUID

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
AHEAD = 16
"""Orders on a stand that may wait for the engines: as many more as they take, and no backlog that only grows."""
PATIENCE_S = 90.0
"""The machine may be busy."""


def run_house(house: House, engines: int, fills: int) -> None:
    house.start_listener()
    for number in range(engines):
        house.start_engine(f"engine-{number + 1}")
    house.wait_until_heard(anew=True)
    house.load(fills, seconds=600).result(660)
    house.check()


def senders() -> set[str]:
    return set(Order.objects.exclude(sender="").values_list("sender", flat=True))


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_two_engines_hedge_each_fill_once(open_house: Callable[..., House]) -> None:
    run_house(open_house(pairs=3), engines=2, fills=30)
    assert senders() == {"engine-1", "engine-2"}


@pytest.mark.faults
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("engines", [2, 4])
def test_engines_together_hedge_each_fill_once(
    open_house: Callable[..., House], engines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    run_house(open_house(pairs=5), engines, fills=300)
    hedges = Order.objects.filter(exposure_id__isnull=False).count()
    with capsys.disabled():
        print(f"\n{engines} engines: 300 fills, {hedges} hedge orders, clean, {time.monotonic() - began:.0f} s")
    assert len(senders()) == engines


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_nothing_leaves_after_a_stop(open_house: Callable[..., House]) -> None:
    assert late_orders(open_house(pairs=3), FEW) == []


@pytest.mark.faults
@pytest.mark.timeout(2400)
def test_nothing_leaves_after_fifty_stops(open_house: Callable[..., House], capsys: pytest.CaptureFixture[str]) -> None:
    house = open_house(pairs=5)
    late = late_orders(house, MANY)
    hedges = Order.objects.filter(exposure_id__isnull=False, sent_at__isnull=False).count()
    held = Order.objects.filter(exposure_id__isnull=False, status="cancelled", reason="stopped").count()
    with capsys.disabled():
        print(f"\nstops under load: {MANY}, orders at the venue after a stop returned: {len(late)}")
        print(f"hedges sent meanwhile: {hedges}, held back by a stop in the last moment: {held}")
    assert late == []
    assert hedges >= MANY


def late_orders(house: House, tries: int) -> list[Any]:
    """Stop two engines at full load so often; the orders that reached the venue after a stop had returned.

    The load is resting orders placed as fast as they are taken, and fills, so that hedges are on their way too: some
    fills come while the desk stands still, and are hedged once it is lifted.
    """
    house.start_listener()
    for number in range(2):
        house.start_engine(f"engine-{number + 1}")
    house.wait_until_heard(anew=True)
    trading = Trading(house)
    late: list[Any] = []
    try:
        for _ in range(tries):
            until(Growth(house), PATIENCE_S, "the load is on")
            pull_stop("no_new", "tests", "under load")
            at_return = count_orders(house)
            time.sleep(LATE_S)
            if (after := count_orders(house)) != at_return:
                late.append((at_return, after))
            lift_stop("tests", "on with it")
    finally:
        trading.stop()
    until(partial(are_hedges_filled, house), PATIENCE_S, "every hedge that rests is taken")
    house.check()
    return late


def are_hedges_filled(house: House) -> bool:
    """The market moved away from some while they were held back; somebody takes them now."""
    resting = Order.objects.filter(exposure_id__isnull=False, status__in=("accepted", "partially_filled"))
    for order_hash in resting.values_list("order_hash", flat=True):
        with suppress(TradingError):
            house.venue.take(str(order_hash))
    return not resting.exists()


class Growth:
    """True once the venue has taken a few more orders than when it was made, and a hedge among them."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._before = count_orders(house)

    def __call__(self) -> bool:
        placed, hedges = count_orders(self._house)
        return placed >= self._before[0] + 5 and hedges > self._before[1]


class Trading:
    """Threads that load the desk whatever it says: on two stands with resting orders as fast as the trade path takes
    them, on the others with orders that are filled, so that they must be hedged."""

    def __init__(self, house: House, resting: int = 2) -> None:
        self._house = house
        self._over = threading.Event()
        works = [partial(self._rest, stand) for stand in house.stands[:resting]]
        works += [partial(self._fill, stand) for stand in house.stands[resting:]]
        self._threads = [Background(work) for work in works]

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.result()

    def _rest(self, stand: Stand) -> None:
        waiting = Order.objects.filter(account=stand.pair.primary, status="initialized")
        while not self._over.is_set():
            if waiting.count() < AHEAD:
                with suppress(TradingError):  # Stopped: it is refused, and the next may be let through.
                    place_order(command(stand, Decimal("0.02"), 50), "tests")
            time.sleep(0.02)

    def _fill(self, stand: Stand) -> None:
        """One order after the other, taken whole a moment after it rests, stopped or not."""
        random = Random(stand.key)
        while not self._over.is_set():
            with suppress(TradingError):
                bid, _ = self._house.venue.load_touches([stand.pair.market_id])[stand.pair.market_id]
                ticket = place_order(command(stand, bid.price if bid else Decimal("0.40"), 10), "tests")
                if order_hash := self._wait(ticket.client_order_id):
                    time.sleep(random.uniform(0, 0.5))
                    self._house.venue.take(order_hash)
            time.sleep(0.05)

    @staticmethod
    def _wait(order_id: UUID) -> str:
        """Its hash once it rests; empty when it does not."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            status, order_hash = Order.objects.filter(pk=order_id).values_list("status", "order_hash").get()
            if status != "initialized" and status != "submitted":
                return str(order_hash) if status == "accepted" else ""
            time.sleep(0.02)
        return ""


def command(stand: Stand, price: Decimal, shares: int) -> PlaceOrder:
    return PlaceOrder(
        platform=Platform.PREDICT,
        account_id=str(stand.pair.primary.pk),
        market_id=stand.pair.market_id,
        side=Outcome.YES,
        action=Action.BUY,
        price=price,
        shares=Decimal(shares),
        post_only=True,
    )


def count_orders(house: House) -> tuple[int, int]:
    """Orders that the venue ever took: of the primaries, of the hedge accounts."""

    def taken(address: str) -> int:
        return len(house.venue.load_snapshot(address.lower())["orders"])

    pairs = [stand.pair for stand in house.stands]
    return sum(taken(pair.primary.address) for pair in pairs), sum(taken(pair.hedge.address) for pair in pairs)
