"""Predict.fun's wire formats as msgspec structs: only the fields we use, everything else ignored.

JSON numbers that carry prices or sizes decode to Decimal with exactly their digits. Shapes: venues/predict.md, 2–7.
"""

from datetime import datetime
from decimal import Decimal
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class Wire(msgspec.Struct, frozen=True, rename="camel"):
    """Base of everything received."""


class ErrorEnvelope(Wire, frozen=True):
    """The venue's own "no". `error` is the stable slug; `message` is for people and may change."""

    success: bool
    code: int
    error: str
    message: str = ""


class Data(Wire, Generic[T], frozen=True):
    """The success envelope of one thing."""

    success: bool
    data: T


class Page(Wire, Generic[T], frozen=True):
    """The success envelope of a list; `cursor` is None on the last page."""

    success: bool
    data: list[T]
    cursor: str | None = None


class AuthMessage(Wire, frozen=True):
    message: str


class AuthToken(Wire, frozen=True):
    token: str


class CreatedOrder(Wire, frozen=True):
    order_id: str | int
    order_hash: str
    code: str = ""


class Removal(Wire, frozen=True):
    """Answer of remove-by-hash: lists are top-level, not under `data`."""

    success: bool
    removed: list[str]
    noop: list[str]
    rejected: list[str]


class WireOutcome(Wire, frozen=True):
    """`index_set` 1 is yes, 2 is no; names may be Up and Down."""

    index_set: int
    on_chain_id: str
    status: str | None = None


class WireMarket(Wire, frozen=True):
    id: int
    title: str
    question: str
    category_slug: str
    status: str
    trading_status: str
    is_neg_risk: bool
    is_yield_bearing: bool
    fee_rate_bps: int
    decimal_precision: int
    condition_id: str
    outcomes: list[WireOutcome]


class WireCategory(Wire, frozen=True):
    """`markets` are `WireMarket`s, decoded one by one: an odd one must not hide the others."""

    slug: str
    title: str
    ends_at: datetime | None = None
    markets: list[msgspec.Raw] = []


class WireBook(Wire, frozen=True):
    """Priced in yes; float64 artefacts in the digits are normal."""

    market_id: int
    update_timestamp_ms: int
    asks: list[tuple[Decimal, Decimal]]
    bids: list[tuple[Decimal, Decimal]]


class SignedFields(Wire, frozen=True):
    hash: str


class WireOrder(Wire, frozen=True):
    """Amounts are wei strings; `amount_filled` counts settled quantity only."""

    id: str | int
    market_id: int
    amount: str
    amount_filled: str
    status: str
    order: SignedFields


class WireFee(Wire, frozen=True):
    amount: str
    type: str


class Leg(Wire, frozen=True):
    """One order's part in a match: `price` is its limit in its own outcome, `amount` what it moved, in wei."""

    hash: str
    signer: str
    quote_type: str
    price: str
    amount: str
    outcome: WireOutcome
    fee: WireFee


class MarketRef(Wire, frozen=True):
    id: int


class WireMatch(Wire, frozen=True):
    """One settled match. `price_executed` is in the taker's outcome, an average over its makers."""

    market: MarketRef
    taker: Leg
    makers: list[Leg]
    price_executed: str
    settlement_id: str
    transaction_hash: str
    executed_at: datetime


class WirePosition(Wire, frozen=True):
    amount: str
    market: MarketRef
    outcome: WireOutcome


class Reserved(Wire, frozen=True):
    type: str
    amount: str


class Frame(Wire, frozen=True):
    """One WebSocket frame: a reply ("R") or a push ("M"). The wallet topic holds the token: never log a topic."""

    type: str
    topic: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")
    request_id: int | None = None
    success: bool | None = None
    error: msgspec.Raw = msgspec.Raw(b"null")
    grace_ms: int | None = None


class Notice(Wire, frozen=True):
    """A push's data, as far as it may be the notice that the connection will close in `grace_ms`."""

    grace_ms: int | None = None


class WireFill(Wire, frozen=True):
    executed_price_wei: str
    executed_size_wei: str


class WireStreamFee(Wire, frozen=True):
    amount_wei: str
    type: str


class WalletDetails(Wire, frozen=True):
    """Quantities in here are rounded: exact sizes come from `fill` alone."""

    market_id: int
    outcome: str
    quote_type: str
    outcome_index: int | None = None


class WireWalletEvent(Wire, frozen=True):
    type: str
    order_hash: str
    timestamp: int
    order_id: str | int = ""
    details: WalletDetails | None = None
    settlement_id: str = ""
    fill: WireFill | None = None
    is_maker: bool | None = None
    fee: WireStreamFee | None = None
    transaction_hash: str | None = None
    reason: str | None = None


class RpcAnswer(msgspec.Struct, frozen=True):
    """A JSON-RPC answer to an eth_call."""

    result: str | None = None
    error: msgspec.Raw | None = None
