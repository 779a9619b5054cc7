"""What trading needs to know of a market: its tokens, grid, minimums, fee and flags. Filled in by a venue adapter."""

from decimal import Decimal

import msgspec

from trading.enums import MarketStatus, Outcome, Platform
from trading.values import complement


class MarketSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One binary market at one venue, as far as an order depends on it."""

    platform: Platform
    market_id: str
    """The venue's own id, as a string: what the bus and every row call `market_id`."""
    title: str
    question: str
    slug: str = ""
    category: str = ""
    status: MarketStatus
    yes_token: str
    no_token: str
    """ERC-1155 token ids as decimal strings."""
    condition_id: str = ""
    tick: Decimal
    lot: Decimal
    """Sizes are multiples of this."""
    min_size: Decimal
    min_value: Decimal
    """Least size in shares, and least price × size in collateral, that the venue takes."""
    fee_rate_bps: int
    is_neg_risk: bool = False
    is_yield_bearing: bool = False
    ends_at_ms: int | None = None
    payout_yes: Decimal | None = None
    """What a yes share paid once resolved: 1, 0 or 0.5."""

    def token(self, outcome: Outcome) -> str:
        """The token id of `outcome`."""
        return self.yes_token if outcome is Outcome.YES else self.no_token


class Level(msgspec.Struct, frozen=True, array_like=True):
    """One price level of a book."""

    price: Decimal
    size: Decimal


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """A market's book, priced in YES: asks ascending, bids descending."""

    market_id: str
    updated_at_ms: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]

    def view(self, outcome: Outcome) -> "Book":
        """The same book in `outcome`'s own prices: for NO every bid at p becomes an ask at 1 − p."""
        if outcome is Outcome.YES:
            return self
        return Book(
            market_id=self.market_id,
            updated_at_ms=self.updated_at_ms,
            bids=tuple(Level(complement(level.price), level.size) for level in self.asks),
            asks=tuple(Level(complement(level.price), level.size) for level in self.bids),
        )
