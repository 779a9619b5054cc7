"""Marks: the middle of a market's book, read before an order is judged where a price band is set. The intake asks.

A book that cannot be had holds up nothing: the order is then judged by the last mark, or the last price, known there.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from accounts.answers import utc_now
from trading.enums import Platform
from trading.errors import TradingError
from trading.instruments import Book
from trading.values import exact
from venues.contract import MarketData
from venues.registry import Endpoints, market_data
from venues.shared_budget import Budgets

Pool = AsyncConnectionPool[AsyncConnection[Any]]

FRESH = timedelta(seconds=5)
PATIENCE_S = 1.0
_HALF = Decimal("0.5")

_DUE = """
SELECT m.platform, m.market_id FROM markets_market m
WHERE m.id = %s AND (m.marked_at IS NULL OR m.marked_at < %s)
  AND EXISTS (SELECT 1 FROM markets_marketlimit l
              WHERE (l.market_id = m.id OR l.market_id IS NULL) AND l.price_band IS NOT NULL)
"""
_RECORD = "UPDATE markets_market SET mark = %s, marked_at = %s WHERE id = %s"

log = structlog.get_logger()


class Marks:
    """One process's way to books. `close` it."""

    def __init__(self, pool: Pool, endpoints: Mapping[Platform, Endpoints], budgets: Budgets | None = None) -> None:
        self._pool = pool
        self._budgets = budgets or Budgets()
        self._endpoints = endpoints
        self._venues: dict[Platform, MarketData] = {}

    async def refresh(self, market_key: str) -> None:
        """Have a mark of the last seconds on the market's row, where a band is set. Raises only what the pool does."""
        now = utc_now()
        async with self._pool.connection() as conn:
            row = await (await conn.execute(_DUE, (market_key, now - FRESH), prepare=True)).fetchone()
        if row is None or Platform(row[0]) not in self._endpoints:
            return
        try:
            async with asyncio.timeout(PATIENCE_S):
                mark = middle(await self._venue(Platform(row[0])).fetch_book(row[1]))
        except (TradingError, TimeoutError) as error:
            log.warning("mark_not_read", market=market_key, error=type(error).__name__)
            return
        if mark is not None:
            async with self._pool.connection() as conn:
                await conn.execute(_RECORD, (mark, now, market_key), prepare=True)

    async def close(self) -> None:
        """Close every connection."""
        venues, self._venues = list(self._venues.values()), {}
        for venue in venues:
            await venue.close()

    def _venue(self, platform: Platform) -> MarketData:
        if platform not in self._venues:
            endpoints = self._endpoints[platform]
            self._venues[platform] = market_data(
                platform, endpoints, budget=self._budgets.of(platform, endpoints.api_key)
            )
        return self._venues[platform]


def middle(book: Book) -> Decimal | None:
    """Half way between the best prices of YES; None when a side is empty, for then it says nothing."""
    if not book.bids or not book.asks:
        return None
    with exact():
        return (book.bids[0].price + book.asks[0].price) * _HALF
