"""The views analysts read: named as in the seed, per platform, exact, and without a secret."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import connection

from accounts.models import Account, Order, Position
from markets.models import Market


@pytest.fixture
def desk(db: None) -> None:
    now = datetime.now(UTC)
    market = Market.objects.create(id="predict:7", platform="predict", market_id="7", title="Will it?")
    for platform in ("predict", "polymarket"):
        account = Account.objects.create(name=f"on {platform}", platform=platform, address=f"0x{'11' * 20}")
        Order.objects.create(
            account=account,
            market=market,
            outcome="yes",
            action="buy",
            price=Decimal("0.57"),
            size=Decimal(10),
            body=b"signed bytes",
            created_at=now,
            updated_at=now,
        )
        Position.objects.create(
            account=account, market=market, outcome="yes", size=Decimal(10), cost=Decimal("5.7"), updated_at=now
        )


def read(view: str) -> list[dict[str, object]]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {view}")
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.mark.parametrize("platform", ["predict", "polymarket"])
def test_views_show_one_platforms_rows(desk: None, platform: str) -> None:
    [account] = read(f"{platform}_accounts")
    assert account["name"] == f"on {platform}"
    [trade] = read(f"{platform}_trades")
    assert (trade["account_name"], trade["side"], trade["price"]) == (f"on {platform}", "yes", Decimal("0.57"))
    [position] = read(f"{platform}_positions")
    assert (position["shares"], position["average_price"]) == (Decimal(10), Decimal("0.57"))


def test_views_hold_no_secret(desk: None) -> None:
    for view in ("accounts", "trades", "positions"):
        [row] = read(f"predict_{view}")
        assert not {"body", "salt", "sealed", "proxy_label", "private_key", "api_key"} & set(row)
        assert "signed bytes" not in repr(row)
