"""What the contract suite needs of a venue besides its adapter, and how Predict.fun's paper venue gives it."""

import asyncio
import itertools
import os
import time
from decimal import Decimal
from typing import Any, Protocol
from uuid import uuid4

import aiohttp

from trading.enums import Action, OrderType, Outcome, Platform, SignerKind
from trading.ids import order_salt
from trading.instruments import MarketSpec
from trading.values import to_base_units
from venues import registry
from venues.contract import (
    Credentials,
    MarketData,
    OrderSigner,
    OrderTicket,
    SignedOrder,
    VenueClient,
    WalletEvent,
    WalletEventKind,
)
from venues.predict.signing import owner_address

_numbers = itertools.count(1)


class Desk:
    """One funded account under test: its client, its signer, and orders made for it."""

    def __init__(self, credentials: Credentials, client: VenueClient, signer: OrderSigner, market: MarketSpec) -> None:
        self.credentials = credentials
        self.client = client
        self.signer = signer
        self.market = market
        self.told: list[WalletEvent] = []
        self._watch: asyncio.Task[None] | None = None

    def order(
        self, outcome: Outcome, action: Action, price: str, size: str, order_type: OrderType = OrderType.LIMIT
    ) -> SignedOrder:
        order_id = uuid4()
        return self.signer.sign(
            OrderTicket(
                client_order_id=order_id,
                market=self.market,
                outcome=outcome,
                action=action,
                price=Decimal(price),
                size=Decimal(size),
                order_type=order_type,
                salt=order_salt(order_id),
                expires_at_s=int(time.time()) + 300 if order_type is OrderType.MARKET else None,
            )
        )

    async def watch(self) -> None:
        """Start reading the wallet stream; returns once it is subscribed."""

        async def read() -> None:
            async for event in self.client.stream_wallet():
                self.told.append(event)

        self._watch = asyncio.create_task(read())
        await self.wait_for(WalletEventKind.CONNECTED)

    async def wait_for(self, kind: WalletEventKind, count: int = 1, within_s: float = 8.0) -> WalletEvent:
        """The `count`-th event of `kind`."""
        async with asyncio.timeout(within_s):
            while len(found := [event for event in self.told if event.kind is kind]) < count:
                await asyncio.sleep(0.01)
        return found[count - 1]

    async def close(self) -> None:
        await self.client.close()
        if self._watch is not None:
            await asyncio.wait_for(self._watch, 5)


class Venue(Protocol):
    """What the suite needs of a venue besides its adapter."""

    async def open_desk(self, funds: str = "1000") -> Desk: ...
    async def new_market(self) -> MarketSpec: ...
    async def drop_streams(self) -> None: ...
    async def drain_streams(self) -> None: ...
    async def lose_next_answer(self, desk: Desk) -> None: ...
    async def lose_next_request(self, desk: Desk) -> None: ...
    async def fail_next_settlement(self) -> None: ...
    def market_data(self) -> MarketData: ...
    async def close(self) -> None: ...


class PaperPredict:
    """Predict.fun's adapter against `python -m paper.predict`, with accounts of one signer kind."""

    def __init__(self, port: int, kind: SignerKind) -> None:
        self._base = f"http://127.0.0.1:{port}"
        self._kind = kind
        self.endpoints = registry.venue_endpoints(
            Platform.PREDICT,
            api_url=self._base,
            ws_url=f"ws://127.0.0.1:{port}/ws",
            rpc_url=f"{self._base}/rpc",
            chain_id=56,
        )
        self._market: MarketSpec | None = None
        self._desks: list[Desk] = []

    def market_data(self) -> MarketData:
        return registry.market_data(Platform.PREDICT, self.endpoints)

    async def new_market(self) -> MarketSpec:
        title = f"Contract {next(_numbers)}"
        made = await self._control("markets", title=title, question=f"{title}?", categorySlug=title.lower())
        data = self.market_data()
        try:
            return await data.fetch_market(str(made["id"]))
        finally:
            await data.close()

    async def open_desk(self, funds: str = "1000") -> Desk:
        if self._market is None:
            self._market = await self.new_market()
        # Keys made for one test run on loopback: fake, and never funded anywhere else.
        key = os.urandom(32)
        owner = owner_address(key)
        smart = self._kind is SignerKind.PREDICT_ACCOUNT
        address = "0x" + os.urandom(20).hex() if smart else owner
        await self._control(
            "accounts",
            address=address,
            owner=owner if smart else None,
            usdt_wei=str(to_base_units(Decimal(funds))),
        )
        credentials = Credentials(account_id=address, address=address, signer_kind=self._kind, private_key=key)
        desk = Desk(
            credentials,
            registry.venue_client(Platform.PREDICT, credentials, self.endpoints),
            registry.order_signer(Platform.PREDICT, credentials, self.endpoints),
            self._market,
        )
        await desk.client.connect()
        self._desks.append(desk)
        return desk

    async def drop_streams(self) -> None:
        await self._fault(kind="ws_drain", ms=1)

    async def drain_streams(self) -> None:
        await self._fault(kind="ws_drain", ms=700)

    async def lose_next_answer(self, desk: Desk) -> None:
        await self._fault(kind="timeout_after_accept", address=desk.credentials.address)

    async def lose_next_request(self, desk: Desk) -> None:
        await self._fault(kind="timeout_before_accept", address=desk.credentials.address)

    async def fail_next_settlement(self) -> None:
        await self._fault(kind="fail_settlement")

    async def _fault(self, **rule: Any) -> None:
        await self._control("faults", rules=[{"count": 1, **rule}])

    async def close(self) -> None:
        await self._control("faults", rules=[])
        for desk in self._desks:
            await desk.close()

    async def _control(self, what: str, **body: Any) -> Any:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self._base}/paper/{what}", json=body) as answer,
        ):
            assert answer.status == 200, await answer.text()
            return await answer.json()
