"""The inputs of a paper exchange, as its journal holds them. Applying the same entries gives the same state.

Each carries its own time (`at`, unix ms), so a replay needs no clock.
"""

from typing import Any, Literal

import msgspec

from paper.records import SelfTrade


class Entry(msgspec.Struct, array_like=True):
    at: int


class Grant(Entry, tag="grant"):
    """Register an account (idempotent) and, once per grant id, give it cash and shares of complete sets."""

    address: str
    grant_id: str
    cash: int
    owner: str | None = None
    simulated: bool = False


class OpenMarket(Entry, tag="market"):
    id: int
    yes_token: str
    no_token: str
    tick: int
    fee_bps: int
    info: dict[str, Any]


class SetTrading(Entry, tag="trading"):
    market_id: int
    trading: str


class Place(Entry, tag="place"):
    hash: str
    address: str
    market_id: int
    is_yes: bool
    is_buy: bool
    price: int
    size: int
    cap: int
    strategy: Literal["LIMIT", "MARKET"]
    expiration: int
    settle_ms: int
    run_at: int = 0
    budget: int | None = None
    post_only: bool = False
    fill_or_kill: bool = False
    self_trade: SelfTrade = "CANCEL_MAKER"
    skip_reserved: bool = False
    raw: dict[str, Any] | None = None
    first: int = 0
    """A fault: match at most so much at once, and the rest at `rest_at`. 0: no such fault."""
    rest_at: int = 0
    spurned: bool = False
    """A fault: cancel it right after taking it, as a post-only order that would take."""


class Run(Entry, tag="run"):
    """A delayed taker's lock has ended: match it now."""

    order_id: int
    settle_ms: int


class Repeat(Entry, tag="repeat"):
    """The same signed order came again and was refused; counted for audits."""

    hash: str


class Remove(Entry, tag="remove"):
    order_ids: list[int]


class Expire(Entry, tag="expire"):
    order_id: int


class Settle(Entry, tag="settle"):
    match_id: str
    ok: bool = True


class Split(Entry, tag="split"):
    """Cash into complete sets (amount > 0), or complete sets into cash (amount < 0)."""

    address: str
    market_id: int
    amount: int


class Resolve(Entry, tag="resolve"):
    """`payout` is what one YES share pays, in base units; NO pays the rest of one unit."""

    market_id: int
    payout: int


class Redeem(Entry, tag="redeem"):
    address: str
    market_id: int


AnyEntry = Grant | OpenMarket | SetTrading | Place | Repeat | Run | Remove | Expire | Settle | Split | Resolve | Redeem
