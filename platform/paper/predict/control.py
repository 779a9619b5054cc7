"""The control plane `/paper/*`: not part of the venue's protocol, loopback only.

Operators and tests fund accounts, open and resolve markets, read the truth, switch faults and simulated traders.
Bodies and answers are plain JSON objects; amounts are wei as strings.
"""

from typing import Any, Literal, TypeVar

import msgspec
from aiohttp import web

from paper import entries
from paper.faults import FaultRule
from paper.predict.errors import ApiError, respond
from paper.predict.gate import VENUE
from paper.predict.seeds import MarketSpec, open_market
from paper.predict.snapshot import health_json, snapshot_json
from paper.predict.stream import STREAM
from paper.traders import Traders

TRADERS = web.AppKey("traders", Traders)
T = TypeVar("T")
_PAYOUTS = {"1": 2, "0": 0, "0.5": 1}


class NewAccount(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    address: str
    owner: str | None = None
    usdt_wei: str | int = 0
    grant_id: str = "opening"


class Outcome(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    market_id: int
    payout: Literal["1", "0", "0.5"]


class Sets(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    address: str
    market_id: int
    amount_wei: str | int


class Trading(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    market_id: int
    trading_status: Literal["OPEN", "MATCHING_NOT_ENABLED", "CANCEL_ONLY", "CLOSED"]


class FaultRules(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    rules: list[FaultRule]
    seed: int | None = None


class Take(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    order_hash: str
    size_wei: str | int | None = None


class TraderOrders(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    running: bool | None = None
    taker_every_s: float | None = None
    trade_now: int = 0


async def _read(request: web.Request, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiError(400, "bad_request", str(error)) from None


def _address(text: str) -> str:
    low = text.lower()
    if len(low) != 42 or not low.startswith("0x"):
        raise ApiError(400, "bad_request", "an address is 0x and 40 hex digits")
    return low


async def get_health(request: web.Request) -> web.Response:
    stream, traders = request.app[STREAM], request.app[TRADERS]
    return respond(health_json(request.app[VENUE], len(stream.connections), traders.trades))


async def add_account(request: web.Request) -> web.Response:
    """Register and fund; the same grant_id for the same address funds once."""
    venue = request.app[VENUE]
    body = await _read(request, NewAccount)
    address = _address(body.address)
    known = venue.state.accounts.get(address)
    granted = known is None or body.grant_id not in known.grants
    owner = _address(body.owner) if body.owner else None
    if granted or (owner is not None and known is not None and known.owner != owner):
        amount = int(body.usdt_wei)
        if amount < 0:
            raise ApiError(400, "bad_request", "usdt_wei must not be negative")
        venue.submit(entries.Grant(venue.now_ms(), address, body.grant_id, amount, owner=owner))
    account = venue.state.accounts[address]
    return respond({"address": address, "owner": account.owner, "usdt_wei": str(account.cash), "granted": granted})


async def get_snapshot(request: web.Request) -> web.Response:
    address = request.query.get("address")
    return respond(snapshot_json(request.app[VENUE], _address(address) if address else None))


async def add_market(request: web.Request) -> web.Response:
    venue = request.app[VENUE]
    spec = await _read(request, MarketSpec)
    market_id = spec.id or max([10_000, *venue.state.markets]) + 1
    if market_id in venue.state.markets:
        raise ApiError(400, "bad_request", "the market exists")
    venue.submit(open_market(spec, market_id, venue.now_ms()))
    venue.forget_tokens()
    market = venue.state.markets[market_id]
    return respond({"id": market_id, "yesTokenId": market.yes_token, "noTokenId": market.no_token, "info": market.info})


async def resolve_market(request: web.Request) -> web.Response:
    """Close the market and fix what a YES share pays."""
    venue = request.app[VENUE]
    body = await _read(request, Outcome)
    market = venue.state.markets.get(body.market_id)
    if market is None or market.payout is not None:
        raise ApiError(400, "bad_request", "no such open market")
    payout = venue.state.unit * _PAYOUTS[body.payout] // 2
    venue.submit(entries.Resolve(venue.now_ms(), body.market_id, payout))
    return respond({"marketId": body.market_id, "payout": body.payout})


async def set_trading(request: web.Request) -> web.Response:
    venue = request.app[VENUE]
    body = await _read(request, Trading)
    if body.market_id not in venue.state.markets:
        raise ApiError(400, "bad_request", "no such market")
    venue.submit(entries.SetTrading(venue.now_ms(), body.market_id, body.trading_status))
    return respond({"marketId": body.market_id, "tradingStatus": body.trading_status})


async def split_sets(request: web.Request) -> web.Response:
    """Cash into complete sets, or back with a negative amount: what `splitPosition` does on chain."""
    venue = request.app[VENUE]
    body = await _read(request, Sets)
    address, amount = _address(body.address), int(body.amount_wei)
    account, market = venue.exchange.account(address), venue.state.markets.get(body.market_id)
    if market is None or market.payout is not None:
        raise ApiError(400, "bad_request", "no such open market")
    sets = min(account.free_shares(market.yes_token), account.free_shares(market.no_token))
    if amount > account.free_cash or -amount > sets:
        raise ApiError(400, "bad_request", "not enough to split or merge")
    venue.submit(entries.Split(venue.now_ms(), address, body.market_id, amount))
    return respond(_holdings(venue.exchange.account(address), market.yes_token, market.no_token))


async def redeem(request: web.Request) -> web.Response:
    """Pay out a resolved market's shares to an address: `redeemPositions` on chain. amount_wei is ignored."""
    venue = request.app[VENUE]
    body = await _read(request, Sets)
    address, market = _address(body.address), venue.state.markets.get(body.market_id)
    if market is None or market.payout is None:
        raise ApiError(400, "bad_request", "the market is not resolved")
    venue.submit(entries.Redeem(venue.now_ms(), address, body.market_id))
    return respond(_holdings(venue.exchange.account(address), market.yes_token, market.no_token))


def _holdings(account: Any, yes_token: str, no_token: str) -> dict[str, str]:
    return {
        "usdt_wei": str(account.cash),
        "yes_wei": str(account.shares.get(yes_token, 0)),
        "no_wei": str(account.shares.get(no_token, 0)),
    }


async def get_faults(request: web.Request) -> web.Response:
    return respond({"rules": request.app[VENUE].faults.rules})


async def set_faults(request: web.Request) -> web.Response:
    """Replace all rules. `ws_silence` and `ws_drain` also act at once on open connections."""
    venue, stream = request.app[VENUE], request.app[STREAM]
    body = await _read(request, FaultRules)
    venue.faults.replace(body.rules, body.seed)
    stream.silence(any(r.kind == "ws_silence" for r in body.rules))
    rule = venue.faults.strikes("ws_drain")
    if rule is not None:
        stream.drain(rule.ms or 1000)
    return respond({"rules": venue.faults.rules})


async def get_traders(request: web.Request) -> web.Response:
    return respond(_traders(request.app[TRADERS]))


async def set_traders(request: web.Request) -> web.Response:
    """Pause, resume, set the rate; `trade_now` makes so many takes at once."""
    traders = request.app[TRADERS]
    body = await _read(request, TraderOrders)
    if body.running is not None:
        traders.running = body.running
    if body.taker_every_s is not None:
        traders.taker_every_s = body.taker_every_s
    done = sum(traders.take_one() for _ in range(min(body.trade_now, 1000)))
    return respond({**_traders(traders), "traded": done})


async def take_order(request: web.Request) -> web.Response:
    """A simulated taker trades against one resting order now; without a size, the whole of it."""
    venue, traders = request.app[VENUE], request.app[TRADERS]
    body = await _read(request, Take)
    order = venue.state.orders.get(venue.state.hashes.get(body.order_hash.lower(), 0))
    if order is None or not order.resting:
        raise ApiError(400, "bad_request", "no such resting order")
    size = None if body.size_wei is None else int(body.size_wei)
    match = traders.take_order(order, size)
    return respond({"settlementId": match.id if match else None, "size_wei": str(match.size if match else 0)})


def _traders(traders: Traders) -> dict[str, Any]:
    return {
        "running": traders.running,
        "taker_every_s": traders.taker_every_s,
        "trades": traders.trades,
    }
