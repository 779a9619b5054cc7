"""How each kill point is reached, what dies there, and what must be true once somebody else has come."""

import subprocess
import sys
import time
from decimal import Decimal
from uuid import UUID, uuid4

from accounts.models import Order
from accounts.trade import cancel_order
from strategies.rehearsal.desk import Stand
from streams.killpoints import CANCEL, ENGINE, KILL_POINTS, LISTENER, TRADE
from tests.faults.house import House, until
from trading.enums import OrderStatus

SOON_S = 40.0
FILLS = 2
NTH = {"engine": 2, "dispatch": 2, "answers": 2, "listener": 2, "executor": 2}
"""Not always at the first pass: by the second the process has state to lose."""


class Killing:
    """Runs one kill point after the other on one house; its listener and engine are new after each death."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.tried: list[str] = []
        self.listener = house.start_listener()
        self.engine: subprocess.Popen[bytes] | None = None

    def run(self, point: str) -> None:
        """Die at `point`, come back, audit. AssertionError when something is not right afterwards."""
        assert point in KILL_POINTS
        self.tried.append(point)
        if self.listener.poll() is not None:  # An earlier point failed half-way: begin cleanly.
            self.listener = self.house.start_listener()
        if point in TRADE:
            self._placing(point)
        elif point in CANCEL:
            self._cancelling(point)
        elif point in LISTENER:
            self._listening(point)
        elif point in ENGINE:
            self._trading(point)
        elif point.startswith("sweep."):
            self._sweeping(point)
        else:
            self._recovering(point)
        self.house.check()

    def _armed(self, point: str) -> str:
        return f"{point}:{NTH.get(point.partition('.')[0], 1)}"

    def _begin_engine(self, kill_at: str = "") -> subprocess.Popen[bytes]:
        if self.engine is not None:
            self.house.end(self.engine)
        self.engine = self.house.start_engine(kill_at=kill_at)
        return self.engine

    def _trading(self, point: str) -> None:
        armed = self._begin_engine(self._armed(point))
        self.house.wait_until_heard()
        load = self.house.load(FILLS)
        died(armed, point)
        self._begin_engine()
        load.result()

    def _listening(self, point: str) -> None:
        self._begin_engine()
        self.house.end(self.listener)
        armed = self.house.start_listener(self._armed(point))
        self.house.wait_until_heard(anew=True)
        load = self.house.load(FILLS)
        died(armed, point)
        self.listener = self.house.start_listener()
        load.result()

    def _recovering(self, point: str) -> None:
        """An answer is lost first; who settles the order dies over it."""
        armed = self._begin_engine(point)
        self.house.wait_until_heard()
        kind = "timeout_before_accept" if "again" in point else "timeout_after_accept"
        if point == "recovery.found":
            kind = "timeout_after_accept"
        # Without the wallet stream's word on it the order stays unknown until somebody looks.
        self.house.venue.set_faults([{"kind": kind, "count": 1}, {"kind": "drop_events", "count": 1}])
        load = self.house.load(1)
        died(armed, point)
        self.house.venue.set_faults([])
        self._begin_engine()
        load.result()

    def _sweeping(self, point: str) -> None:
        """A fill nobody heard; the listener that finds it by REST dies over it."""
        stand = self.house.stands[0]
        self._begin_engine()
        self.house.wait_until_heard()
        order = self._rest(stand)
        self.house.end(self.listener)
        self.house.venue.take(str(order.order_hash))
        time.sleep(0.5)  # settled: the venue lists it now
        armed = self.house.start_listener(point)
        died(armed, point)
        self.listener = self.house.start_listener()

    def _cancelling(self, point: str) -> None:
        stand = self.house.stands[0]
        armed = self._begin_engine(point)
        self.house.wait_until_heard()
        order = self._rest(stand)
        cancel_order(order.pk, "tests", "")
        died(armed, point)
        self._begin_engine()
        until(lambda: Order.objects.get(pk=order.pk).status == OrderStatus.CANCELLED, SOON_S, "it is cancelled")

    def _placing(self, point: str) -> None:
        stand, order_id = self.house.stands[0], uuid4()
        if self.engine is None:
            self._begin_engine()
        placing = self._place(stand, order_id, point)
        died(placing, point)
        if point == "trade.before_commit":
            assert not Order.objects.filter(pk=order_id).exists()
            return
        until(lambda: Order.objects.get(pk=order_id).status == OrderStatus.ACCEPTED, SOON_S, "it is accepted")
        cancel_order(order_id, "tests", "")
        until(lambda: Order.objects.get(pk=order_id).status == OrderStatus.CANCELLED, SOON_S, "it is cancelled")

    def _rest(self, stand: Stand) -> Order:
        order_id = uuid4()
        assert self._place(stand, order_id, "").wait(30) == 0
        until(lambda: Order.objects.get(pk=order_id).status == OrderStatus.ACCEPTED, SOON_S, "it is accepted")
        return Order.objects.get(pk=order_id)

    def _place(self, stand: Stand, order_id: UUID, kill_at: str) -> subprocess.Popen[bytes]:
        bid, _ = self.house.venue.load_touches([stand.pair.market_id])[stand.pair.market_id]
        price = bid.price if bid is not None else Decimal("0.40")
        words = (str(stand.pair.primary.pk), stand.pair.market_id, str(order_id), str(price), "10")
        return self.house.start("place", "tests/faults/place_process.py", *words, kill_at=kill_at)


def died(process: subprocess.Popen[bytes], point: str) -> None:
    """It died where it was to die."""
    try:
        code = process.wait(SOON_S)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"nobody came to {point}") from None
    assert code == -9, f"{point}: the process ended with {code}"
    print(f"killed at {point}", file=sys.stderr)
