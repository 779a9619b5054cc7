"""The ledger's words: rows as the engine reads them, and what it is asked to record."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec

from trading.enums import (
    Action,
    FeeKind,
    Liquidity,
    Mode,
    OrderOrigin,
    OrderStatus,
    OrderType,
    Outcome,
    Settlement,
)
from trading.values import ZERO


class NewOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order about to become a row: INITIALIZED (an intention), SUBMITTED (signed bytes inside) or DENIED."""

    id: UUID
    account_id: UUID
    market_key: str
    outcome: Outcome
    action: Action
    price: Decimal
    size: Decimal
    order_type: OrderType = OrderType.LIMIT
    post_only: bool = False
    status: OrderStatus = OrderStatus.INITIALIZED
    reason: str = ""
    origin: OrderOrigin = OrderOrigin.USER
    mode: Mode = Mode.PAPER
    exposure_id: UUID | None = None
    strategy_id: UUID | None = None
    cause: str = ""
    leg: int = 0
    rung: int = 0
    salt: int = 0
    expires_at_s: int | None = None
    order_hash: str | None = None
    body: bytes | None = None
    sender: str = ""
    cause_at: datetime | None = None


class OrderRow(msgspec.Struct, frozen=True):
    """An order row as the executor, the dispatch and the recovery read it. Field order is `COLUMNS`."""

    id: UUID
    account_id: UUID
    account_name: str
    platform: str
    market_key: str
    market_id: str
    outcome: str
    action: str
    order_type: str
    post_only: bool
    price: Decimal
    size: Decimal
    filled: Decimal
    status: str
    reason: str
    origin: str
    exposure_id: UUID | None
    strategy_id: UUID | None
    cause: str
    leg: int
    rung: int
    salt: int
    expires_at_s: int | None
    order_hash: str | None
    venue_order_id: str
    body: bytes | None
    sender: str
    attempts: int
    cancel_requested_at: datetime | None
    cause_at: datetime | None
    created_at: datetime
    submitted_at: datetime | None
    sent_at: datetime | None
    answered_at: datetime | None
    updated_at: datetime
    latency_us: int | None
    announced: str

    @property
    def remaining(self) -> Decimal:
        """Shares not filled yet, whatever the status says."""
        return max(self.size - self.filled, ZERO)


class Standing(msgspec.Struct, frozen=True):
    """What the bus is told of an order, read without the rest of its row. Field order is `STANDING`."""

    id: str
    account_id: str
    account_name: str
    platform: str
    market_id: str
    outcome: str
    action: str
    price: Decimal
    size: Decimal
    filled: Decimal
    status: str
    reason: str
    origin: str
    exposure_id: str | None
    order_hash: str | None
    venue_order_id: str
    latency_us: int | None
    announced: str


STANDING = """
    o.id::text, o.account_id::text, a.name, a.platform, m.market_id, o.outcome, o.action, o.price, o.size, o.filled,
    o.status, o.reason, o.origin, o.exposure_id::text, o.order_hash, o.venue_order_id, o.latency_us, o.announced
"""
"""Needs what `COLUMNS` needs."""

COLUMNS = """
    o.id, o.account_id, a.name, a.platform, o.market_id, m.market_id, o.outcome, o.action, o.order_type, o.post_only,
    o.price, o.size, o.filled, o.status, o.reason, o.origin, o.exposure_id, o.strategy_id, o.cause, o.leg, o.rung,
    o.salt, o.expires_at_s, o.order_hash, o.venue_order_id, o.body, o.sender, o.attempts, o.cancel_requested_at,
    o.cause_at, o.created_at, o.submitted_at, o.sent_at, o.answered_at, o.updated_at, o.latency_us, o.announced
"""
"""Needs `accounts_order o`, `accounts_account a` and `markets_market m` joined."""


class OrderProgress(msgspec.Struct, frozen=True):
    """An order that fills move, as it stands after them."""

    id: UUID
    exposure_id: UUID | None
    account_id: UUID
    market_key: str
    outcome: str
    action: str
    price: Decimal
    size: Decimal
    filled: Decimal
    status: str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a sent order, as far as its sender learned."""

    client_order_id: UUID
    status: OrderStatus
    venue_order_id: str = ""
    reason: str = ""
    sent_at: datetime | None = None
    answered_at: datetime | None = None


class VenueWord(msgspec.Struct, frozen=True, kw_only=True):
    """The venue's own word on an order: from the wallet stream, or found by evidence."""

    account_id: UUID
    order_hash: str
    status: OrderStatus
    venue_order_id: str = ""
    reason: str = ""


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """One execution as it came off the bus, with the settlement it speaks of."""

    settlement: Settlement
    account_id: UUID
    market_key: str
    trade_id: str
    settlement_id: str
    order_hash: str
    outcome: Outcome
    action: Action
    price: Decimal
    size: Decimal
    fee: Decimal | None
    fee_kind: FeeKind | None
    liquidity: Liquidity | None
    transaction_hash: str
    venue_time: datetime | None
    received_at: datetime


class RecordedFill(msgspec.Struct, frozen=True, kw_only=True):
    """What recording one execution changed: it appears only when something did.

    `shares` is signed toward having the fill (+size when it enters, −size when a failed settlement takes it back, 0
    when only its fee became known); `share_fee` likewise is the change of shares taken as fee.
    """

    trade_id: str
    account_id: UUID
    market_key: str
    order_id: UUID | None
    exposure_id: UUID | None
    strategy_id: UUID | None
    outcome: Outcome
    action: Action
    price: Decimal
    shares: Decimal
    share_fee: Decimal
    settlement: Settlement
    received_at: datetime
