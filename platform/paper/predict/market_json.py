"""Markets, outcomes, categories and books in the venue's JSON. Pure; called by the REST handlers and the stream.

The wire carries book levels, statistics and best quotes as JSON numbers (float64), exactly as the venue does; the
division happens here, at the edge, and nothing reads it back.
"""

from datetime import UTC, datetime
from typing import Any

from paper.book import Book
from paper.exchange import Exchange
from paper.predict.settings import UNIT
from paper.records import Leg, Market, Match, State

STARTED = "2026-01-01T00:00:00.000Z"


def iso_ms(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{at_ms % 1000:03d}Z"


def number(wei: int) -> float:
    """A wire number: base units to float64 at the edge."""
    return wei / UNIT


def outcome_json(market: Market, is_yes: bool, book: Book | None = None) -> dict[str, Any]:
    names = market.info["outcomes"]
    status = None
    if market.payout is not None:
        mine = market.payout if is_yes else UNIT - market.payout
        status = "WON" if mine == UNIT else "LOST" if mine == 0 else "VOIDED"
    bid = ask = None
    if book is not None:
        bid, ask = _best(book, is_yes)
    return {
        "name": names[0 if is_yes else 1],
        "indexSet": 1 if is_yes else 2,
        "onChainId": market.token(is_yes),
        "status": status,
        "bestBid": bid,
        "bestAsk": ask,
        "team": None,
        "variantData": None,
    }


def _best(book: Book, is_yes: bool) -> tuple[dict[str, float] | None, dict[str, float] | None]:
    quotes: list[dict[str, float] | None] = []
    for side in (book.bids, book.asks):
        best = side.best()
        if best is None:
            quotes.append(None)
        else:
            price = best if is_yes else UNIT - best
            quotes.append({"price": number(price), "size": number(side.depth[best])})
    return (quotes[0], quotes[1]) if is_yes else (quotes[1], quotes[0])


def status_of(market: Market) -> str:
    return "RESOLVED" if market.payout is not None else str(market.info.get("status", "REGISTERED"))


def market_json(market: Market, book: Book | None = None, stats: bool = False) -> dict[str, Any]:
    info = market.info
    outcomes = [outcome_json(market, True, book), outcome_json(market, False, book)]
    resolution = next((o for o in outcomes if o["status"] == "WON"), None)
    out: dict[str, Any] = {
        "id": market.id,
        "title": info["title"],
        "question": info["question"],
        "description": info["description"],
        "imageUrl": "",
        "categorySlug": info["categorySlug"],
        "createdAt": info.get("createdAt", STARTED),
        "status": status_of(market),
        "tradingStatus": market.trading,
        "isVisible": True,
        "isNegRisk": info["isNegRisk"],
        "isYieldBearing": info["isYieldBearing"],
        "feeRateBps": market.fee_bps,
        "makerFeeBps": 0,
        "decimalPrecision": info["decimalPrecision"],
        "conditionId": info["conditionId"],
        "oracleQuestionId": info["oracleQuestionId"],
        "resolverAddress": info["resolverAddress"],
        "questionIndex": info.get("questionIndex"),
        "resolution": resolution,
        "outcomes": outcomes,
        "marketVariant": info["marketVariant"],
        "marketType": None,
        "variantData": None,
        "team": None,
        "spreadThreshold": 0.06,
        "shareThreshold": 100.0,
        "isBoosted": False,
        "boostStartsAt": None,
        "boostEndsAt": None,
        "polymarketConditionIds": info.get("polymarketConditionIds", []),
        "kalshiMarketTicker": None,
        "rewards": {"current": None, "schedule": []},
    }
    if stats:
        out["stats"] = stats_json(market, book)
    return out


def stats_json(market: Market, book: Book | None) -> dict[str, float]:
    liquidity = near = 0
    if book is not None:
        liquidity = sum(p * s // UNIT for p, s in book.bids.tiers())
        liquidity += sum((UNIT - p) * s // UNIT for p, s in book.asks.tiers())
        best = book.asks.best()
        if best is not None:
            near = sum(p * s // UNIT for p, s in book.asks.tiers() if p <= best + 3 * UNIT // 100)
    return {
        "totalLiquidityUsd": number(liquidity),
        "volumeTotalUsd": number(market.volume),
        "volume24hUsd": number(market.volume),
        "liquidity3cAskUsd": number(near),
    }


def category_json(category: dict[str, Any], markets: list[dict[str, Any]]) -> dict[str, Any]:
    first = markets[0]
    closed = all(m["status"] == "RESOLVED" for m in markets)
    return {
        "id": category["id"],
        "slug": category["slug"],
        "title": category["title"],
        "shortTitle": None,
        "description": category["title"],
        "imageUrl": "",
        "isNegRisk": first["isNegRisk"],
        "isYieldBearing": first["isYieldBearing"],
        "isVisible": True,
        "status": "RESOLVED" if closed else "OPEN",
        "marketVariant": first["marketVariant"],
        "variantData": None,
        "variantDetails": None,
        "createdAt": first["createdAt"],
        "publishedAt": first["createdAt"],
        "startsAt": category["startsAt"],
        "endsAt": category["endsAt"],
        "negRiskOnChainId": None,
        "parentSlug": None,
        "resolutionProvider": "CHAINLINK",
        "teams": None,
        "tags": [{"id": t, "name": t, "level": 0, "parentId": None, "makerRebateBps": 0} for t in category["tags"]],
        "markets": markets,
    }


def tiers_json(tiers: list[tuple[int, int]]) -> list[tuple[float, float]]:
    return [(price / UNIT, size / UNIT) for price, size in tiers]


def book_json(exchange: Exchange, market: Market, now_ms: int) -> dict[str, Any]:
    book = exchange.books[market.id]
    return {
        "marketId": market.id,
        "updateTimestampMs": now_ms,
        "asks": tiers_json(book.asks.tiers()),
        "bids": tiers_json(book.bids.tiers()),
        "lastOrderSettled": last_settled_json(exchange.state, market),
    }


def last_settled_json(state: State, market: Market) -> dict[str, Any] | None:
    match = state.matches.get(market.last_match or "")
    if match is None:
        return None
    leg = match.taker
    return {
        "id": str(leg.order_id),
        "price": f"{match.price // 10**16 / 100:.2f}",
        "kind": match.strategy,
        "marketId": market.id,
        "side": quote_type(leg),
        "outcome": "Yes" if leg.is_yes else "No",
    }


def quote_type(leg: Leg) -> str:
    return "Bid" if leg.is_buy else "Ask"


def pending_json(matches: list[Match]) -> dict[str, list[tuple[float, float]]]:
    """Matched, not yet settled: YES prices and sizes of the makers' sides."""
    sides: dict[str, dict[int, int]] = {"asks": {}, "bids": {}}
    for match in matches:
        for leg in match.makers:
            price = leg.executed if leg.is_yes else UNIT - leg.executed
            side = sides["bids" if leg.is_buy == leg.is_yes else "asks"]
            side[price] = side.get(price, 0) + leg.size
    return {
        "asks": tiers_json(sorted(sides["asks"].items())),
        "bids": tiers_json(sorted(sides["bids"].items(), reverse=True)),
    }
