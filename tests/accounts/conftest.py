"""A paper Predict.fun as its own process, funded accounts at it, an executor and a listener on real engines."""

import asyncio
import itertools
import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis as sync_redis
from django.conf import settings
from eth_keys.datatypes import PrivateKey
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from accounts.credentials import CredentialStore
from accounts.executor import Executor
from accounts.gate import Gate
from accounts.ledger.fills import record_executions
from accounts.ledger.orders import record_orders, record_updates
from accounts.ledger.rows import NewOrder
from accounts.models import Account, Order
from accounts.registration import register_account
from accounts.vault import Opener, ensure_vault
from markets.models import Market, market_key
from markets.specs import columns_from_spec
from strategies.inbox import Inbox
from streams.connection import connect
from streams.publisher import Publisher
from trading.commands import decode_command
from trading.enums import Action, MarketStatus, OrderOrigin, OrderStatus, Outcome, Platform
from trading.events import FILL_EVENTS, ORDER_COMMANDS, TRADE_EVENTS, Event, decode
from trading.instruments import MarketSpec
from trading.values import to_base_units
from venues.contract import Credentials, VenueClient
from venues.registry import Endpoints, venue_client, venue_endpoints

ROOT = Path(__file__).resolve().parents[2]
_numbers = itertools.count(1)


class PaperVenue:
    """The control plane of the running process; what a test does to the world outside the product."""

    def __init__(self, url: str, process: subprocess.Popen[bytes]) -> None:
        self.url = url
        self.process = process

    @property
    def endpoints(self) -> Endpoints:
        return venue_endpoints(
            Platform.PREDICT,
            api_url=self.url,
            ws_url=self.url.replace("http", "ws") + "/ws",
            rpc_url=self.url + "/rpc",
            chain_id=56,
        )

    def call(self, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            said = json.load(answer)
        return said.get("data", said) if isinstance(said, dict) else said

    def open_market(self) -> MarketSpec:
        made = self.call(
            "/paper/markets", {"title": "Test", "question": "Does it hold?", "categorySlug": "tests", "feeRateBps": 200}
        )
        return MarketSpec(
            platform=Platform.PREDICT,
            market_id=str(made["id"]),
            title="Test",
            question="Does it hold?",
            status=MarketStatus.OPEN,
            yes_token=made["yesTokenId"],
            no_token=made["noTokenId"],
            tick=Decimal("0.01"),
            lot=Decimal("0.01"),
            min_size=Decimal("0.01"),
            min_value=Decimal("0.9"),
            fee_rate_bps=200,
        )

    def fund(self, address: str, usdt: int = 10_000) -> None:
        body = {"address": address, "usdt_wei": str(to_base_units(Decimal(usdt))), "grant_id": "test"}
        self.call("/paper/accounts", body)

    def faults(self, *rules: dict[str, Any]) -> None:
        self.call("/paper/faults", {"rules": list(rules), "seed": 1})

    def take(self, order_hash: str, size: str | None = None) -> str:
        """A simulated taker trades against a resting order; returns the settlement id."""
        body: dict[str, Any] = {"order_hash": order_hash}
        if size is not None:
            body["size_wei"] = str(to_base_units(Decimal(size)))
        taken: str = self.call("/paper/take", body)["settlementId"]
        assert taken
        return taken

    def snapshot(self, address: str) -> Any:
        return self.call(f"/paper/snapshot?address={address}")


@pytest.fixture(scope="session")
def paper_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaperVenue]:
    """One venue process for all tests here; each test opens its own market and accounts."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    state = tmp_path_factory.mktemp("paper")
    command = [
        *(sys.executable, "-m", "paper.predict", "--port", str(port), "--state-dir", str(state), "--traders", "off"),
        *("--settlement-delay-ms", "30", "--trading-limit", "100000", "--other-limit", "100000"),
        *("--post-limit", "10000"),
    ]
    log = (state / "log").open("wb")
    process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=_environment())
    venue = PaperVenue(f"http://127.0.0.1:{port}", process)
    deadline = time.monotonic() + 20
    while True:
        try:
            venue.call("/paper/health")
            break
        except OSError:
            assert process.poll() is None, (state / "log").read_text()
            assert time.monotonic() < deadline, "the paper venue did not come up"
            time.sleep(0.05)
    yield venue
    process.terminate()
    process.wait(timeout=10)
    log.close()


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"}


@pytest.fixture
def paper(paper_process: PaperVenue) -> Iterator[PaperVenue]:
    paper_process.faults()
    yield paper_process
    paper_process.faults()


@pytest.fixture
def vault() -> Path:
    """The vault the settings name, made once a run."""
    directory = Path(settings.VAULT_PUBLIC_KEY_FILE).parent
    ensure_vault(directory)
    return directory


def fake_key() -> bytes:
    """0x1111…0001 and up: obviously nobody's."""
    return bytes.fromhex("11" * 28) + next(_numbers).to_bytes(4, "big")


def address_of(key: bytes) -> str:
    address: str = PrivateKey(key).public_key.to_checksum_address()
    return address


@pytest.fixture
def market(paper: PaperVenue, transactional_db: None) -> MarketSpec:
    """A fresh market at the venue, with its row."""
    spec = paper.open_market()
    Market.objects.create(
        id=market_key("predict", spec.market_id), synced_at=datetime.now(UTC), **columns_from_spec(spec)
    )
    return spec


@pytest.fixture
def account(paper: PaperVenue, vault: Path, redis_url: str, market: MarketSpec) -> Account:
    """A funded account with a sealed fake key."""
    return make_account(paper)


