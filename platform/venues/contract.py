"""What every venue adapter offers; the executor, listener, reconciler and market sync are written against this.

An adapter computes with its own wire format inside; what crosses this line is the kernel's words, Decimal and bytes.
Errors are the kernel's: Rejected, RetryLater, NotFound, UnknownOutcome (trading/errors.py).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Protocol
from uuid import UUID

import msgspec

from trading.enums import (
    Action,
    FeeKind,
    Liquidity,
    OrderStatus,
    OrderType,
    Outcome,
    Platform,
    SignerKind,
)
from trading.instruments import Book, MarketSpec
from venues.priority import Priority


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """An account's identity and opened secrets. Lives in memory only; its repr shows no secret."""

    account_id: str
    address: str
    """The maker: the EOA itself, or the smart account."""
    signer_kind: SignerKind
    private_key: bytes
    """32 bytes: the EOA's key, or the smart account owner's."""
    api_key: str | None = None
    proxy_url: str | None = None
    """When set, nothing of this account ever leaves without it."""

    def __repr__(self) -> str:
        return f"Credentials(account_id={self.account_id!r}, address={self.address!r})"


class OrderTicket(msgspec.Struct, frozen=True, kw_only=True):
    """One order to be built and signed. Price on the tick, size on the lot."""

    client_order_id: UUID
    market: MarketSpec
    outcome: Outcome
    action: Action
    price: Decimal
    size: Decimal
    order_type: OrderType = OrderType.LIMIT
    post_only: bool = False
    salt: int
    expires_at_s: int | None = None


class SignedOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order ready to leave: sending `body` again is the same order at the venue."""

    client_order_id: UUID
    order_hash: str
    body: bytes


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """The venue took the order. `duplicate` when it already had these very bytes."""

    order_hash: str
    venue_order_id: str = ""
    duplicate: bool = False
    sent_at_ns: int = 0
    """Unix nanoseconds just before the request's bytes were handed to the socket."""
    answered_at_ns: int = 0


class Cancellation(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a cancel request, by order hash."""

    cancelled: frozenset[str]
    """Taken off the book now."""
    gone: frozenset[str]
    """Already filled, cancelled or unknown-but-ours: ask for its state."""
    refused: frozenset[str]
    """Not now (a taker lock): ask again."""


class OrderState(msgspec.Struct, frozen=True, kw_only=True):
    """An order as the venue's REST tells it. Its status may lag behind the truth; fills are the truth."""

    order_hash: str
    venue_order_id: str
    market_id: str
    status: OrderStatus
    size: Decimal
    filled: Decimal
    """Settled quantity only on Predict.fun."""
    is_invalidated: bool = False
    """The venue itself took it off because it could not be matched or settled any more."""


class VenueFill(msgspec.Struct, frozen=True, kw_only=True):
    """One settled execution of one of the account's orders, from REST."""

    trade_id: str
    settlement_id: str
    order_hash: str
    market_id: str
    outcome: Outcome
    action: Action
    price: Decimal
    size: Decimal
    liquidity: Liquidity
    fee: Decimal
    fee_kind: FeeKind
    transaction_hash: str
    executed_at_ms: int


class VenuePosition(msgspec.Struct, frozen=True, kw_only=True):
    """Shares the venue (or the chain) says the account holds."""

    market_id: str
    outcome: Outcome
    size: Decimal


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """Collateral on chain, and what of it open buy orders reserve."""

    total: Decimal
    reserved: Decimal


class WalletEventKind(StrEnum):
    """What the venue's private stream says about an order."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    MATCHED = "matched"
    SETTLED = "settled"
    SETTLEMENT_FAILED = "settlement_failed"
    CONNECTED = "connected"
    """Subscribed: everything before this moment must now be read by REST, before what follows is trusted."""
    DISCONNECTED = "disconnected"


class WalletEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One message of the private stream, in the kernel's words. Execution fields are set for matched/settled/failed."""

    kind: WalletEventKind
    received_at_ns: int
    venue_time_ms: int = 0
    order_hash: str = ""
    venue_order_id: str = ""
    market_id: str = ""
    outcome: Outcome | None = None
    action: Action | None = None
    trade_id: str = ""
    settlement_id: str = ""
    price: Decimal | None = None
    size: Decimal | None = None
    liquidity: Liquidity | None = None
    fee: Decimal | None = None
    fee_kind: FeeKind | None = None
    transaction_hash: str = ""
    reason: str = ""


class OrderSigner(Protocol):
    """Builds and signs orders: pure computation, no I/O. Keeps key object and domain separators warm."""

    def sign(self, ticket: OrderTicket) -> SignedOrder:
        """The signed bytes and hash. Raises InvalidValue for a price or size the venue cannot express."""
        ...


class VenueClient(Protocol):
    """One account's authenticated connection to a venue: one pooled session, its own proxy, its token kept warm."""

    async def connect(self) -> None:
        """Log in and warm the connection, so that the first order pays for neither."""
        ...

    async def close(self) -> None: ...

    async def submit(self, order: SignedOrder) -> Submission:
        """POST the journaled bytes. Raises Rejected, RetryLater or UnknownOutcome; never re-sends by itself."""
        ...

    def begin(
        self, order: SignedOrder, *, priority: Priority, permit: Callable[[], None]
    ) -> Awaitable[Submission] | None:
        """`submit` begun: the bytes are on the socket when this returns, and what it returns has the answer, as from
        `submit`. None, with nothing done, when something has to be waited for first, or the account has a proxy.

        `permit` is asked in the very step that writes; what it raises comes through, and nothing left."""
        ...

    async def cancel(self, order_hashes: Sequence[str]) -> Cancellation: ...

    async def fetch_order(self, order_hash: str) -> OrderState:
        """Raises NotFound when the venue has no such order (yet)."""
        ...

    async def fetch_open_orders(self) -> list[OrderState]: ...

    async def fetch_fills(self, since_ms: int) -> list[VenueFill]:
        """Every settled execution of this account's orders at or after `since_ms`, oldest first."""
        ...

    async def fetch_positions(self) -> list[VenuePosition]: ...

    async def fetch_balance(self) -> Balance: ...

    def stream_wallet(self) -> AsyncIterator[WalletEvent]:
        """The private stream, for ever: reconnects with back-off and jitter, yields CONNECTED after each subscribe.

        Frames that arrive after CONNECTED are buffered while the reader is busy reading REST.
        """
        ...


class MarketData(Protocol):
    """A venue's public side."""

    platform: Platform

    def fetch_markets(self) -> AsyncIterator[MarketSpec]:
        """Every market the venue lists as open, page by page."""
        ...

    async def fetch_market(self, market_id: str) -> MarketSpec: ...

    async def fetch_book(self, market_id: str) -> Book: ...

    async def close(self) -> None: ...
