"""The load: so many real fills, made one quote at a time. Each primary quotes, a simulated taker takes the quote whole,
the engine hedges it, and only then does that pair quote again.

Orders go the product's own way (`accounts.trade`). Their ids follow from the rehearsal and a number, so that asking
again after an outage cannot place one twice.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from random import Random
from uuid import UUID

import structlog
from django.db import connections

from accounts.models import Fill, Order
from accounts.trade import cancel_order, place_order
from strategies.handlers.plan import RestingOrder
from strategies.models import Exposure
from strategies.paper_venue import PaperVenue, PaperVenueRefused, Touch
from strategies.quoter import load_sellable, resting_order
from strategies.quoting import Quote, next_quote
from strategies.rehearsal.desk import FLYING, Stand
from strategies.rehearsal.patience import RanOut, patiently, wait_until
from trading.commands import PlaceOrder
from trading.enums import OrderOrigin, OrderStatus
from trading.ids import deterministic_uuid
from trading.orders import TERMINAL

SHARE_OF_LIMIT = Decimal("0.75")
"""Of the venue's request limit; the rest is for reconciling."""
REQUESTS_PER_FILL = 2
TOUCH_AGE_S = 0.5
ANSWER_S = 20.0
HEDGE_S = 5.0
_DONE = frozenset(status.value for status in TERMINAL)

log = structlog.get_logger()


