"""The figures a scrape gives of the books: each follows its rows."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Account, Desk, Order, Reconciliation
from alerts.kinds import AlertKind
from alerts.raising import raise_alert
from markets.models import Market
from trading.enums import Severity


def scrape() -> dict[str, float]:
    text = Client(REMOTE_ADDR="127.0.0.1").get("/metrics").content.decode()
    rows = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, value in rows}


@pytest.fixture
def account(db: None) -> Account:
    amounts = dict.fromkeys(("tick", "lot", "min_size", "min_value"), Decimal("0.01"))
    Market.objects.create(
        id="predict:1", platform="predict", market_id="1", title="Rain?", status="open", fee_rate_bps=0, **amounts
    )
    return Account.objects.create(name="one", platform="predict", address="0x" + "1" * 40, connection="connected")


def test_reconciles_are_counted(account: Account, redis_url: str) -> None:
    now = timezone.now()
    Account.objects.update(reconciled_at=now - timedelta(seconds=100))
    Reconciliation.objects.create(
        account=account, checked_at=now, failing_since=now, unreachable_since=now, fills_missing=3, positions_apart=2
    )
    found = scrape()
    assert found['hedgerow_reconcile_differences{what="fills_missing"}'] == 3
    assert found['hedgerow_reconcile_differences{what="positions_apart"}'] == 2
    assert (found["hedgerow_accounts_unreconciled"], found["hedgerow_accounts_unreachable"]) == (1, 1)
    assert 99 < found["hedgerow_reconcile_oldest_seconds"] < 200


def test_unknown_and_denied_orders_are_counted(account: Account, redis_url: str) -> None:
    now = timezone.now()
    for status, reason in (
        ("unknown", "timeout"),
        ("denied", "max_order: 10 is too many"),
        ("denied", "max_order: 11"),
    ):
        Order.objects.create(
            account=account,
            market_id="predict:1",
            outcome="yes",
            action="buy",
            price=Decimal("0.4"),
            size=Decimal(1),
            status=status,
            reason=reason,
            created_at=now - timedelta(seconds=50),
            updated_at=now,
        )
    found = scrape()
    assert found["hedgerow_orders_unknown"] == 1
    assert 49 < found["hedgerow_orders_unknown_oldest_seconds"] < 150
    assert found['hedgerow_orders_denied{reason="max_order"}'] == 2


def test_alerts_and_stop_level_are_shown(account: Account, redis_url: str) -> None:
    raise_alert(Severity.CRITICAL, AlertKind.ENGINE_MISSING, "engine", "gone")
    Desk.objects.update_or_create(pk=1, defaults={"stopped": True, "level": "cancel_all"})
    found = scrape()
    assert found['hedgerow_alerts_open{severity="critical"}'] == 1
    assert found['hedgerow_alerts_open_by_kind{kind="engine_missing",severity="critical"}'] == 1
    levels = {name: value for name, value in found.items() if name.startswith("hedgerow_stop_level")}
    assert [name for name, value in levels.items() if value] == ['hedgerow_stop_level{level="cancel_all"}']
    assert len(levels) == 4