def make_account(paper: PaperVenue, **fields: Any) -> Account:
    key = fake_key()
    paper.fund(address_of(key))
    return register_account(
        name=f"account {next(_numbers)}", platform="predict", private_key=key.hex(), by="tests", **fields
    )


@pytest.fixture
def counterparty(paper: PaperVenue) -> Callable[[], Awaitable[VenueClient]]:
    """A client of a wallet that is not ours."""

    async def make() -> VenueClient:
        key = fake_key()
        paper.fund(address_of(key))
        credentials = Credentials(
            account_id=str(uuid4()),
            address=address_of(key),
            signer_kind="eoa",
            private_key=key,  # type: ignore[arg-type]
        )
        return venue_client(Platform.PREDICT, credentials, paper.endpoints)

    return make


class Room:
    """An engine room: the parts a test gives orders with, and the ledger's side played with the real ledger."""

    def __init__(self, pool: Any, publisher: Publisher, gate: Gate, executor: Executor, market: MarketSpec) -> None:
        self.pool, self.publisher, self.gate, self.executor, self.market = pool, publisher, gate, executor, market

    def order(self, account: Account, price: str = "0.40", size: str = "10", **fields: Any) -> NewOrder:
        values: dict[str, Any] = {
            "id": uuid4(),
            "account_id": account.pk,
            "market_key": market_key("predict", self.market.market_id),
            "outcome": Outcome.YES,
            "action": Action.BUY,
            "price": Decimal(price),
            "size": Decimal(size),
            "origin": OrderOrigin.STRATEGY,
            **fields,
        }
        return NewOrder(**values)

    async def journal(self, *orders: NewOrder) -> list[NewOrder]:
        """Sign and commit, as the dispatch does, without sending."""
        signed = [self.executor.prepare(order, self.market) for order in orders]
        await self.record(*signed)
        return signed

    async def record(self, *orders: NewOrder) -> None:
        async with self.pool.connection() as conn, conn.transaction():
            await record_orders(conn, orders, datetime.now(UTC))

    async def send(self, *orders: NewOrder) -> list[NewOrder]:
        signed = await self.journal(*orders)
        self.executor.send(signed)
        return signed

    async def age(self, order_id: UUID, seconds: int = 60) -> None:
        """Make the row look untouched for a while, as the recovery would find it later: what was told is noted."""
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            row = await self.row(order_id)
            if row.status in ("initialized", "submitted", row.announced):
                break
            await asyncio.sleep(0.02)
        async with self.pool.connection() as conn:
            await conn.execute(
                "UPDATE accounts_order SET updated_at = updated_at - make_interval(secs => %s) WHERE id = %s",
                (seconds, order_id),
            )

    async def row(self, order_id: UUID) -> Order:
        return await Order.objects.aget(pk=order_id)

    async def until(self, order_id: UUID, *statuses: OrderStatus, timeout: float = 8.0) -> Order:
        deadline = time.monotonic() + timeout
        while True:
            row = await self.row(order_id)
            if row.status in statuses:
                return row
            assert time.monotonic() < deadline, f"still {row.status} ({row.reason})"
            await asyncio.sleep(0.02)

    async def digest(self, redis_url: str) -> int:
        """Play the engine once: record what is on the fill and trade streams. Returns how many messages there were."""
        inbox = Inbox()
        messages = [
            _Message(stream, body) for stream in (FILL_EVENTS, TRADE_EVENTS) for body in bodies(redis_url, stream)
        ]
        inbox.take(messages)  # type: ignore[arg-type]
        async with self.pool.connection() as conn, conn.transaction():
            await record_executions(conn, inbox.received, datetime.now(UTC))
            await record_updates(conn, inbox.words, datetime.now(UTC))
        return len(messages)


class _Message:
    def __init__(self, stream: str, body: bytes) -> None:
        self.stream, self.body = stream, body

    def event(self) -> Event:
        return decode(self.body)


def bodies(redis_url: str, stream: str) -> list[bytes]:
    with sync_redis.Redis.from_url(redis_url) as bus:
        return [fields[b"event"] for _, fields in bus.xrange(stream)]


@pytest.fixture
def events(redis_url: str) -> Callable[[str], list[Event]]:
    """Everything on a stream."""
    return lambda stream: [decode(body) for body in bodies(redis_url, stream)]


@pytest.fixture
def commands(redis_url: str) -> Callable[[], list[Any]]:
    """Every command on the bus."""
    return lambda: [decode_command(body) for body in bodies(redis_url, ORDER_COMMANDS)]


@asynccontextmanager
async def open_room(
    database_url: str, redis_url: str, paper: PaperVenue, market: MarketSpec, name: str = "engine-test"
) -> AsyncIterator[Room]:
    async with AsyncExitStack() as stack:
        pool: AsyncConnectionPool[AsyncConnection[Any]] = AsyncConnectionPool(
            database_url, min_size=1, max_size=6, kwargs={"autocommit": True, "application_name": "room"}, open=False
        )
        await stack.enter_async_context(pool)
        bus = connect(redis_url)
        stack.push_async_callback(bus.aclose)
        gate = Gate(database_url, name)
        await gate.start()
        stack.push_async_callback(gate.close)
        publisher = Publisher(bus)
        store = CredentialStore(pool, Opener(settings.VAULT_PRIVATE_KEY_FILE), "paper")
        executor = Executor(pool, publisher, gate, store, name, {Platform.PREDICT: paper.endpoints})
        await executor.start()
        stack.push_async_callback(executor.close)
        yield Room(pool, publisher, gate, executor, market)


@pytest.fixture
async def room(
    database_url: str, redis_url: str, paper: PaperVenue, market: MarketSpec, account: Account
) -> AsyncIterator[Room]:
    async with open_room(database_url, redis_url, paper, market) as opened:
        yield opened
