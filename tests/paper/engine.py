"""A bare exchange for tests of the engine: no sockets, no signatures, a clock that is an argument."""

from typing import Any

from paper import entries
from paper.exchange import Event, Exchange
from paper.records import Match, Order, State

WEI = 10**18
CENT = 10**16
FOREVER = 4_102_444_800


class Desk:
    """One market with 1-cent ticks and a 2 % fee, and accounts named by a letter."""

    def __init__(self, fee_bps: int = 200) -> None:
        self.exchange = Exchange(State(unit=WEI))
        self.state = self.exchange.state
        self.now = 1_000_000
        self.count = 0
        self.events: list[Event] = []
        info = {"outcomes": ["Yes", "No"]}
        self.do(entries.OpenMarket(self.now, 1, "yes-token", "no-token", CENT, fee_bps, info))

    def do(self, entry: entries.AnyEntry) -> list[Event]:
        self.events = self.exchange.apply(entry)
        return self.events

    def fund(self, name: str, cash: int = 1000 * WEI, sets: int = 0) -> None:
        self.do(entries.Grant(self.now, name, f"{self.count}", cash + sets))
        if sets:
            self.do(entries.Split(self.now, name, 1, sets))

    def entry(self, name: str, action: str, outcome: str, cents: int, size: int, **more: Any) -> entries.Place:
        self.count += 1
        price = more.pop("price", cents * CENT)
        values: dict[str, Any] = {
            "at": self.now,
            "hash": f"hash{self.count}",
            "address": name,
            "market_id": 1,
            "is_yes": outcome == "yes",
            "is_buy": action == "buy",
            "price": price,
            "size": size,
            "cap": price * size // WEI if action == "buy" else 0,
            "strategy": "LIMIT",
            "expiration": FOREVER,
            "settle_ms": 100,
        }
        return entries.Place(**{**values, **more})

    def place(self, name: str, action: str, outcome: str, cents: int, shares: int, **more: Any) -> Order:
        entry = self.entry(name, action, outcome, cents, shares * WEI, **more)
        assert self.exchange.refusal(entry) is None
        self.do(entry)
        return self.state.orders[self.state.hashes[entry.hash]]

    def matches(self) -> list[Match]:
        return list(self.state.matches.values())

    def settle_all(self, ok: bool = True) -> None:
        for match in self.matches():
            self.do(entries.Settle(self.now + 100, match.id, ok))

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]
