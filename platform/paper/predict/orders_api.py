"""Order endpoints: create, remove by id and by hash, list, look up. Each acts for the wallet of the token only."""

from typing import Any

import msgspec
from aiohttp import web

from paper import entries
from paper.predict.errors import ApiError, respond
from paper.predict.gate import VENUE, wallet_of
from paper.predict.market_json import iso_ms
from paper.predict.order_checks import parse_new_order
from paper.predict.paging import take_page
from paper.predict.venue import Venue
from paper.records import Order

_REFUSALS = {
    "duplicate": ("create_order_duplicate_order", "the order already exists"),
    "not_trading": ("create_order_market_not_trading", "the market is not trading"),
    "collateral": ("create_order_insufficient_collateral_balance", "insufficient collateral balance"),
    "shares": ("create_order_insufficient_shares_balance", "insufficient shares balance"),
}


class Ids(msgspec.Struct):
    ids: list[str | int]


class Hashes(msgspec.Struct):
    hashes: list[str]


class IdsBody(msgspec.Struct):
    data: Ids


class HashesBody(msgspec.Struct):
    data: Hashes


_ids = msgspec.json.Decoder(IdsBody)
_hashes = msgspec.json.Decoder(HashesBody)
_MAX_REMOVALS = 100


async def create_order(request: web.Request) -> web.Response:
    venue = request.app[VENUE]
    wallet = wallet_of(request)
    new = parse_new_order(await request.read())
    now = venue.now_ms()
    place = venue.checks.check(new, wallet, now, venue.settings.settlement_delay_ms)
    refusal = venue.exchange.refusal(place)
    if refusal is not None:
        if refusal == "duplicate":
            venue.submit(entries.Repeat(now, place.hash))
        raise ApiError(400, *_REFUSALS[refusal])
    if venue.faults.rules:
        _disturb(venue, place)
    delay = venue.settings.taker_delay_ms
    if delay and not place.post_only and (place.strategy == "MARKET" or venue.exchange.would_take(place)):
        place.run_at = now + delay
    venue.submit(place)
    return respond(
        {
            "success": True,
            "data": {
                "code": "OK",
                "orderId": str(venue.state.hashes[place.hash]),
                "orderHash": place.hash,
                "removalLockedUntil": iso_ms(place.run_at) if place.run_at else None,
            },
        },
        201,
    )


def _disturb(venue: Venue, place: entries.Place) -> None:
    """Let the faults that befall an order on its arrival strike it."""
    faults = venue.faults
    if place.post_only:
        place.spurned = faults.strikes("post_only_cancel", place.address) is not None
    elif place.strategy == "LIMIT" and not place.fill_or_kill and venue.exchange.would_take(place):
        rule = faults.strikes("partial_fills", place.address)
        if rule is not None:
            place.first, place.rest_at = max(place.size // 2, 1), place.at + (rule.ms or 100)


async def remove_orders(request: web.Request) -> web.Response:
    body = _read(_ids, await request.read())
    try:
        ids = [int(i) for i in body.data.ids]
    except ValueError:
        raise ApiError(400, "bad_request", "ids must be numbers") from None
    return _remove(request, ids)


async def remove_by_hash(request: web.Request) -> web.Response:
    hashes = request.app[VENUE].state.hashes
    body = _read(_hashes, await request.read())
    return _remove(request, [hashes.get(h.lower(), 0) for h in body.data.hashes], body.data.hashes)


def _read(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiError(400, "bad_request", f"parse request payload error: {error}") from None


def _remove(request: web.Request, ids: list[int], names: list[str] | None = None) -> web.Response:
    """Remove what is ours and rests; `names` are the hashes to answer with instead of ids."""
    venue = request.app[VENUE]
    wallet = wallet_of(request)
    if not 1 <= len(ids) <= _MAX_REMOVALS:
        raise ApiError(400, "bad_request", f"between 1 and {_MAX_REMOVALS} orders at a time")
    now = venue.now_ms()
    orders: list[Order] = []
    for order_id in ids:
        order = venue.state.orders.get(order_id)
        if order is None or order.address != wallet or not _visible(venue, order, now):
            raise ApiError(401, message="one or more orders do not belong to this wallet")
        orders.append(order)
    shown = names or [str(order_id) for order_id in ids]
    removed: list[str] = []
    noop: list[str] = []
    rejected: list[str] = []
    targets: list[int] = []
    for order, name in zip(orders, shown, strict=True):
        if order.run_at:
            rejected.append(name)
        elif order.resting:
            removed.append(name)
            targets.append(order.id)
        else:
            noop.append(name)
    if targets:
        venue.submit(entries.Remove(now, targets))
    return respond({"success": True, "removed": removed, "noop": noop, "rejected": rejected})


def _visible(venue: Venue, order: Order, now: int) -> bool:
    return now - order.created_at >= venue.settings.visibility_delay_ms


async def list_orders(request: web.Request) -> web.Response:
    """The wallet's orders, newest first. Without `status`: all of them."""
    venue = request.app[VENUE]
    now = venue.now_ms()
    status = request.query.get("status")
    if status not in (None, "", "OPEN", "FILLED", "CANCELLED", "EXPIRED", "INVALIDATED"):
        raise ApiError(400, "bad_request", "unknown status")
    account = venue.state.accounts.get(wallet_of(request))
    mine = (venue.state.orders[order_id] for order_id in reversed(account.orders if account else []))
    found = (
        order
        for order in mine
        if _visible(venue, order, now) and (not status or _shown(venue, order, now)[0] == status)
    )
    page, cursor = take_page(found, request.query, lambda o: o.id)
    return respond({"success": True, "cursor": cursor, "data": [order_json(venue, order, now) for order in page]})


async def get_order(request: web.Request) -> web.Response:
    venue = request.app[VENUE]
    now = venue.now_ms()
    order = venue.state.orders.get(venue.state.hashes.get(request.match_info["hash"].lower(), 0))
    if order is None or order.address != wallet_of(request) or not _visible(venue, order, now):
        raise ApiError(404, message="order not found")
    return respond({"success": True, "data": order_json(venue, order, now)})


def _shown(venue: Venue, order: Order, now: int) -> tuple[str, int]:
    """Status and filled amount as REST shows them: late, when the status-lag fault says so."""
    lag = venue.faults.length_of("status_lag_ms", order.address)
    if lag and now - order.changed_at < lag:
        return "OPEN", order.settled_before
    return order.status, order.settled


def order_json(venue: Venue, order: Order, now: int) -> dict[str, Any]:
    market = venue.state.markets[order.market_id]
    status, filled = _shown(venue, order, now)
    return {
        "id": str(order.id),
        "marketId": order.market_id,
        "currency": "USDT",
        "amount": str(order.size),
        "amountFilled": str(filled),
        "isNegRisk": market.info["isNegRisk"],
        "isYieldBearing": market.info["isYieldBearing"],
        "strategy": order.strategy,
        "status": status,
        "rewardEarningRate": 0,
        "order": order.raw,
    }
