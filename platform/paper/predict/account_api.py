"""Login, account, positions and reserved balances. Positions of any address are public; the rest is the wallet's."""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import msgspec
from aiohttp import web

from paper.curve import checksum_address
from paper.predict.errors import ApiError, respond
from paper.predict.gate import VENUE, wallet_of
from paper.predict.market_json import market_json, number, outcome_json
from paper.predict.paging import read_flag, read_int, take_page
from paper.predict.settings import UNIT
from paper.predict.venue import Venue
from paper.records import Account, Market

T = TypeVar("T")


class LogIn(msgspec.Struct):
    signer: str
    message: str
    signature: str


class Asset(msgspec.Struct, rename="camel"):
    type: Literal["USDT", "SHARE"]
    token_id: str | None = None


class ReservedQuery(msgspec.Struct):
    assets: list[Asset]


async def get_auth_message(request: web.Request) -> web.Response:
    venue = request.app[VENUE]
    return respond({"success": True, "data": {"message": venue.auth.issue_message(venue.now_ms())}})


async def log_in(request: web.Request) -> web.Response:
    venue = request.app[VENUE]
    body = _read(await request.read(), LogIn)
    signer = body.signer.lower()
    account = venue.state.accounts.get(signer)
    owner = account.owner if account is not None else None
    token = venue.auth.log_in(signer, owner, body.message, body.signature, venue.now_ms())
    return respond({"success": True, "data": {"token": token}})


def _read(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiError(400, "bad_request", f"parse request payload error: {error}") from None


async def get_account(request: web.Request) -> web.Response:
    address = checksum_address(wallet_of(request))
    data = {
        "name": address[:8],
        "address": address,
        "imageUrl": None,
        "referral": {"code": None, "status": "LOCKED"},
        "points": {"total": 0, "rank": None},
    }
    return respond({"success": True, "data": data})


async def query_reserved(request: web.Request) -> web.Response:
    """What open orders and unsettled matches still hold back of the wallet's on-chain balance."""
    venue = request.app[VENUE]
    account = venue.state.accounts.get(wallet_of(request)) or Account("")
    out = []
    for asset in _read(await request.read(), ReservedQuery).assets:
        if asset.type == "USDT":
            amount = account.reserved_cash + account.pending_cash
            out.append({"type": "USDT", "amount": str(amount)})
        else:
            token = asset.token_id or ""
            amount = account.reserved_shares.get(token, 0) + account.pending_shares.get(token, 0)
            out.append({"type": "SHARE", "tokenId": token, "amount": str(amount)})
    return respond({"success": True, "data": out})


async def list_own_positions(request: web.Request) -> web.Response:
    return _positions(request, wallet_of(request))


async def list_positions(request: web.Request) -> web.Response:
    return _positions(request, request.match_info["address"].lower())


def _positions(request: web.Request, address: str) -> web.Response:
    venue, query = request.app[VENUE], request.query
    account = venue.state.accounts.get(address)
    rows: list[tuple[int, dict[str, Any]]] = []
    if account is not None:
        for market in venue.state.markets.values():
            for is_yes in (True, False):
                if account.shares.get(market.token(is_yes), 0) > 0 and _wanted(market, is_yes, query):
                    row = position_json(venue, account, market, is_yes)
                    rows.append((market.id * 2 + is_yes, row))
    rows.sort(key=lambda r: r[0], reverse=True)
    page, cursor = take_page(rows, query, lambda r: r[0])
    return respond({"success": True, "cursor": cursor, "data": [row for _, row in page]})


def _wanted(market: Market, is_yes: bool, query: Mapping[str, str]) -> bool:
    market_id, resolved = read_int(query, "marketId", 0), read_flag(query, "isResolved")
    if market_id and market.id != market_id:
        return False
    if resolved is not None and resolved != (market.payout is not None):
        return False
    lost = market.payout == (0 if is_yes else UNIT)
    return not lost or bool(read_flag(query, "includeLost"))


def position_json(venue: Venue, account: Account, market: Market, is_yes: bool) -> dict[str, Any]:
    token = market.token(is_yes)
    amount, cost = account.shares[token], account.cost.get(token, 0)
    worth = venue.price_of(market, is_yes) * amount // UNIT
    average = cost * UNIT // amount
    return {
        "id": urlsafe_b64encode(f"{account.address}:{token}".encode()).decode(),
        "amount": str(amount),
        "valueUsd": number(worth),
        "averageBuyPriceUsd": f"{average // UNIT}.{average % UNIT:018d}".rstrip("0").rstrip("."),
        "pnlUsd": number(worth - cost),
        "market": market_json(market),
        "outcome": outcome_json(market, is_yes),
    }
