"""Orders of unknown outcome: listed with what is known of them, closed by a person only with evidence."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async

from accounts.models import Account, Order
from accounts.unknowns import Evidence, Found, load_unknown, resolve_unknown
from identity.models import AuditEntry
from trading.enums import OrderStatus
from trading.errors import InvalidValue

SEEN = Evidence(Found.NEVER_ARRIVED, "the venue's support found no such hash")
LATER = timedelta(minutes=5)


@pytest.fixture
def unknown(account: Account, market: Any) -> Order:
    now = datetime.now(UTC) - timedelta(minutes=3)
    return Order.objects.create(
        account=account,
        market_id=f"predict:{market.market_id}",
        outcome="yes",
        action="buy",
        price=Decimal("0.4"),
        size=Decimal(10),
        status="unknown",
        reason="timeout: no answer",
        order_hash=f"0x{uuid4().hex}{uuid4().hex}",
        sender="engine-one",
        attempts=2,
        created_at=now,
        submitted_at=now,
        sent_at=now,
        updated_at=now,
        announced="unknown",
    )


def test_open_question_is_listed_with_its_evidence(unknown: Order) -> None:
    [question] = load_unknown()
    assert question.order == unknown
    assert question.age >= timedelta(minutes=3)
    assert any("timeout: no answer" in sentence for sentence in question.known)
    assert any(unknown.order_hash in sentence for sentence in question.known)


def test_evidence_closes_the_question_and_is_audited(unknown: Order, operator: Any) -> None:
    resolve_unknown(unknown.pk, SEEN, operator, source="admin")
    unknown.refresh_from_db()
    assert (unknown.status, unknown.announced) == ("cancelled", "unknown")
    assert SEEN.text in unknown.reason
    entry = AuditEntry.objects.get(action="order.resolved")
    assert (entry.user, entry.reason) == (operator, SEEN.text)
    assert not load_unknown()


@pytest.mark.parametrize(
    "evidence", [Evidence(Found.NEVER_ARRIVED, "  "), Evidence(Found.RESTING, "I saw it on the venue's page")]
)
def test_without_evidence_nothing_is_resolved(unknown: Order, operator: Any, evidence: Evidence) -> None:
    with pytest.raises(InvalidValue):
        resolve_unknown(unknown.pk, evidence, operator)
    unknown.refresh_from_db()
    assert unknown.status == "unknown"


def test_fresh_order_is_the_recoverys(unknown: Order, operator: Any) -> None:
    Order.objects.filter(pk=unknown.pk).update(submitted_at=datetime.now(UTC))
    with pytest.raises(InvalidValue, match="recovery"):
        resolve_unknown(unknown.pk, SEEN, operator)


def test_filled_order_did_arrive(unknown: Order, operator: Any) -> None:
    Order.objects.filter(pk=unknown.pk).update(filled=Decimal(3))
    with pytest.raises(InvalidValue, match="did arrive"):
        resolve_unknown(unknown.pk, SEEN, operator)


async def test_resolution_reaches_the_bus(room: Any, unknown: Order, operator: Any, events: Any) -> None:
    await sync_to_async(resolve_unknown)(unknown.pk, SEEN, operator)
    await room.age(unknown.pk)
    await room.executor.recover_fully()
    told = [event.data.status for event in events("trade_events") if event.type == "trade_executed"]
    assert told == [OrderStatus.CANCELLED]
