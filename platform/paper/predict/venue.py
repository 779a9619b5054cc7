"""The running venue: one journalled exchange, its clock and its timers. Every API handler works through it.

`submit` is the only way in: write the entry down, apply it, arm the timers it asks for, hand the events on.
"""

import asyncio
import heapq
import time
from collections.abc import Callable

from paper import entries
from paper.exchange import Event
from paper.faults import Faults
from paper.journal import Journal
from paper.predict.auth import Auth
from paper.predict.order_checks import OrderChecks
from paper.predict.settings import UNIT, Settings
from paper.predict.signatures import Verifier
from paper.records import Market, Match

_MAX_SLEEP_S = 3600.0
_PRUNE_EVERY = 2000


class Venue:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.journal = Journal(settings.state_dir, UNIT, settings.compact_after)
        self.exchange = self.journal.exchange
        self.state = self.exchange.state
        self.verifier = Verifier(settings.chain_id)
        self.auth = Auth(settings.state_dir, self.verifier)
        self.checks = OrderChecks(self.exchange, self.verifier)
        self.faults = Faults(settings.seed, settings.state_dir / "faults.json")
        self.listeners: list[Callable[[list[Event]], None]] = []
        self._latest_ms = max((match.closed_at or 0 for match in self.state.matches.values()), default=0)
        self.started_at = self.now_ms()
        self.book_changed_at: dict[int, int] = {}
        self.stale_books: set[int] = set()
        """Books changed since the stream last published them."""
        self.on_prune: list[Callable[[], None]] = []
        self._matches_kept = len(self.state.matches)
        self._due: list[tuple[int, int, entries.AnyEntry]] = []
        self._armed = 0
        self._pending: dict[str, Match] = {}
        self._wake = asyncio.Event()
        self._rearm()

    def now_ms(self) -> int:
        """The venue's clock, unix ms, off by what the clock-skew fault says. It stands still rather than run back."""
        now = time.time_ns() // 1_000_000 + self.faults.length_of("clock_skew_ms")
        self._latest_ms = max(self._latest_ms, now)
        return self._latest_ms

    def submit(self, entry: entries.AnyEntry) -> list[Event]:
        """Durable once this returns. The events have been handed to the listeners."""
        self.journal.record(entry)
        events = self.exchange.apply(entry)
        for event in events:
            if event.kind == "orderTransactionSubmitted" and event.match is not None and event.leg is event.match.taker:
                self._await_settlement(event.match)
            elif event.kind == "orderAccepted" and event.order is not None:
                self._arm_order(event.order.id)
        if self.exchange.changed_books:
            now = self.now_ms()
            for market_id in self.exchange.changed_books:
                self.book_changed_at[market_id] = now
                self.stale_books.add(market_id)
            self.exchange.changed_books.clear()
        for listener in self.listeners:
            listener(events)
        return events

    def forget_tokens(self) -> None:
        """A market was added: its tokens must be found."""
        self.checks = OrderChecks(self.exchange, self.verifier)

    def pending_matches(self, market_id: int) -> list[Match]:
        """Matched, not yet settled."""
        return [m for m in self._pending.values() if m.market_id == market_id]

    def book_time(self, market_id: int) -> int:
        """When the book last changed, unix ms."""
        return self.book_changed_at.get(market_id, self.started_at)

    def price_of(self, market: Market, is_yes: bool) -> int:
        """What a share is worth now: its payout, else the middle of the book, else half."""
        unit = self.state.unit
        yes = market.payout
        if yes is None:
            book = self.exchange.books[market.id]
            bid, ask = book.bids.best() or 0, book.asks.best() or unit
            yes = (bid + ask) // 2
        return yes if is_yes else unit - yes

    # Timers

    def _rearm(self) -> None:
        """After a restart: unsettled matches, locked takers and expiries are still due."""
        for match in self.state.matches.values():
            if match.state == "pending":
                self._await_settlement(match)
        for order in self.state.orders.values():
            if order.status == "OPEN":
                self._arm_order(order.id)

    def _await_settlement(self, match: Match) -> None:
        self._pending[match.id] = match
        self._arm(match.due_at, entries.Settle(0, match.id))

    def _arm_order(self, order_id: int) -> None:
        order = self.state.orders.get(order_id)
        if order is None:
            return
        if order.run_at:
            self._arm(order.run_at, entries.Run(0, order_id, self.settings.settlement_delay_ms))
        if order.resting and order.expiration * 1000 < self.now_ms() + 30 * 24 * 3600 * 1000:
            self._arm(order.expiration * 1000, entries.Expire(0, order_id))

    def _arm(self, due_ms: int, entry: entries.AnyEntry) -> None:
        self._armed += 1
        heapq.heappush(self._due, (due_ms, self._armed, entry))
        if self._due[0][1] == self._armed:
            self._wake.set()

    async def run_timers(self) -> None:
        while True:
            now = self.now_ms()
            while self._due and self._due[0][0] <= now:
                _, _, entry = heapq.heappop(self._due)
                self._ring(entry, now)
            self._wake.clear()
            wait = (self._due[0][0] - self.now_ms()) / 1000 if self._due else _MAX_SLEEP_S
            try:
                async with asyncio.timeout(max(min(wait, _MAX_SLEEP_S), 0.001)):
                    await self._wake.wait()
            except TimeoutError:
                pass

    def _ring(self, entry: entries.AnyEntry, now: int) -> None:
        entry.at = now
        if isinstance(entry, entries.Settle):
            match = self._pending.pop(entry.match_id, None)
            if match is None or match.state != "pending":
                return
            for leg in match.legs():
                if self.faults.strikes("fail_settlement", leg.address):
                    entry.ok = False
                    break
        elif isinstance(entry, entries.Expire):
            order = self.state.orders.get(entry.order_id)
            if order is None or not order.resting:
                return
        self.submit(entry)
        if isinstance(entry, entries.Run):
            self._arm_order(entry.order_id)
        if len(self.state.matches) > self._matches_kept + _PRUNE_EVERY:
            self.prune()
        if self.journal.is_long:
            self.journal.compact()

    def prune(self) -> None:
        """Forget old matches nobody but simulated traders took part in; each market keeps its last one."""
        accounts = self.state.accounts
        keep = {m.last_match for m in self.state.markets.values()}
        idle = [
            m.id
            for m in self.state.matches.values()
            if m.state != "pending" and m.id not in keep and all(accounts[g.address].simulated for g in m.legs())
        ]
        for match_id in idle[:-200]:
            del self.state.matches[match_id]
        self._matches_kept = len(self.state.matches)
        for rebuild in self.on_prune:
            rebuild()

    def close(self) -> None:
        self.journal.close()