class Load:
    """Makes `fills` fills over the stands. `made` counts them while `run` works."""

    def __init__(
        self, venue: PaperVenue, stands: Sequence[Stand], fills: int, run_id: str, deadline: float, seed: int = 1
    ) -> None:
        self.order_ids: list[UUID] = []
        """Every order placed, filled or not."""
        self.made = 0
        self.unlucky = 0
        """Quotes that ended without a fill (the market moved, a process was down) and were replaced."""
        self.half = threading.Event()
        """Set as the middle one of the fills is about to happen: the worst moment to kill something."""
        self._venue = venue
        self._stands = stands
        self._fills = fills
        self._run_id = run_id
        self._deadline = deadline
        self._seed = seed
        self._claimed = 0
        self._lock = threading.Lock()
        self._touches: dict[str, Touch] = {}
        self._touched_at = float("-inf")
        self._next_at = time.monotonic()
        self._gap_s = self._pace()

    def run(self, progress: Callable[[int], None]) -> None:
        """Until all fills are made; RanOut at the deadline. `progress` hears the count from several threads."""
        with ThreadPoolExecutor(max_workers=len(self._stands), thread_name_prefix="rehearsal") as pool:
            jobs = [pool.submit(self._trade, number, stand, progress) for number, stand in enumerate(self._stands)]
            for job in jobs:
                job.result()

    def _trade(self, number: int, stand: Stand, progress: Callable[[int], None]) -> None:
        random = Random(self._seed * 1000 + number)  # noqa: S311 - repeatable sizes, not a secret
        attempt = 0
        try:
            while self._claim():
                while not self._fill_once(stand, random, attempt):
                    self.unlucky += 1
                    attempt += 1
                    time.sleep(0.1)
                attempt += 1
                with self._lock:
                    self.made += 1
                    made = self.made
                progress(made)
        finally:
            connections.close_all()

    def _fill_once(self, stand: Stand, random: Random, attempt: int) -> bool:
        """One quote placed, taken and hedged. False when it ended without a fill."""
        self._wait_for_turn()
        quote = self._quote(stand, random, bid=attempt % 2 == 0)
        if quote is None:
            return False
        order_id = deterministic_uuid("rehearsal", self._run_id, str(stand.pair.pair.pk), str(attempt))
        with self._lock:
            self.order_ids.append(order_id)
        self._place(stand, quote, order_id)
        if not self._take(order_id):
            return False
        self._wait_for_hedge(stand)
        return True

    def _quote(self, stand: Stand, random: Random, *, bid: bool) -> Quote | None:
        held = patiently(lambda: load_sellable(stand.pair.primary, stand.key), self._deadline)
        touch = self._touch(stand.pair.market_id)
        own = patiently(lambda: self._load_resting(stand), self._deadline)
        return next_quote(stand.market, touch, bid=bid, held=held, resting=own, random=random)

    def _place(self, stand: Stand, quote: Quote, order_id: UUID) -> None:
        command = PlaceOrder(
            platform=stand.market.platform,
            account_id=str(stand.pair.primary.pk),
            market_id=stand.market.market_id,
            side=quote.outcome,
            price=quote.price,
            shares=quote.size,
            action=quote.action,
            post_only=True,
            client_order_id=order_id,
            origin=OrderOrigin.REHEARSAL,
            reason="rehearsal",
        )

        def place() -> None:
            if not Order.objects.filter(pk=order_id).exists():
                place_order(command, "rehearsal")

        patiently(place, self._deadline)

    def _take(self, order_id: UUID) -> bool:
        """The quote, once the venue has it, is taken whole, and the ledger knows. False when it came to nothing."""
        until = min(time.monotonic() + ANSWER_S, self._deadline)
        while time.monotonic() < until or patiently(lambda: self._is_open(order_id), self._deadline):
            if time.monotonic() > self._deadline:
                raise RanOut("a quote was not answered in time")
            status, order_hash, filled, size = patiently(lambda: self._state(order_id), self._deadline)
            if filled >= size or patiently(lambda: self._has_fill(order_id), self._deadline):
                return True
            if status in _DONE:
                return False
            if status == OrderStatus.ACCEPTED.value and order_hash:
                self._take_now(order_id, order_hash)
            time.sleep(0.02)
        return False

    def _take_now(self, order_id: UUID, order_hash: str) -> None:
        if 2 * self.made >= self._fills - 1:
            self.half.set()
        try:
            patiently(lambda: self._venue.take(order_hash), self._deadline)
        except PaperVenueRefused:
            # Taken already (the answer was lost), or the venue took it off the book: the ledger will tell.
            log.debug("rehearsal_quote_gone", order=str(order_id))
        until = min(time.monotonic() + ANSWER_S, self._deadline)
        if not wait_until(lambda: self._has_fill(order_id) or self._is_done(order_id), until):
            log.warning("rehearsal_fill_is_late", order=str(order_id))

    def _wait_for_hedge(self, stand: Stand) -> None:
        """Until the pair has nothing in flight, for a while: its next quote must not stand in the hedge's way."""
        until = min(time.monotonic() + HEDGE_S, self._deadline)
        wait_until(lambda: not self._is_hedging(stand), until)

    def _claim(self) -> bool:
        with self._lock:
            if self._claimed >= self._fills:
                return False
            self._claimed += 1
            return True

    def _wait_for_turn(self) -> None:
        """Keep within the venue's request limit over all pairs together."""
        with self._lock:
            now = time.monotonic()
            at = self._next_at = max(self._next_at + self._gap_s, now)
        if at > self._deadline:
            raise RanOut("the time is over")
        time.sleep(max(at - now, 0.0))

    def _pace(self) -> float:
        limit = self._venue.load_trading_limit(self._stands[0].pair.market_id)
        return float(60 * REQUESTS_PER_FILL / (limit * SHARE_OF_LIMIT)) if limit else 0.0

    def _touch(self, market_id: str) -> Touch:
        with self._lock:
            if time.monotonic() - self._touched_at > TOUCH_AGE_S:
                ids = [stand.pair.market_id for stand in self._stands]
                self._touches = patiently(lambda: self._venue.load_touches(ids), self._deadline)
                self._touched_at = time.monotonic()
            return self._touches.get(market_id, (None, None))

    @staticmethod
    def _load_resting(stand: Stand) -> list[RestingOrder]:
        orders = Order.objects.filter(market_id=stand.key, status__in=FLYING).select_related("account").defer("body")
        return [resting_order(order) for order in orders]

    @staticmethod
    def _state(order_id: UUID) -> tuple[str, str, Decimal, Decimal]:
        row = Order.objects.filter(pk=order_id).values_list("status", "order_hash", "filled", "size").get()
        return row[0], row[1] or "", row[2], row[3]

    @staticmethod
    def _is_open(order_id: UUID) -> bool:
        return Order.objects.filter(pk=order_id, status__in=FLYING).exists()

    @staticmethod
    def _is_done(order_id: UUID) -> bool:
        return Order.objects.filter(pk=order_id, status__in=_DONE).exists()

    @staticmethod
    def _has_fill(order_id: UUID) -> bool:
        return Fill.objects.filter(order_id=order_id).exists()

    @staticmethod
    def _is_hedging(stand: Stand) -> bool:
        exposures = Exposure.objects.filter(pair=stand.pair.pair, market_id=stand.key)
        return exposures.exclude(in_flight=0).exists()

    def cancel_leftovers(self) -> None:
        """Take quotes of this rehearsal that still stand off the book."""
        for order_id in Order.objects.filter(pk__in=self.order_ids, status__in=FLYING).values_list("pk", flat=True):
            cancel_order(order_id, "rehearsal", "the rehearsal is over")
