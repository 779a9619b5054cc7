"""What a paper exchange remembers: accounts, markets, orders, matches. Written only by the exchange.

All money, prices and sizes are integers in base units; `unit` is one whole (10**18 on Predict.fun).
"""

from typing import Any, Literal

import msgspec

Status = Literal["OPEN", "FILLED", "CANCELLED", "EXPIRED", "INVALIDATED"]
MatchState = Literal["pending", "settled", "failed"]
SelfTrade = Literal["CANCEL_MAKER", "CANCEL_TAKER", "CANCEL_BOTH"]


class Account(msgspec.Struct):
    """`cash` and `shares` are what a chain would show; reserved backs open orders, pending backs unsettled matches."""

    address: str
    owner: str | None = None
    simulated: bool = False
    cash: int = 0
    reserved_cash: int = 0
    pending_cash: int = 0
    shares: dict[str, int] = {}
    reserved_shares: dict[str, int] = {}
    pending_shares: dict[str, int] = {}
    cost: dict[str, int] = {}
    orders: list[int] = []
    grants: list[str] = []

    @property
    def free_cash(self) -> int:
        return self.cash - self.reserved_cash - self.pending_cash

    def free_shares(self, token: str) -> int:
        return self.shares.get(token, 0) - self.reserved_shares.get(token, 0) - self.pending_shares.get(token, 0)


class Market(msgspec.Struct):
    """One binary question. `collateral` is the cash locked under its outcome sets."""

    id: int
    yes_token: str
    no_token: str
    tick: int
    fee_bps: int
    info: dict[str, Any]
    trading: str = "OPEN"
    payout: int | None = None
    collateral: int = 0
    volume: int = 0
    updated_at: int = 0
    last_match: str | None = None

    def token(self, is_yes: bool) -> str:
        return self.yes_token if is_yes else self.no_token


class Order(msgspec.Struct):
    """`price` is the limit in the order's own outcome; `cap` the most a buy may spend; `budget` set = spend it all.

    `matched` runs ahead of `settled`; only settled quantity is shown as filled.
    """

    id: int
    hash: str
    address: str
    market_id: int
    is_yes: bool
    is_buy: bool
    price: int
    size: int
    cap: int
    strategy: Literal["LIMIT", "MARKET"]
    created_at: int
    expiration: int
    yes_price: int
    budget: int | None = None
    post_only: bool = False
    fill_or_kill: bool = False
    self_trade: SelfTrade = "CANCEL_MAKER"
    raw: dict[str, Any] | None = None
    status: Status = "OPEN"
    matched: int = 0
    settled: int = 0
    spent: int = 0
    reserved: int = 0
    unsettled: int = 0
    resting: bool = False
    run_at: int = 0
    changed_at: int = 0
    settled_before: int = 0
    reason: str = ""

    @property
    def remaining(self) -> int:
        return self.size - self.matched

    @property
    def is_bid(self) -> bool:
        """A bid in the YES-priced book: buying YES or selling NO."""
        return self.is_buy == self.is_yes


class Leg(msgspec.Struct):
    """One order's part in a match. `price` is the order's limit, `executed` what it got, both in its own outcome."""

    order_id: int
    hash: str
    address: str
    is_yes: bool
    is_buy: bool
    price: int
    executed: int
    size: int
    value: int
    fee: int
    is_maker: bool


class Match(msgspec.Struct):
    id: str
    seq: int
    market_id: int
    taker: Leg
    makers: list[Leg]
    size: int
    price: int
    minted: int
    matched_at: int
    due_at: int
    strategy: str
    state: MatchState = "pending"
    closed_at: int = 0

    def legs(self) -> list[Leg]:
        return [self.taker, *self.makers]


class State(msgspec.Struct):
    """Everything a restart must bring back."""

    unit: int
    seq: int = 0
    next_order_id: int = 1_000_001
    next_match: int = 1
    issued: int = 0
    accounts: dict[str, Account] = {}
    markets: dict[int, Market] = {}
    orders: dict[int, Order] = {}
    hashes: dict[str, int] = {}
    matches: dict[str, Match] = {}
    repeats: dict[str, int] = {}
    """Order hash to how often it was sent again after it had been accepted."""
    resting: list[int] = []
    """Ids in book order; filled in only while a snapshot is written."""
