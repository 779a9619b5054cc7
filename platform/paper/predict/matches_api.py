"""The public feed of settled matches: an index kept as they settle, and GET /v1/orders/matches over it."""

from typing import Any

from aiohttp import web

from paper.curve import checksum_address
from paper.exchange import Event
from paper.predict.errors import respond
from paper.predict.gate import VENUE
from paper.predict.market_json import iso_ms, market_json, outcome_json, quote_type
from paper.predict.paging import read_flag, read_int, take_page
from paper.predict.venue import Venue
from paper.records import Leg, Market, Match, State
from paper.settlement import transaction_hash

FEED: web.AppKey["MatchFeed"] = web.AppKey("feed")


class MatchFeed:
    """Settled matches in the order they settled, also by address and by order hash."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.rebuild()

    def rebuild(self) -> None:
        """Index what the state still holds; called at the start and after matches were pruned."""
        self.all: list[Match] = []
        self.by_address: dict[str, list[Match]] = {}
        self.by_hash: dict[str, list[Match]] = {}
        for match in sorted((m for m in self._state.matches.values() if m.state == "settled"), key=rank):
            self._add(match)

    def apply(self, events: list[Event]) -> None:
        for event in events:
            match = event.match
            if event.kind == "orderTransactionSuccess" and match is not None and event.leg is match.taker:
                self._add(match)

    def _add(self, match: Match) -> None:
        self.all.append(match)
        for address in {leg.address for leg in match.legs()}:
            self.by_address.setdefault(address, []).append(match)
        for leg in match.legs():
            self.by_hash.setdefault(leg.hash, []).append(match)


def rank(match: Match) -> int:
    """Settling order as one number, stable over restarts: the paging cursor."""
    return match.closed_at << 32 | match.seq


async def list_matches(request: web.Request) -> web.Response:
    """Settled matches, newest first, of everybody."""
    venue = request.app[VENUE]
    query = request.query
    market_id = read_int(query, "marketId", 0)
    category = query.get("category")
    signer = (query.get("signerAddress") or "").lower()
    is_maker = read_flag(query, "isSignerMaker")
    min_value = read_int(query, "minValueUsdtWei", 0)
    after_ms = read_int(query, "executedAfter", 0) * 1000
    hashes = {h.lower() for text in query.getall("orderHashes", []) for h in text.split(",")}
    lag = venue.faults.length_of("status_lag_ms")
    newest = venue.now_ms() - lag
    feed = request.app[FEED]
    rows = feed.all
    if len(hashes) == 1:
        rows = feed.by_hash.get(next(iter(hashes)), [])
    elif signer:
        rows = feed.by_address.get(signer, [])
    found: list[Match] = []
    for match in reversed(rows):
        if (
            (market_id and match.market_id != market_id)
            or (lag and match.closed_at > newest)
            or match.closed_at < after_ms
            or match.taker.value < min_value
        ):
            continue
        if category and venue.state.markets[match.market_id].info["categorySlug"] != category:
            continue
        if signer and not any(leg.address == signer and is_maker in (None, leg.is_maker) for leg in match.legs()):
            continue
        if hashes and not any(leg.hash in hashes for leg in match.legs()):
            continue
        found.append(match)
    page, cursor = take_page(found, query, rank)
    return respond({"success": True, "cursor": cursor, "data": [match_json(venue, match) for match in page]})


def match_json(venue: Venue, match: Match) -> dict[str, Any]:
    market = venue.state.markets[match.market_id]
    return {
        "market": market_json(market),
        "taker": _leg_json(market, match.taker),
        "makers": [_leg_json(market, leg) for leg in match.makers],
        "amountFilled": str(match.size),
        "priceExecuted": str(match.price),
        "settlementId": match.id,
        "transactionHash": transaction_hash(match),
        "executedAt": _iso_seconds(match.closed_at),
    }


def _iso_seconds(at_ms: int) -> str:
    return iso_ms(at_ms // 1000 * 1000)


def _leg_json(market: Market, leg: Leg) -> dict[str, Any]:
    return {
        "hash": leg.hash,
        "signer": checksum_address(leg.address),
        "quoteType": quote_type(leg),
        "price": str(leg.price),
        "amount": str(leg.size),
        "outcome": outcome_json(market, leg.is_yes),
        "fee": {"amount": str(leg.fee), "type": fee_type(leg)},
    }


def fee_type(leg: Leg) -> str:
    return "SHARES" if leg.is_buy else "COLLATERAL"
