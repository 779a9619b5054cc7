"""Best prices of the markets traded lately, once a minute into the warehouse, and read back for the pages.

The warehouse may be away: then nothing is kept and nothing shown; trading does not depend on it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from markets.endpoints import load_endpoints
from markets.models import Market, market_key
from trading.enums import MarketStatus, Outcome, Platform
from trading.errors import VenueError
from trading.instruments import Book
from trading.values import ONE, exact
from venues.registry import market_data
from warehouse.clickhouse import Client, connect
from warehouse.schema import apply_schema

TRADED_WITHIN = timedelta(days=1)
MOST_MARKETS = 60
COLUMNS = ("platform", "market_id", "time", "best_bid", "best_ask", "mid")
_HALF = Decimal("0.5")


@dataclass(frozen=True)
class Quote:
    """A market's best prices of YES at one time; None for an empty side."""

    time: datetime
    bid: Decimal | None
    ask: Decimal | None


@dataclass(frozen=True)
class LastFill:
    """Our newest fill in a market, its price that of YES."""

    time: datetime
    price: Decimal


def load_traded(now: datetime) -> list[Market]:
    """Open markets somebody here ordered in lately."""
    open_ones = Market.objects.filter(status=MarketStatus.OPEN.value, synced_at__isnull=False)
    recent = open_ones.filter(orders__created_at__gte=now - TRADED_WITHIN)
    return list(recent.distinct().order_by("id")[:MOST_MARKETS])


async def fetch_book(platform: Platform, market_id: str) -> Book:
    """One book, read without any account's keys. Raises VenueError; InvalidValue for a platform without adapter."""
    venue = market_data(platform, load_endpoints()[platform])
    try:
        return await venue.fetch_book(market_id)
    finally:
        await venue.close()


def record_quotes(client: Client, markets: Sequence[Market], now: datetime) -> int:
    """Ask each market's venue for its book and keep the best prices; a book that cannot be had is left out."""
    rows = asyncio.run(_fetch_rows(markets, now))
    for platform, market_id, at, _, _, mid in rows:
        if mid is not None:
            Market.objects.filter(pk=market_key(platform, market_id)).update(mark=mid, marked_at=at)
    if rows:
        client.insert("market_history", rows, column_names=list(COLUMNS))
    return len(rows)


async def _fetch_rows(markets: Sequence[Market], now: datetime) -> list[list[Any]]:
    rows: list[list[Any]] = []
    endpoints = load_endpoints()
    for platform in sorted({Platform(market.platform) for market in markets} & endpoints.keys()):
        venue = market_data(platform, endpoints[platform])
        try:
            for market in markets:
                if market.platform != platform.value:
                    continue
                try:
                    bid, ask = best_of(await venue.fetch_book(market.market_id))
                except VenueError:
                    continue
                rows.append([platform.value, market.market_id, now, bid, ask, middle(bid, ask)])
        finally:
            await venue.close()
    return rows


def best_of(book: Book) -> tuple[Decimal | None, Decimal | None]:
    """(best bid, best ask) of YES."""
    return book.bids[0].price if book.bids else None, book.asks[0].price if book.asks else None


def middle(bid: Decimal | None, ask: Decimal | None) -> Decimal | None:
    """Half way between both, exactly; None when a side is empty."""
    if bid is None or ask is None:
        return None
    with exact():
        return (bid + ask) * _HALF


@cache
def warehouse(url: str) -> Client:
    """This process's client, its tables made. Raises one of OUTAGES, which is not remembered."""
    client = connect(url)
    apply_schema(client)
    return client


def load_history(client: Client, market: Market, since: datetime) -> list[Quote]:
    """The market's kept prices since then, oldest first. Raises one of OUTAGES."""
    found = client.query(
        "SELECT time, best_bid, best_ask FROM market_history FINAL WHERE platform = {platform:String}"
        " AND market_id = {market:String} AND time >= {since:DateTime64(3, 'UTC')} ORDER BY time LIMIT 2000",
        parameters={"platform": market.platform, "market": market.market_id, "since": since},
    )
    return [Quote(*row) for row in found.result_rows]


def load_quote_before(client: Client, market: Market, at: datetime, since: datetime) -> Quote | None:
    """The newest kept prices at or before `at`, not older than `since`. Raises one of OUTAGES."""
    found = client.query(
        "SELECT time, best_bid, best_ask FROM market_history FINAL WHERE platform = {platform:String}"
        " AND market_id = {market:String} AND time >= {since:DateTime64(3, 'UTC')}"
        " AND time <= {at:DateTime64(3, 'UTC')} ORDER BY time DESC LIMIT 1",
        parameters={"platform": market.platform, "market": market.market_id, "since": since, "at": at},
    )
    return next((Quote(*row) for row in found.result_rows), None)


def load_last_quotes(client: Client, markets: Sequence[Market], since: datetime) -> dict[str, Quote]:
    """The newest kept prices of these markets, by key. Raises one of OUTAGES."""
    if not markets:
        return {}
    found = client.query(
        "SELECT concat(platform, ':', market_id) AS key, max(time), argMax(tuple(best_bid), time).1,"
        " argMax(tuple(best_ask), time).1 FROM market_history FINAL"
        " WHERE market_id IN {ids:Array(String)} AND time >= {since:DateTime64(3, 'UTC')} GROUP BY key",
        parameters={"ids": [market.market_id for market in markets], "since": since},
    )
    return {key: Quote(time, bid, ask) for key, time, bid, ask in found.result_rows}


def load_last_fills(client: Client, markets: Sequence[Market], since: datetime) -> dict[str, LastFill]:
    """Our newest fill in each of these markets, by key; whichever account it was. Raises one of OUTAGES."""
    if not markets:
        return {}
    found = client.query(
        # Without FINAL: a row written twice has the same newest time.
        "SELECT concat(platform, ':', market_id) AS key, argMax(tuple(timestamp, side, price), timestamp) AS newest,"
        " newest.1, newest.2, newest.3 FROM trade_log WHERE type = 'fill'"
        " AND market_id IN {ids:Array(String)} AND timestamp >= {since:DateTime64(6, 'UTC')} GROUP BY key",
        parameters={"ids": [market.market_id for market in markets], "since": since},
    )
    return {
        key: LastFill(time, price if side == Outcome.YES else ONE - price)
        for key, _, time, side, price in found.result_rows
    }
