"""A started strategy over one pair, and a dispatcher whose signer really signs but keeps what it would send."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import psycopg
import pytest
from django.utils import timezone

from accounts.ledger.rows import NewOrder, Received
from accounts.models import Account
from markets.models import Market
from strategies.dispatch import Dispatcher
from strategies.inbox import Inbox
from strategies.models import Pair, Strategy
from strategies.specs import BookShelf, SpecBook
from trading.enums import Action, OrderStatus, Outcome, Platform, Settlement, SignerKind
from trading.errors import TradingError
from trading.ids import order_salt
from trading.instruments import MarketSpec
from venues.contract import Credentials, OrderTicket
from venues.registry import order_signer, venue_endpoints

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
FAKE_KEY = bytes([0x11]) * 32
"""An obviously fake key, published with the venue's test vectors. Never fund it."""
FAKE_ADDRESS = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"


class KeepingSigner:
    """Signs with a real Predict.fun signer and keeps what was to be sent, in place of a venue."""

    def __init__(self) -> None:
        endpoints = venue_endpoints(
            Platform.PREDICT, api_url="http://127.0.0.1:9", ws_url="", rpc_url="", chain_id=56, api_key=None
        )
        credentials = Credentials(
            account_id="hedge", address=FAKE_ADDRESS, signer_kind=SignerKind.EOA, private_key=FAKE_KEY
        )
        self._signer = order_signer(Platform.PREDICT, credentials, endpoints)
        self.sent: list[NewOrder] = []
        self.lately: list[NewOrder] = []
        self.available = True

    def prepare(self, order: NewOrder, market: MarketSpec) -> NewOrder:
        if not self.available:
            raise TradingError("the account's proxy is down")
        salt = order_salt(order.id)
        signed = self._signer.sign(
            OrderTicket(
                client_order_id=order.id,
                market=market,
                outcome=order.outcome,
                action=order.action,
                price=order.price,
                size=order.size,
                salt=salt,
            )
        )
        return msgspec.structs.replace(
            order,
            status=OrderStatus.SUBMITTED,
            salt=salt,
            order_hash=signed.order_hash,
            body=signed.body,
            sender="engine-test",
        )

    def send(self, orders: Sequence[NewOrder]) -> None:
        self.sent += orders

    def sent_lately(self, order_hash: str) -> NewOrder | None:
        return next((order for order in self.lately if order.order_hash == order_hash), None)


@pytest.fixture
def market(transactional_db: None) -> Market:
    return Market.objects.create(
        id="predict:1",
        platform="predict",
        market_id="1",
        title="Rain tomorrow?",
        status="open",
        yes_token="11",
        no_token="12",
        tick=Decimal("0.01"),
        lot=Decimal("0.01"),
        min_size=Decimal("0.01"),
        min_value=Decimal("0.9"),
        fee_rate_bps=0,
        synced_at=timezone.now(),
    )


@pytest.fixture
def primary(transactional_db: None) -> Account:
    return Account.objects.create(name="primary", platform="predict", address="0x" + "1" * 40)


@pytest.fixture
def hedge(transactional_db: None) -> Account:
    return Account.objects.create(name="hedge", platform="predict", address="0x" + "2" * 40)


@pytest.fixture
def strategy(primary: Account, hedge: Account, market: Market) -> Strategy:
    strategy = Strategy.objects.create(name="neutral", state="active", started_at=timezone.now())
    Pair.objects.create(strategy=strategy, primary=primary, hedge=hedge)
    return strategy


@pytest.fixture
def signer() -> KeepingSigner:
    return KeepingSigner()


async def connect(database_url: str) -> psycopg.AsyncConnection[Any]:
    return await psycopg.AsyncConnection.connect(database_url, autocommit=True)


def make_dispatcher(conn: psycopg.AsyncConnection[Any], signer: KeepingSigner) -> Dispatcher:
    return Dispatcher(conn, signer, SpecBook(), BookShelf({}, lambda: NOW), lambda: NOW)


@pytest.fixture
async def dispatcher(database_url: str, signer: KeepingSigner) -> AsyncIterator[Dispatcher]:
    conn = await connect(database_url)
    async with conn:
        yield make_dispatcher(conn, signer)


def inbox_of(*received: Received) -> Inbox:
    inbox = Inbox()
    inbox.received.extend(received)
    return inbox


def fill(
    account: Account,
    trade: str,
    *,
    size: str = "100",
    price: str = "0.55",
    outcome: Outcome = Outcome.YES,
    action: Action = Action.BUY,
    settlement: Settlement = Settlement.MATCHED,
    order_hash: str = "0xforeign",
    **changes: Any,
) -> Received:
    values: dict[str, Any] = {
        "settlement": settlement,
        "account_id": account.id,
        "market_key": "predict:1",
        "trade_id": trade,
        "settlement_id": trade,
        "order_hash": order_hash,
        "outcome": outcome,
        "action": action,
        "price": Decimal(price),
        "size": Decimal(size),
        "fee": None,
        "fee_kind": None,
        "liquidity": None,
        "transaction_hash": "",
        "venue_time": None,
        "received_at": NOW,
    }
    return Received(**(values | changes))
