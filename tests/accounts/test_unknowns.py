"""Orders of unknown outcome: listed with what is known of them, closed by a person only with evidence."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from django.db import transaction

from accounts.ledger.resolutions import load_order_now, record_resolution_now
from accounts.models import Account, Order
from accounts.unknowns import Evidence, Found, load_resolution, load_unknown, resolve_unknown
from identity.models import AuditEntry
from trading.enums import OrderStatus
from trading.errors import IllegalTransition, InvalidValue

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
    assert f"first bytes left at {unknown.sent_at:%Y-%m-%d %H:%M:%S} UTC" in question.known


def test_what_nobody_answered_is_said_in_plain_words(unknown: Order) -> None:
    Order.objects.filter(pk=unknown.pk).update(attempts=0, sender="")
    [question] = load_unknown()
    assert "nothing was answered yet; the reason given: timeout: no answer" in question.known
    assert f"last cleared to leave at {unknown.submitted_at:%Y-%m-%d %H:%M:%S} UTC" in question.known


def test_evidence_closes_the_question_and_is_audited(unknown: Order, operator: Any, redis_url: str) -> None:
    resolve_unknown(unknown.pk, SEEN, operator, source="admin")
    unknown.refresh_from_db()
    assert (unknown.status, unknown.announced) == ("cancelled", "cancelled")
    assert unknown.closed_at is not None
    assert SEEN.text in unknown.reason
    resolution = load_resolution(unknown.pk)
    assert resolution is not None
    assert (resolution.by, resolution.found, resolution.text) == (operator.username, "never_arrived", SEEN.text)
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


@pytest.mark.parametrize(
    ("found", "status"),
    [("never_arrived", "cancelled"), ("refused", "rejected"), ("resting", "accepted"), ("ended", "cancelled")],
)
def test_each_word_is_its_own_step(
    unknown: Order, operator: Any, events: Any, redis_url: str, found: str, status: str
) -> None:
    resolve_unknown(unknown.pk, Evidence(Found(found), "seen on the venue's page", "ticket 77"), operator)
    unknown.refresh_from_db()
    assert unknown.status == status
    assert unknown.venue_order_id == ("ticket 77" if found == "resting" else "")
    assert [event.data.status for event in events("trade_events")] == [OrderStatus(status)]


def test_order_sent_again_meanwhile_is_not_resolved(unknown: Order, redis_url: str) -> None:
    """The person looked at one state of the order; the ledger takes their word on that state alone."""
    now = datetime.now(UTC)
    with transaction.atomic():
        seen = load_order_now(unknown.pk)
        assert seen is not None
        Order.objects.filter(pk=unknown.pk).update(submitted_at=now)
        assert record_resolution_now(seen, OrderStatus.CANCELLED, "x", now) is None
        with pytest.raises(IllegalTransition):
            record_resolution_now(seen, OrderStatus.DENIED, "x", now)
    unknown.refresh_from_db()
    assert unknown.status == "unknown"


async def test_resolution_is_announced_when_the_bus_was_away(
    room: Any, unknown: Order, operator: Any, events: Any, settings: Any, redis_url: str
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    await sync_to_async(resolve_unknown)(unknown.pk, SEEN, operator)
    settings.REDIS_URL = redis_url
    assert events("trade_events") == []
    await room.age(unknown.pk)
    await room.executor.recover_fully()
    told = [event.data.status for event in events("trade_events") if event.type == "trade_executed"]
    assert told == [OrderStatus.CANCELLED]
