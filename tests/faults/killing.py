"""How each kill point is reached, what dies there, and what must be true once somebody else has come."""

import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from accounts.lanes import PER_ACCOUNT
from accounts.models import Fill, Order
from accounts.stop import lift_stop, pull_stop
from accounts.trade import cancel_order, place_order
from accounts.unsettled import WORD_AFTER
from strategies.models import Strategy
from streams.killpoints import CANCEL, ENDS, ENGINE, KILL_POINTS, LISTENER, STOPPED, TRADE
from tests.faults.house import Background, House, until
from trading.commands import PlaceOrder
from trading.enums import Action, OrderStatus, Outcome, Platform

SOON_S = 80.0
"""Generous: the machine may be busy, and an order the venue does not know is given up after half a minute."""
FILLS = 2
FORESEEN = 20
"""So many fills, one after the other in the same market: the engine writes ahead once it has guessed right."""
OVER = (OrderStatus.CANCELLED, OrderStatus.FILLED)
ARRIVED = (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED, *OVER)
"""Where an order may stand that reached the venue: books move, and may take what was to rest."""
NTH = {"engine": 2, "dispatch": 2, "answers": 2, "listener": 2, "executor": 2, "answers.announced": 1}
"""Not always at the first pass: by the second the process has state to lose. Two announcements are noted together."""


