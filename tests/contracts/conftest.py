"""The venues the contract suite runs against: each a paper venue in its own process, on a real socket.

To put another adapter under the contract, write its `Venue` and add it to the `venue` fixture.
"""

import asyncio
import itertools
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import aiohttp
import pytest

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

ROOT = Path(__file__).parents[2]
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
        await self._control("faults", rules=[{"kind": "ws_drain", "ms": 1, "count": 1}])

    async def drain_streams(self) -> None:
        await self._control("faults", rules=[{"kind": "ws_drain", "ms": 700, "count": 1}])

    async def fault(self, **rule: Any) -> None:
        await self._control("faults", rules=[rule])

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


@pytest.fixture(scope="session")
def paper_predict_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    state = tmp_path_factory.mktemp("paper-predict")
    options = {"port": port, "state-dir": state, "traders": "off", "heartbeat-s": 0.5, "settlement-delay-ms": 100}
    options |= {"trading-limit": 100_000, "other-limit": 100_000, "post-limit": 10_000}
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    process = subprocess.Popen(
        [sys.executable, "-m", "paper.predict", *arguments],
        env={**os.environ, "PYTHONPATH": f"{ROOT}/platform"},
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            break
        except OSError:
            assert process.poll() is None, "the paper venue did not start"
            assert time.monotonic() < deadline, "the paper venue did not listen in time"
            time.sleep(0.05)
    yield port
    process.terminate()
    process.wait(10)


@pytest.fixture(params=[SignerKind.EOA, SignerKind.PREDICT_ACCOUNT], ids=["predict-eoa", "predict-account"])
async def venue(request: pytest.FixtureRequest, paper_predict_port: int) -> AsyncIterator[Venue]:
    running = PaperPredict(paper_predict_port, request.param)
    yield running
    await running.close()
