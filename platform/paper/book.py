"""One market's order book, priced in YES. Kept by the exchange; price first, then time.

A NO order rests at its YES-equivalent price: buying NO at p is an ask at 1−p, selling NO at p a bid at 1−p.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator

from paper.records import Order


class Side:
    """Resting orders of one side: sorted prices, and at each price the orders in arrival order."""

    def __init__(self, is_bid: bool) -> None:
        self.is_bid = is_bid
        self.prices: list[int] = []
        self.levels: dict[int, dict[int, Order]] = {}
        self.depth: dict[int, int] = {}

    def add(self, order: Order) -> None:
        price = order.yes_price
        level = self.levels.get(price)
        if level is None:
            level = self.levels[price] = {}
            self.depth[price] = 0
            insort(self.prices, price)
        level[order.id] = order
        self.depth[price] += order.remaining

    def reduce(self, order: Order, size: int) -> None:
        """Take `size` off a resting order; call before `matched` grows. An emptied order leaves the book."""
        price = order.yes_price
        self.depth[price] -= size
        if order.remaining == size:
            self._drop(order)

    def remove(self, order: Order) -> None:
        self.depth[order.yes_price] -= order.remaining
        self._drop(order)

    def _drop(self, order: Order) -> None:
        price = order.yes_price
        level = self.levels[price]
        del level[order.id]
        if not level:
            del self.levels[price]
            del self.depth[price]
            del self.prices[bisect_left(self.prices, price)]

    def best(self) -> int | None:
        if not self.prices:
            return None
        return self.prices[-1] if self.is_bid else self.prices[0]

    def best_first(self) -> Iterator[int]:
        return iter(reversed(self.prices)) if self.is_bid else iter(self.prices)

    def orders(self) -> Iterator[Order]:
        """Best price first, oldest first. Do not change the book while iterating."""
        for price in self.best_first():
            yield from self.levels[price].values()

    def tiers(self) -> list[tuple[int, int]]:
        return [(price, self.depth[price]) for price in self.best_first()]


class Book:
    def __init__(self) -> None:
        self.bids = Side(is_bid=True)
        self.asks = Side(is_bid=False)

    def side_of(self, order: Order) -> Side:
        return self.bids if order.is_bid else self.asks

    def opposite(self, order: Order) -> Side:
        return self.asks if order.is_bid else self.bids

    def crosses(self, order: Order) -> bool:
        """True when the order would trade at once, by its limit in YES terms."""
        best = self.opposite(order).best()
        if best is None:
            return False
        return order.yes_price >= best if order.is_bid else order.yes_price <= best