class Killing:
    """Runs one kill point after the other on one house; its listener and engine are new after each death."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.stand = house.stands[0]
        self.tried: list[str] = []
        self.listener = house.start_listener()
        self.engine: subprocess.Popen[bytes] | None = None
        self.reconciler: subprocess.Popen[bytes] | None = None

    def run(self, point: str) -> None:
        """Die at `point`, come back, audit. AssertionError when something is not right afterwards."""
        assert point in KILL_POINTS
        self.tried.append(point)
        if self.listener.poll() is not None:  # An earlier point failed half-way: begin cleanly.
            self.listener = self.house.start_listener()
        try:
            self._way(point)(point)
            self.house.check()
        finally:
            if self.reconciler is not None:
                self.house.end(self.reconciler)

    def _way(self, point: str) -> Callable[[str], None]:
        """How a process is brought to this point."""
        groups = (
            (TRADE, self._placing),
            (CANCEL, self._cancelling),
            (LISTENER, self._listening),
            (ENGINE, self._trading),
            (STOPPED, self._stopping),
            (ENDS, self._ending),
        )
        for group, way in groups:
            if point in group:
                return way
        names = {
            "recovery.before_end": self._giving_up,
            "recovery.ended": self._giving_up,
            "sweep": self._sweeping,
            "reconcile": self._reconciling,
            "reversal": self._reversing,
        }
        return names.get(point) or names.get(point.partition(".")[0]) or self._recovering

    def _armed(self, point: str) -> str:
        return f"{point}:{NTH.get(point) or NTH.get(point.partition('.')[0], 1)}"

    def _begin_engine(self, kill_at: str = "") -> subprocess.Popen[bytes]:
        if self.engine is not None:
            self.house.end(self.engine)
        self.engine = self.house.start_engine(kill_at=kill_at)
        return self.engine

    def _trading(self, point: str) -> None:
        armed = self._begin_engine(self._armed(point))
        self.house.wait_until_heard()
        load = self.house.load(FORESEEN if point == "dispatch.written_ahead" else FILLS)
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
        arrives = point in ("recovery.before_look", "recovery.found")
        kind = "timeout_after_accept" if arrives else "timeout_before_accept"
        # Without the wallet stream's word on it the order stays unknown until somebody looks.
        faults = [
            {"kind": kind, "count": 1},
            {"kind": "drop_events", "count": 1, "address": self.stand.pair.primary.address},
        ]
        order_id = self._leave_under(faults)
        while not self._kills(armed, order_id):
            self._take_off(order_id)
            order_id = self._leave_under(faults)
        died(armed, point)
        self.house.venue.set_faults([])
        # What was dropped may have been a fill's or a settlement's word: as in a whole desk, somebody asks for it.
        self.reconciler = self.house.start_reconciler()
        self._begin_engine()
        self._take_off(order_id)

    @staticmethod
    def _kills(armed: subprocess.Popen[bytes], order_id: UUID) -> bool:
        """Whether the process dies over this order before a word of the venue's settles it: the moving book may take
        it, or an earlier order's event may be the one that is dropped."""
        until(
            lambda: armed.poll() is not None or status(order_id) in ARRIVED,
            SOON_S,
            lambda: f"somebody dies over it: {_told(order_id)}",
        )
        return armed.poll() is not None

    def _giving_up(self, point: str) -> None:
        """An order that never arrived and that nobody wants any more: who ends it dies over it."""
        armed = self._begin_engine(point)
        self.house.wait_until_heard()
        order_id = self._leave_under([{"kind": "timeout_before_accept"}])
        self._until_status(order_id, (OrderStatus.UNKNOWN,), "has lost its answer")
        cancel_order(order_id, "tests", "")
        died(armed, point)
        self.house.venue.set_faults([])
        self._begin_engine()
        self._until_status(order_id, (OrderStatus.CANCELLED,), "is given up")

    def _stopping(self, point: str) -> None:
        """More orders than the account's lane carries at once, at a slow venue: a stop catches those that wait."""
        armed = self._begin_engine(point)
        self.house.wait_until_heard()
        self.house.venue.set_faults([{"kind": "latency_ms", "ms": 2500}])
        orders = [uuid4() for _ in range(PER_ACCOUNT + 2)]
        for order_id in orders:
            place_order(self._command(order_id), "tests")
        left = Order.objects.filter(pk__in=orders, status=OrderStatus.INITIALIZED.value)
        until(lambda: not left.exists(), SOON_S, "all are journaled")
        pulling = Background(pull)
        try:
            died(armed, point)
            pulling.result()
        finally:
            self.house.venue.set_faults([])
            lift_stop("tests", "on with it")
        self._begin_engine()
        for order_id in orders:
            self._take_off(order_id)

    def _ending(self, point: str) -> None:
        """A hedge rests and is taken off the book: who proves its end dies over it, and its shares are hedged anew."""
        armed = self._begin_engine(point)
        self.house.wait_until_heard()
        config = Strategy.objects.get().config
        Strategy.objects.update(config={**config, "max_loss": "0"})
        try:
            until(self._has_resting_hedge, SOON_S, "a hedge rests")
            for order_id in self._resting_hedges():
                cancel_order(order_id, "tests", "")
            died(armed, point)
        finally:
            Strategy.objects.update(config=config)
        self._begin_engine()

    def _has_resting_hedge(self) -> bool:
        if self._resting_hedges():
            return True
        self.house.venue.take(str(self._rest(inside=True).order_hash))
        time.sleep(2)
        return bool(self._resting_hedges())

    @staticmethod
    def _resting_hedges() -> list[UUID]:
        hedges = Order.objects.filter(exposure_id__isnull=False, status=OrderStatus.ACCEPTED.value)
        return list(hedges.values_list("pk", flat=True))

    def _reconciling(self, point: str) -> None:
        """An order's answer is lost and its engine dead: the listener that finds it by REST dies over it."""
        self.house.end(self.listener)
        self._begin_engine()
        order_id = self._settled(OrderStatus.UNKNOWN, [{"kind": "timeout_after_accept", "count": 1}])
        assert self.engine is not None
        self.house.end(self.engine)
        self.house.venue.set_faults([])
        died(self.house.start_listener(point), point)
        self.listener = self.house.start_listener()
        self._begin_engine()
        self._take_off(order_id)

    def _reversing(self, point: str) -> None:
        """A settlement fails and nobody hears of it: the listener that finds it out dies over it."""
        self._begin_engine()
        self.house.wait_until_heard()
        until(self._fails_unheard, SOON_S, "a settlement fails unheard")
        self.house.venue.set_faults([])
        time.sleep(WORD_AFTER.total_seconds() + 1)
        died(self.house.start_listener(point), point)
        self.listener = self.house.start_listener()

    def _fails_unheard(self) -> bool:
        """One try: the listener is killed between the match and its failure. False when it heard of both."""
        if self.listener.poll() is not None:
            self.listener = self.house.start_listener()
            self.house.wait_until_heard(anew=True)
        order = self._rest()
        primary = self.stand.pair.primary
        self.house.venue.set_faults([{"kind": "fail_settlement", "count": 1, "address": primary.address}])
        self.house.venue.take(str(order.order_hash))
        deadline = time.monotonic() + SOON_S
        while not Fill.objects.filter(order_id=order.pk).exists():
            assert time.monotonic() < deadline, "the match is not heard of"
            time.sleep(0.005)
        self.house.end(self.listener)
        time.sleep(0.5)
        return Fill.objects.get(order_id=order.pk).settlement == "matched"

    def _sweeping(self, point: str) -> None:
        """A fill nobody heard; the listener that finds it by REST dies over it."""
        self._begin_engine()
        self.house.wait_until_heard()
        order = self._rest()
        self.house.end(self.listener)
        self.house.venue.take(str(order.order_hash))
        time.sleep(0.5)  # settled: the venue lists it now
        armed = self.house.start_listener(point)
        died(armed, point)
        self.listener = self.house.start_listener()

    def _cancelling(self, point: str) -> None:
        armed = self._begin_engine(point)
        self.house.wait_until_heard()
        order = self._rest()
        cancel_order(order.pk, "tests", "")
        died(armed, point)
        self._begin_engine()
        self._until_status(order.pk, OVER, "is cancelled")

    def _placing(self, point: str) -> None:
        order_id = uuid4()
        if self.engine is None:
            self._begin_engine()
        placing = self._place(order_id, point)
        died(placing, point)
        if point == "trade.before_commit":
            assert not Order.objects.filter(pk=order_id).exists()
            return
        self._take_off(order_id)

    def _take_off(self, order_id: UUID) -> None:
        """It rests in the end, whoever died over it, and can be cancelled; or a stop ended it before it left; or the
        book moved meanwhile, as books do, and took it: then its fills must be in the books."""
        self._until_status(order_id, ARRIVED, "is accepted")
        cancel_order(order_id, "tests", "")
        self._until_status(order_id, OVER, "is cancelled")

    @staticmethod
    def _until_status(order_id: UUID, wanted: Collection[OrderStatus], what: str) -> None:
        until(lambda: status(order_id) in wanted, SOON_S, lambda: f"the order {what}: {_told(order_id)}")

    def _rest(self, *, inside: bool = False) -> Order:
        """An order of the primary's that rests at the best bid, or `inside` it."""
        return Order.objects.get(pk=self._settled(OrderStatus.ACCEPTED, [], inside=inside))

    def _settled(self, wanted: OrderStatus, faults: Sequence[Mapping[str, Any]], *, inside: bool = False) -> UUID:
        """An order of the primary's that comes to stand so; one that the moving book takes first is followed by
        another."""
        while True:
            order_id = self._leave_under(faults, inside=inside)
            self._until_status(order_id, (wanted, *OVER), f"is {wanted}")
            if status(order_id) == wanted:
                return order_id

    def _leave_under(self, faults: Sequence[Mapping[str, Any]], *, inside: bool = False) -> UUID:
        """An order of the primary's on its way to a venue with these faults: its command is published."""
        if faults:
            self.house.venue.set_faults(faults)
        order_id = uuid4()
        assert self._place(order_id, "", inside=inside).wait(SOON_S) == 0
        return order_id

    def _place(self, order_id: UUID, kill_at: str, *, inside: bool = False) -> subprocess.Popen[bytes]:
        command = self._command(order_id, inside=inside)
        words = (command.account_id, command.market_id, str(order_id), str(command.price), str(command.shares))
        return self.house.start("place", "tests/faults/place_process.py", *words, kill_at=kill_at)

    def _command(self, order_id: UUID, *, inside: bool = False) -> PlaceOrder:
        bid, _ = self.house.venue.load_touches([self.stand.pair.market_id])[self.stand.pair.market_id]
        return PlaceOrder(
            platform=Platform.PREDICT,
            account_id=str(self.stand.pair.primary.pk),
            market_id=self.stand.pair.market_id,
            side=Outcome.YES,
            action=Action.BUY,
            price=(bid.price if bid is not None else Decimal("0.40")) + self.stand.market.tick * inside,
            shares=Decimal(10),
            post_only=True,
            client_order_id=order_id,
        )


def pull() -> None:
    pull_stop("no_new", "tests", "a kill point")


def died(process: subprocess.Popen[bytes], point: str) -> None:
    """It died where it was to die."""
    try:
        code = process.wait(SOON_S)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"nobody came to {point}") from None
    assert code == -9, f"{point}: the process ended with {code}"
    print(f"killed at {point}", file=sys.stderr)


def status(order_id: UUID) -> str:
    return str(Order.objects.values_list("status", flat=True).get(pk=order_id))


def _told(order_id: UUID) -> str:
    """The order as it stands, for who must find out why it does not go on."""
    order = Order.objects.values("status", "reason", "attempts", "sender", "submitted_at", "sent_at").get(pk=order_id)
    return ", ".join(f"{name} {value}" for name, value in order.items())
