"""A desk of two accounts and one market in a real database, and a connection like the engine's."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.utils import timezone

from accounts.ledger.rows import NewOrder, Received
from accounts.models import Account
from markets.models import Market
from trading.enums import Action, OrderOrigin, OrderStatus, Outcome, Settlement

MARKET = "predict:1"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
def market(transactional_db: None) -> Market:
    return Market.objects.create(
        id=MARKET,
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
        fee_rate_bps=200,
        synced_at=timezone.now(),
    )


def make_account(name: str, digit: str) -> Account:
    return Account.objects.create(name=name, platform="predict", address="0x" + digit * 40)


@pytest.fixture
def primary(transactional_db: None) -> Account:
    return make_account("primary", "1")


@pytest.fixture
def hedge(transactional_db: None) -> Account:
    return make_account("hedge", "2")


@pytest.fixture
async def conn(database_url: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def other_conn(database_url: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        yield connection


def received(
    account: Account,
    trade_id: str,
    *,
    size: str = "10",
    price: str = "0.55",
    outcome: Outcome = Outcome.YES,
    action: Action = Action.BUY,
    settlement: Settlement = Settlement.MATCHED,
    fee: Any = None,
    fee_kind: Any = None,
    order_hash: str = "0xaa",
    market_key: str = MARKET,
) -> Received:
    return Received(
        settlement=settlement,
        account_id=account.id,
        market_key=market_key,
        trade_id=trade_id,
        settlement_id=trade_id.partition(":")[0],
        order_hash=order_hash,
        outcome=outcome,
        action=action,
        price=Decimal(price),
        size=Decimal(size),
        fee=None if fee is None else Decimal(fee),
        fee_kind=fee_kind,
        liquidity=None,
        transaction_hash="",
        venue_time=None,
        received_at=NOW,
    )


def new_order(account: Account, *, order_hash: str = "0xaa", size: str = "10", **changes: Any) -> NewOrder:
    values: dict[str, Any] = {
        "id": uuid4(),
        "account_id": account.id,
        "market_key": MARKET,
        "outcome": Outcome.YES,
        "action": Action.BUY,
        "price": Decimal("0.55"),
        "size": Decimal(size),
        "status": OrderStatus.SUBMITTED,
        "origin": OrderOrigin.USER,
        "order_hash": order_hash,
        "body": b"signed bytes (a test's)",
        "salt": 7,
        "sender": "engine-a",
        "cause_at": NOW,
    }
    return NewOrder(**(values | changes))


def fake_id(number: int) -> UUID:
    """An obviously fake id."""
    return UUID(int=number)
