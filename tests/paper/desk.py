"""Clients of a paper Predict.fun that sign for real, with obviously fake keys. Used by the tests beside it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from coincurve import PrivateKey

from paper.curve import checksum_address, keccak256, personal_digest
from paper.predict.signatures import Verifier

WEI = 10**18
VECTORS = json.loads((Path(__file__).parent / "predict_vectors.json").read_text())


def fake_key(digit: int) -> PrivateKey:
    """0x1111…, 0x2222…: nobody's money."""
    return PrivateKey(bytes([digit * 17]) * 32)


def address_of(key: PrivateKey) -> str:
    return checksum_address("0x" + keccak256(key.public_key.format(compressed=False)[1:])[-20:].hex())


def sign(key: PrivateKey, digest: bytes) -> str:
    raw = key.sign_recoverable(digest, hasher=None)
    return "0x" + raw[:64].hex() + f"{raw[64] + 27:02x}"


class Trader:
    """One wallet speaking the venue's REST protocol. Prices and sizes are decimal texts turned into wei."""

    def __init__(self, base: str, session: aiohttp.ClientSession, key: PrivateKey) -> None:
        self.base, self.session, self.key = base, session, key
        self.address = address_of(key)
        self.token = ""
        self.salt = key.secret[0] * 1_000_000
        self.verifier = Verifier(56)
        self.markets: dict[int, dict[str, Any]] = {}

    async def call(self, method: str, path: str, body: Any = None, **kwargs: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with self.session.request(method, self.base + path, json=body, headers=headers, **kwargs) as response:
            return response.status, await response.json()

    async def fund(self, usdt: int = 1000, owner: str | None = None, grant_id: str = "opening") -> None:
        body = {
            "address": self.address,
            "owner": owner,
            "usdt_wei": str(usdt * WEI),
            "grant_id": grant_id,
        }
        status, _ = await self.call("POST", "/paper/accounts", body)
        assert status == 200

    async def log_in(self) -> None:
        _, answer = await self.call("GET", "/v1/auth/message")
        message = answer["data"]["message"]
        signature = sign(self.key, personal_digest(message.encode()))
        body = {"signer": self.address, "message": message, "signature": signature}
        status, answer = await self.call("POST", "/v1/auth", body)
        assert status == 200, answer
        self.token = answer["data"]["token"]

    async def market(self, market_id: int) -> dict[str, Any]:
        if market_id not in self.markets:
            _, answer = await self.call("GET", f"/v1/markets/{market_id}")
            self.markets[market_id] = answer["data"]
        return self.markets[market_id]

    async def body(
        self, market_id: int, action: str, outcome: str, price: str, size: str, **options: Any
    ) -> dict[str, Any]:
        """A signed POST /v1/orders body. `options`: strategy, expiration, fee, and the venue's own flags."""
        market = await self.market(market_id)
        token = market["outcomes"][0 if outcome == "yes" else 1]["onChainId"]
        price_wei, size_wei = to_wei(price), to_wei(size)
        value = price_wei * size_wei // WEI
        buy = action == "buy"
        self.salt += 1
        maker_amount, taker_amount = (value, size_wei) if buy else (size_wei, value)
        expiration = options.pop("expiration", 4_102_444_800)
        fee = options.pop("fee", market["feeRateBps"])
        strategy = options.pop("strategy", "LIMIT")
        digest = self.verifier.order_digest(
            (self.salt, int(token), maker_amount, taker_amount, expiration, 0, fee),
            self.address,
            self.address,
            "0x" + "0" * 40,
            0 if buy else 1,
            0,
            is_neg_risk=market["isNegRisk"],
            is_yield_bearing=market["isYieldBearing"],
        )
        order = {
            "salt": str(self.salt),
            "maker": self.address,
            "signer": self.address,
            "taker": "0x" + "0" * 40,
            "tokenId": token,
            "makerAmount": str(maker_amount),
            "takerAmount": str(taker_amount),
            "expiration": expiration,
            "nonce": "0",
            "feeRateBps": str(fee),
            "side": 0 if buy else 1,
            "signatureType": 0,
            "hash": "0x" + digest.hex(),
            "signature": sign(self.key, digest),
        }
        return {"data": {"order": order, "pricePerShare": str(price_wei), "strategy": strategy, **options}}

    async def place(
        self, market_id: int, action: str, outcome: str, price: str, size: str, **options: Any
    ) -> tuple[int, Any]:
        body = await self.body(market_id, action, outcome, price, size, **options)
        return await self.call("POST", "/v1/orders", body)

    async def accepted(
        self, market_id: int, action: str, outcome: str, price: str, size: str, **options: Any
    ) -> dict[str, Any]:
        status, answer = await self.place(market_id, action, outcome, price, size, **options)
        assert status == 201, answer
        data: dict[str, Any] = answer["data"]
        return data

    async def order(self, order_hash: str) -> dict[str, Any]:
        status, answer = await self.call("GET", f"/v1/orders/{order_hash}")
        assert status == 200, answer
        data: dict[str, Any] = answer["data"]
        return data

    async def truth(self) -> dict[str, Any]:
        _, answer = await self.call("GET", f"/paper/snapshot?address={self.address}")
        return dict(answer)

    async def split(self, market_id: int, sets: int) -> None:
        body = {"address": self.address, "market_id": market_id, "amount_wei": str(sets * WEI)}
        status, answer = await self.call("POST", "/paper/split", body)
        assert status == 200, answer


def to_wei(text: str) -> int:
    whole, _, part = text.partition(".")
    return int(whole) * WEI + int(part.ljust(18, "0") or 0)


class Running:
    """A venue that listens."""

    def __init__(self, base: str, session: aiohttp.ClientSession, app: web.Application) -> None:
        self.base, self.session, self.app = base, session, app

    async def trader(self, digit: int = 1, usdt: int = 1000) -> Trader:
        trader = Trader(self.base, self.session, fake_key(digit))
        await trader.fund(usdt)
        await trader.log_in()
        return trader

    async def faults(self, *rules: dict[str, Any]) -> None:
        async with self.session.post(self.base + "/paper/faults", json={"rules": list(rules)}) as answer:
            assert answer.status == 200, await answer.text()


Start = Callable[..., Any]


async def until(check: Callable[[], Awaitable[bool]], seconds: float = 3.0) -> None:
    """Wait for a condition; fail loudly when it never holds."""
    for _ in range(int(seconds / 0.01)):
        if await check():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came true")
