"""The trade path: the seed's command in, a row and a command on the bus out, or a sentence that says what to do."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from accounts.models import Account, Order
from accounts.registration import register_account
from accounts.trade import cancel_order, place_order
from identity.models import AuditEntry
from markets.models import Market
from tests.accounts.conftest import fake_key
from trading.commands import CancelOrder, PlaceOrder
from trading.errors import InvalidValue

SEED = (
    b'{"type":"place_order","platform":"predict","account_id":"account2","market_id":"123","side":"no","price":0.55,'
    b'"shares":100}'
)
FIELDS: dict[str, Any] = {
    "type": "place_order",
    "platform": "predict",
    "account_id": "account2",
    "market_id": "123",
    "side": "no",
    "price": "0.55",
    "shares": "100",
}


@pytest.fixture(autouse=True)
def account(vault: Path, redis_url: str, transactional_db: None) -> Account:
    Market.objects.create(
        id="predict:123",
        platform="predict",
        market_id="123",
        title="Will it?",
        status="open",
        tick=Decimal("0.01"),
        lot=Decimal("0.01"),
        min_size=Decimal("0.01"),
        min_value=Decimal("0.9"),
        synced_at=datetime.now(UTC),
    )
    return register_account(name="account2", platform="predict", private_key=fake_key().hex(), by="tests")


def test_seeds_own_command_becomes_an_order(account: Account, commands: Callable[[], list[Any]]) -> None:
    ticket = place_order(SEED, "tests")
    order = Order.objects.get()
    assert order.pk == ticket.client_order_id
    assert (order.account_id, order.market_id, order.outcome, order.action) == (account.pk, "predict:123", "no", "buy")
    assert (order.price, order.size, order.status) == (Decimal("0.55"), 100, "initialized")
    assert order.body is None
    [command] = commands()
    assert isinstance(command, PlaceOrder)
    assert (command.client_order_id, command.account_id) == (order.pk, str(account.pk))
    assert (str(command.price), command.shares) == ("0.55", 100)


def test_account_is_found_by_id_too(account: Account) -> None:
    assert place_order({**FIELDS, "account_id": str(account.pk)}, "tests").account_id == account.pk


def test_same_client_order_id_is_one_order() -> None:
    order_id = uuid4()
    for _ in range(2):
        place_order({**FIELDS, "client_order_id": order_id}, "tests")
    assert Order.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"price": 0.57}, "decimal string"),
        ({"price": "0.555"}, "use 0.55 or 0.56"),
        ({"price": "0.005"}, "use 0.01"),
        ({"price": "1"}, "between 0 and 1"),
        ({"price": "NaN"}, "finite"),
        ({"shares": "0"}, "positive multiple of 0.01"),
        ({"shares": "1.005"}, "positive multiple of 0.01"),
        ({"shares": "1"}, "from 0.9 up"),
        ({"side": "maybe"}, "maybe"),
        ({"account_id": "nobody"}, "give its name or its id"),
        ({"market_id": "999"}, "check the id"),
        ({"platform": "polymarket"}, "is on predict, not on polymarket"),
        ({"type": "cancel_order"}, "place_order"),
    ],
)
def test_wrong_command_says_what_to_do(fields: dict[str, Any], says: str, commands: Callable[[], list[Any]]) -> None:
    with pytest.raises(InvalidValue, match=says):
        place_order({**FIELDS, **fields}, "tests")
    assert not Order.objects.exists()
    assert commands() == []


def test_paused_market_takes_no_order() -> None:
    Market.objects.update(status="paused")
    with pytest.raises(InvalidValue, match="paused"):
        place_order(SEED, "tests")


def test_market_not_synced_yet_takes_none() -> None:
    Market.objects.update(synced_at=None)
    with pytest.raises(InvalidValue, match="next market sync"):
        place_order(SEED, "tests")


def test_persons_order_is_in_the_audit_log(operator: Any) -> None:
    ticket = place_order(SEED, operator, source="page")
    entry = AuditEntry.objects.get(action="order.placed")
    assert entry.user == operator
    assert entry.after["client_order_id"] == str(ticket.client_order_id)


def test_cancel_is_put_on_the_bus(commands: Callable[[], list[Any]]) -> None:
    ticket = place_order(SEED, "tests")
    assert cancel_order(ticket.client_order_id, "tests", "changed my mind")
    command = commands()[-1]
    assert isinstance(command, CancelOrder)
    assert command.client_order_id == ticket.client_order_id
    # On the row as well: an engine that dies with the command in hand loses nothing.
    assert Order.objects.get(id=ticket.client_order_id).cancel_requested_at is not None
    Order.objects.update(status="filled")
    assert not cancel_order(ticket.client_order_id, "tests")
    with pytest.raises(InvalidValue, match="no order"):
        cancel_order(uuid4(), "tests")
