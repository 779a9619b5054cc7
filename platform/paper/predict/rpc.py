"""A chain, as far as reading balances goes: the few JSON-RPC calls a client makes to learn what it owns."""

from typing import Any

import msgspec
from aiohttp import web

from paper.curve import keccak256
from paper.predict.errors import respond
from paper.predict.gate import VENUE
from paper.predict.venue import Venue


def _selector(signature: str) -> str:
    return keccak256(signature.encode())[:4].hex()


_BALANCE = _selector("balanceOf(address)")
_ALLOWANCE = _selector("allowance(address,address)")
_DECIMALS = _selector("decimals()")
_SHARES = _selector("balanceOf(address,uint256)")
_APPROVED = _selector("isApprovedForAll(address,address)")
_BNB = 10**18
_MAX = (1 << 256) - 1


class Call(msgspec.Struct):
    method: str
    params: list[Any] = []
    id: int | str | None = None


class RpcError(Exception):
    """Answered as a JSON-RPC error with this code."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        super().__init__(message)


_decode = msgspec.json.Decoder(Call | list[Call]).decode


async def answer(request: web.Request) -> web.Response:
    venue = request.app[VENUE]
    try:
        calls = _decode(await request.read())
    except (msgspec.DecodeError, UnicodeDecodeError):
        error = {"code": -32700, "message": "parse error"}
        return respond({"jsonrpc": "2.0", "id": None, "error": error})
    if isinstance(calls, list):
        return respond([_reply(venue, call) for call in calls])
    return respond(_reply(venue, calls))


def _reply(venue: Venue, call: Call) -> dict[str, Any]:
    try:
        return {"jsonrpc": "2.0", "id": call.id, "result": _result(venue, call)}
    except RpcError as error:
        detail = {"code": error.code, "message": str(error)}
    except (IndexError, KeyError, ValueError, TypeError):
        detail = {"code": -32602, "message": "invalid params"}
    return {"jsonrpc": "2.0", "id": call.id, "error": detail}


def _result(venue: Venue, call: Call) -> str:
    match call.method:
        case "eth_chainId":
            return hex(venue.settings.chain_id)
        case "net_version":
            return str(venue.settings.chain_id)
        case "eth_blockNumber":
            return hex(1_000_000 + venue.state.seq)
        case "eth_getBalance":
            return hex(_BNB)
        case "eth_call":
            target = call.params[0]
            data = target.get("data") or target["input"]
            return "0x" + _call(venue, target["to"].lower(), data.removeprefix("0x")).to_bytes(32, "big").hex()
    raise RpcError(-32601, f"the method {call.method} does not exist")


def _call(venue: Venue, to: str, data: str) -> int:
    selector, words = data[:8], [data[i : i + 64] for i in range(8, len(data), 64)]
    contracts = venue.verifier.contracts
    if to == contracts.usdt.lower():
        if selector == _BALANCE:
            account = venue.state.accounts.get("0x" + words[0][24:])
            return account.cash if account is not None else 0
        if selector == _ALLOWANCE:
            return _MAX
        if selector == _DECIMALS:
            return 18
    if selector == _APPROVED:
        return 1
    if selector == _SHARES:
        account = venue.state.accounts.get("0x" + words[0][24:])
        found = venue.checks.market_of(str(int(words[1], 16)))
        if account is None or found is None:
            return 0
        market, is_yes = found
        home = contracts.tokens_for(market.info["isNegRisk"], market.info["isYieldBearing"])
        return account.shares.get(market.token(is_yes), 0) if to == home.lower() else 0
    raise RpcError(3, "execution reverted")
