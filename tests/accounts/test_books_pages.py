"""How an account's books compare, and how a person knew of an order, as the pages show them."""

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Account, Order, Reconciliation
from accounts.unknowns import Evidence, Found, resolve_unknown
from identity.models import User
from markets.models import Market


@pytest.fixture
def account(transactional_db: None) -> Account:
    amounts = dict.fromkeys(("tick", "lot", "min_size", "min_value"), Decimal("0.01"))
    Market.objects.create(
        id="predict:1", platform="predict", market_id="1", title="Rain?", status="open", fee_rate_bps=0, **amounts
    )
    return Account.objects.create(name="one", platform="predict", address="0x" + "1" * 40)


@pytest.fixture
def page(client: Client, operator: User) -> Client:
    client.force_login(operator)
    return client


def read(page: Client, path: str) -> str:
    return page.get(path).content.decode()


def test_books_are_explained_on_the_accounts_page(account: Account, page: Client) -> None:
    path, now = f"/accounts/{account.pk}/", timezone.now()
    assert "<dt>Books</dt>" not in read(page, path), "never compared"
    row = Reconciliation.objects.create(account=account, checked_at=now, agreed_at=now, fills_missing=3)
    assert "agree" in read(page, path)
    assert "3 missing fills brought in" in read(page, path)
    row.failing_since, row.tries = now - timedelta(seconds=75), 4
    row.explanations = ["In predict:1 the venue holds 0 no, the ledger says 5."]
    row.save()
    assert "in 4 looks" in read(page, path)
    assert "the venue holds 0 no, the ledger says 5." in read(page, path)
    row.unreachable_since = now
    row.save()
    assert "not compared for" in read(page, path)


def test_evidence_is_shown_with_its_order(account: Account, page: Client, operator: User, redis_url: str) -> None:
    long_ago = timezone.now() - timedelta(minutes=5)
    order = Order.objects.create(
        account=account,
        market_id="predict:1",
        outcome="yes",
        action="buy",
        price=Decimal("0.4"),
        size=Decimal(10),
        status="unknown",
        order_hash=f"0x{uuid4().hex}{uuid4().hex}",
        created_at=long_ago,
        submitted_at=long_ago,
        updated_at=long_ago,
    )
    path = f"/orders/{order.pk}/"
    assert "<dt>Resolved</dt>" not in read(page, path)
    resolve_unknown(order.pk, Evidence(Found.ENDED, "cancelled on the venue's page", "order 4711"), operator)
    text = read(page, path)
    assert "operator found it ended" in text
    assert "order 4711" in text
