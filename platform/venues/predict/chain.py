"""What only the chain can tell of a Predict.fun account: its USDT. Plain JSON-RPC through the account's own session."""

from typing import Final

import msgspec

from trading.errors import RetryLater, UnknownOutcome
from venues.http import HttpSession
from venues.predict.addresses import contracts, word
from venues.predict.config import PredictEndpoints
from venues.predict.schemas import RpcAnswer

_BALANCE_OF: Final = bytes.fromhex("70a08231")
"""The selector of balanceOf(address)."""

_HEADERS: Final = {"Content-Type": "application/json", "User-Agent": "hedgerow"}
_answers = msgspec.json.Decoder(RpcAnswer)


async def fetch_collateral(http: HttpSession, endpoints: PredictEndpoints, address: str) -> int:
    """USDT of `address` in wei, in the latest block. Raises RetryLater when the node does not say."""
    call = {"to": contracts(endpoints.chain_id).collateral, "data": "0x" + (_BALANCE_OF + word(address)).hex()}
    request = {"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [call, "latest"]}
    try:
        answer = await http.request("POST", endpoints.rpc_url, headers=_HEADERS, body=msgspec.json.encode(request))
        result = _answers.decode(answer.body).result
    except UnknownOutcome as error:
        raise RetryLater(f"rpc_{error.slug}", error.message) from None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise RetryLater("rpc_unreadable") from None
    if answer.status != 200 or result is None or len(result) != 66 or not result.startswith("0x"):
        raise RetryLater("rpc_refused", f"status {answer.status}")
    try:
        return int(result, 16)
    except ValueError:
        raise RetryLater("rpc_unreadable") from None
