"""Who trades with whom, and how much. Called by the exchange; changes nothing itself.

Fills run at the maker's price, best price first, oldest first. A fill is complementary (buy against sell of one
outcome), a mint (buy YES with buy NO: a new set) or a merge (sell with sell: a set dissolved).
"""

from typing import Literal

import msgspec

from paper.book import Book
from paper.records import Order


class Fill(msgspec.Struct):
    """`price` is in the taker's outcome; both values are floors, the operator carries the odd base unit."""

    maker: Order
    size: int
    price: int


class Plan(msgspec.Struct):
    fills: list[Fill]
    drops: list[tuple[Order, Literal["CANCELLED", "EXPIRED"]]]
    stopped: bool
    """The taker itself must be cancelled: its own resting order was in the way."""


def plan_match(taker: Order, book: Book, unit: int, now_ms: int, most: int | None = None) -> Plan:
    """What an arriving order gets now; with `most`, no more shares than that."""
    fills: list[Fill] = []
    drops: list[tuple[Order, Literal["CANCELLED", "EXPIRED"]]] = []
    stopped = False
    left = taker.remaining if most is None else min(taker.remaining, most)
    budget = None if taker.budget is None else taker.budget - taker.spent
    for maker in book.opposite(taker).orders():
        price = maker.yes_price if taker.is_yes else unit - maker.yes_price
        if (price > taker.price) if taker.is_buy else (price < taker.price):
            break
        if maker.expiration * 1000 <= now_ms:
            drops.append((maker, "EXPIRED"))
            continue
        if maker.address == taker.address:
            if taker.self_trade != "CANCEL_TAKER":
                drops.append((maker, "CANCELLED"))
            if taker.self_trade != "CANCEL_MAKER":
                stopped = True
                break
            continue
        size = min(left, maker.remaining)
        if budget is not None:
            size = min(maker.remaining, budget * unit // price)
        if size <= 0:
            break
        fills.append(Fill(maker, size, price))
        left -= size
        if budget is not None:
            budget -= price * size // unit
        elif left == 0:
            break
    incomplete = left > 0 if budget is None else budget * 10_000 > (taker.budget or 0)
    if taker.fill_or_kill and incomplete:
        fills, drops = [], []
    return Plan(fills, drops, stopped)
