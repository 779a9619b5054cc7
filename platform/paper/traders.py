"""Simulated traders: makers that keep books alive around a drifting fair price, and takers that trade.

They live in the venue's process and place orders straight into the exchange, without signatures. Takers prefer resting
orders of real accounts near the touch and take such an order whole, so that a desk which quotes well is filled.
"""

import asyncio
import random
from decimal import Decimal
from hashlib import sha256
from typing import Protocol

from paper.book import Side
from paper.entries import AnyEntry, Grant, Place, Remove, Split
from paper.exchange import Event, Exchange
from paper.records import Market, Match, Order

LEVELS = 6
LEVEL_SHARES = 1_500
NEAR_TICKS = 2
MAKER_STEP_S = 1.0
DRIFT_CHANCE = 0.04
_FAR_FUTURE = 4_102_444_800
_CASH = 10**9
_SPLIT = 10**6


class Floor(Protocol):
    """What traders need of a venue."""

    exchange: Exchange

    def now_ms(self) -> int: ...

    def submit(self, entry: AnyEntry) -> list[Event]: ...


class Traders:
    """Two makers and two takers. Paused, they leave their quotes standing."""

    def __init__(self, floor: Floor, seed: int, taker_every_s: float, settle_ms: int, running: bool) -> None:
        self._floor = floor
        self._random = random.Random(seed)  # noqa: S311 - a repeatable crowd, not a secret
        self._settle_ms = settle_ms
        self.taker_every_s = taker_every_s
        self.running = running
        self.trades = 0
        self._fair: dict[int, int] = {}
        self._makers = [_address(f"maker{i}") for i in range(2)]
        self._takers = [_address(f"taker{i}") for i in range(2)]
        self._nonce = seed * 1_000_003 + floor.exchange.state.seq

    # Loops

    async def run_makers(self) -> None:
        while True:
            if self.running:
                for market in list(self._floor.exchange.state.markets.values()):
                    if market.trading == "OPEN":
                        self.refresh(market)
                        await asyncio.sleep(0)
            await asyncio.sleep(MAKER_STEP_S)

    async def run_takers(self) -> None:
        while True:
            wait = self._random.expovariate(1 / self.taker_every_s) if self.taker_every_s > 0 else 1.0
            await asyncio.sleep(min(max(wait, 0.001), 60.0))
            if self.running and self.taker_every_s > 0:
                self.take_one()

    # Makers

    def refresh(self, market: Market) -> None:
        """Move the fair price now and then; cancel quotes out of place, add the missing, top up the eaten."""
        unit = self._floor.exchange.state.unit
        self._fund(self._makers, market)
        fair = self._fair.get(market.id)
        if fair is None:
            fair = self._fair[market.id] = self._first_fair(market)
        elif self._random.random() < DRIFT_CHANCE:
            step = market.tick * self._random.choice((-1, 1))
            low, high = market.tick * (LEVELS + 2), unit - market.tick * (LEVELS + 2)
            fair = self._fair[market.id] = min(max(fair + step, low), high)
        book = self._floor.exchange.books[market.id]
        for side in (book.bids, book.asks):
            self._refresh_side(market, side, fair)

    def _refresh_side(self, market: Market, side: Side, fair: int) -> None:
        unit = self._floor.exchange.state.unit
        sign = -1 if side.is_bid else 1
        wanted = {fair + sign * market.tick * n for n in range(1, LEVELS + 1)}
        standing: dict[int, int] = {}
        stale: list[int] = []
        for order in side.orders():
            if order.address in self._makers:
                if order.yes_price in wanted:
                    standing[order.yes_price] = standing.get(order.yes_price, 0) + order.remaining
                else:
                    stale.append(order.id)
        if stale:
            self._floor.submit(Remove(self._floor.now_ms(), stale))
        for price in sorted(wanted, reverse=side.is_bid):
            if standing.get(price, 0) < LEVEL_SHARES * unit // 2:
                size = (LEVEL_SHARES + self._random.randrange(-200, 500)) * unit
                maker = self._random.choice(self._makers)
                if side.is_bid:
                    self._place(market, maker, True, True, price, size, "LIMIT")
                else:
                    self._place(market, maker, False, True, unit - price, size, "LIMIT")

    def _first_fair(self, market: Market) -> int:
        """The middle of the book that stands, else the market's own first price."""
        unit, book = self._floor.exchange.state.unit, self._floor.exchange.books[market.id]
        bid, ask = book.bids.best(), book.asks.best()
        if bid is not None and ask is not None:
            return (bid + ask) // 2 // market.tick * market.tick
        return int(Decimal(str(market.info.get("fairPrice", "0.5"))) * unit) // market.tick * market.tick

    # Takers

    def take_one(self) -> bool:
        """One trade: a real account's resting order near the touch if there is one, else any best quote."""
        state = self._floor.exchange.state
        targets: list[tuple[Market, Order, int]] = []
        for market in state.markets.values():
            if market.trading == "OPEN":
                book = self._floor.exchange.books[market.id]
                for side in (book.bids, book.asks):
                    targets += [(market, order, ahead) for order, ahead in self._real_orders(market, side)]
        if targets:
            market, order, ahead = self._random.choice(targets)
            return self._hit(market, order, ahead + order.remaining)
        open_markets = [m for m in state.markets.values() if m.trading == "OPEN"]
        if not open_markets:
            return False
        market = self._random.choice(open_markets)
        book = self._floor.exchange.books[market.id]
        side = book.bids if self._random.random() < 0.5 else book.asks
        best = next(side.orders(), None)
        if best is None:
            return False
        return self._hit(market, best, self._random.randrange(5, 60) * state.unit)

    def take_order(self, order: Order, size: int | None = None) -> Match | None:
        """Trade against one resting order, taking what stands before it too; all of it without a size."""
        market = self._floor.exchange.state.markets[order.market_id]
        ahead = 0
        for other in self._floor.exchange.books[market.id].side_of(order).orders():
            if other is order:
                break
            ahead += other.remaining
        before = self._floor.exchange.state.next_match
        self._hit(market, order, ahead + min(size or order.remaining, order.remaining))
        latest = reversed(self._floor.exchange.state.matches.values())
        return next((m for m in latest if m.seq >= before), None)

    def _real_orders(self, market: Market, side: Side) -> list[tuple[Order, int]]:
        """Real accounts' orders within two ticks of the best, each with the size standing before it."""
        accounts = self._floor.exchange.state.accounts
        best = side.best()
        found: list[tuple[Order, int]] = []
        ahead = 0
        for order in side.orders():
            if best is None or abs(order.yes_price - best) > NEAR_TICKS * market.tick:
                break
            if not accounts[order.address].simulated:
                found.append((order, ahead))
            ahead += order.remaining
        return found

    def _hit(self, market: Market, target: Order, size: int) -> bool:
        """Trade against `target` up to its price: sell what is held, else buy the other outcome; or buy."""
        unit = self._floor.exchange.state.unit
        self._fund(self._takers, market)
        taker = self._random.choice(self._takers)
        account = self._floor.exchange.account(taker)
        yes_price = target.yes_price
        sell_yes = target.is_bid
        token = market.token(sell_yes)
        outcome_price = yes_price if sell_yes else unit - yes_price
        if account.free_shares(token) >= size and self._random.random() < 0.5:
            placed = self._place(market, taker, sell_yes, False, outcome_price, size, "MARKET")
        else:
            placed = self._place(market, taker, not sell_yes, True, unit - outcome_price, size, "MARKET")
        self.trades += placed
        return placed

    # Orders

    def _fund(self, addresses: list[str], market: Market) -> None:
        """Cash once, and a stock of both outcomes in each market."""
        exchange = self._floor.exchange
        for address in addresses:
            account = exchange.account(address)
            unit, now = exchange.state.unit, self._floor.now_ms()
            if account.free_cash < _CASH * unit // 10:
                grant_id = f"simulated {len(account.grants)}"
                self._floor.submit(Grant(now, address, grant_id, _CASH * unit, simulated=True))
            if address in self._takers and market.yes_token not in account.shares:
                self._floor.submit(Split(now, address, market.id, _SPLIT * unit))

    def _place(
        self, market: Market, address: str, is_yes: bool, is_buy: bool, price: int, size: int, strategy: str
    ) -> bool:
        unit = self._floor.exchange.state.unit
        self._nonce += 1
        place = Place(
            at=self._floor.now_ms(),
            hash="0x" + sha256(f"{address}:{self._nonce}".encode()).hexdigest(),
            address=address,
            market_id=market.id,
            is_yes=is_yes,
            is_buy=is_buy,
            price=price,
            size=size,
            cap=price * size // unit if is_buy else 0,
            strategy="MARKET" if strategy == "MARKET" else "LIMIT",
            expiration=_FAR_FUTURE,
            settle_ms=self._settle_ms,
        )
        if self._floor.exchange.refusal(place) is not None:
            return False
        self._floor.submit(place)
        return True


def _address(name: str) -> str:
    return "0x" + sha256(f"simulated {name}".encode()).hexdigest()[:40]
