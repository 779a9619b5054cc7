"""Market data endpoints: markets, categories, books, last sales, statistics, search. API key only."""

from typing import Any

from aiohttp import web

from paper.predict.errors import ApiError, respond
from paper.predict.gate import VENUE
from paper.predict.market_json import (
    STARTED,
    book_json,
    category_json,
    last_settled_json,
    market_json,
    number,
    stats_json,
    status_of,
)
from paper.predict.paging import read_flag, read_int, take_page
from paper.predict.venue import Venue
from paper.records import Market

_MAX_BOOKS = 50


def _market(request: web.Request) -> Market:
    text = request.match_info["id"]
    market = request.app[VENUE].state.markets.get(int(text)) if text.isdigit() else None
    if market is None:
        raise ApiError(404, message="market not found")
    return market


async def list_markets(request: web.Request) -> web.Response:
    venue, query = request.app[VENUE], request.query
    stats = read_flag(query, "includeStats") or False
    found = [m for m in venue.state.markets.values() if _wanted(m, request)]
    found.sort(key=lambda m: m.id, reverse=True)
    page, cursor = take_page(found, query, lambda m: m.id)
    data = [market_json(m, venue.exchange.books[m.id], stats) for m in page]
    return respond({"success": True, "cursor": cursor, "data": data})


def _wanted(market: Market, request: web.Request) -> bool:
    query = request.query
    status, variant, tags = query.get("status"), query.get("marketVariant"), query.get("tagIds")
    if status == "OPEN" and market.payout is not None:
        return False
    if status == "RESOLVED" and market.payout is None:
        return False
    if variant and variant != market.info["marketVariant"]:
        return False
    return not tags or bool(set(tags.split(",")) & set(market.info["tags"]))


async def get_market(request: web.Request) -> web.Response:
    market = _market(request)
    book = request.app[VENUE].exchange.books[market.id]
    stats = read_flag(request.query, "includeStats") or False
    return respond({"success": True, "data": market_json(market, book, stats)})


async def get_book(request: web.Request) -> web.Response:
    venue = request.app[VENUE]
    market = _market(request)
    return respond({"success": True, "data": book_json(venue.exchange, market, venue.book_time(market.id))})


async def list_books(request: web.Request) -> web.Response:
    venue = request.app[VENUE]
    texts = [t for text in request.query.getall("ids", []) for t in text.split(",")]
    if not texts or len(texts) > _MAX_BOOKS or not all(t.isdigit() for t in texts):
        raise ApiError(400, "bad_request", f"between 1 and {_MAX_BOOKS} market ids")
    books = []
    for market_id in map(int, texts):
        market = venue.state.markets.get(market_id)
        if market is not None:
            books.append(book_json(venue.exchange, market, venue.book_time(market_id)))
    return respond({"success": True, "data": books})


async def get_stats(request: web.Request) -> web.Response:
    market = _market(request)
    book = request.app[VENUE].exchange.books[market.id]
    return respond({"success": True, "data": stats_json(market, book)})


async def get_last_sale(request: web.Request) -> web.Response:
    venue = request.app[VENUE]
    market = _market(request)
    match = venue.state.matches.get(market.last_match or "")
    last = last_settled_json(venue.state, market)
    if match is None or last is None:
        return respond({"success": True, "data": None})
    sale = {
        "quoteType": last["side"],
        "outcome": last["outcome"],
        "priceInCurrency": str(match.price),
        "strategy": match.strategy,
    }
    return respond({"success": True, "data": sale})


async def get_timeseries(request: web.Request) -> web.Response:
    """The chance now, as the only point: a paper market keeps no history."""
    venue = request.app[VENUE]
    market = _market(request)
    match = venue.state.matches.get(market.last_match or "")
    series = []
    if match is not None:
        yes = match.price if match.taker.is_yes else venue.state.unit - match.price
        series.append({"x": match.closed_at // 1000, "y": number(yes * 100)})
    resolution = request.query.get("resolution", "1h")
    return respond({"success": True, "cursor": None, "data": {"resolution": resolution, "series": series}})


def _categories(venue: Venue, markets: list[Market], stats: bool) -> list[dict[str, Any]]:
    grouped: dict[str, list[Market]] = {}
    for market in markets:
        grouped.setdefault(market.info["categorySlug"], []).append(market)
    out = []
    for slug, members in grouped.items():
        info = members[0].info
        head = {
            "id": category_id(members[0]),
            "slug": slug,
            "title": info["categoryTitle"],
            "startsAt": STARTED,
            "endsAt": info["endsAt"],
            "tags": info["tags"],
        }
        out.append(category_json(head, [market_json(m, venue.exchange.books[m.id], stats) for m in members]))
    return sorted(out, key=lambda c: int(c["id"]), reverse=True)


def category_id(first: Market) -> int:
    return 500_000 + first.id


async def list_categories(request: web.Request) -> web.Response:
    venue = request.app[VENUE]
    stats = read_flag(request.query, "includeStats") or False
    markets = [m for m in venue.state.markets.values() if _wanted(m, request)]
    page, cursor = take_page(_categories(venue, markets, stats), request.query, lambda c: int(c["id"]))
    return respond({"success": True, "cursor": cursor, "data": page})


async def get_category(request: web.Request) -> web.Response:
    venue, slug = request.app[VENUE], request.match_info["slug"]
    markets = [m for m in venue.state.markets.values() if m.info["categorySlug"] == slug]
    if not markets:
        raise ApiError(404, message="category not found")
    return respond({"success": True, "data": _categories(venue, markets, True)[0]})


async def list_tags(request: web.Request) -> web.Response:
    tags = sorted({t for m in request.app[VENUE].state.markets.values() for t in m.info["tags"]})
    data = [{"id": t, "name": t, "level": 0, "parentId": None, "makerRebateBps": 0} for t in tags]
    return respond({"success": True, "cursor": None, "data": data})


async def search(request: web.Request) -> web.Response:
    venue, query = request.app[VENUE], request.query
    words = query.get("query", "").lower().split()
    if not words:
        raise ApiError(400, "bad_request", "query is required")
    limit = min(max(read_int(query, "limit", 10), 1), 25)
    resolved = read_flag(query, "includeResolved") or False
    stats = read_flag(query, "includeStats") or False
    found = []
    for market in venue.state.markets.values():
        text = f"{market.info['title']} {market.info['question']} {market.info['categorySlug']}".lower()
        if (resolved or status_of(market) != "RESOLVED") and all(w in text for w in words):
            found.append(market)
    data = {
        "categories": _categories(venue, found, stats)[:limit],
        "markets": [market_json(m, venue.exchange.books[m.id], stats) for m in found[:limit]],
    }
    return respond({"success": True, "data": data})
