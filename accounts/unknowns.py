"""Orders whose outcome nobody knows yet: their age, what is known of them, and a person's word on one, with evidence.

The recovery settles them by itself as long as the venue answers. What it cannot settle stays here, counts as in
flight and blocks its replacement, until a person who has looked elsewhere says what became of it, and how they know.
Nobody can say "filled": fills are facts of their own and enter by the reconcile.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import partial
from uuid import UUID

import redis
import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q, Sum
from django.utils import timezone

from accounts.answers import trade_event
from accounts.ledger.resolutions import load_order_now, record_announced_now, record_resolution_now
from accounts.ledger.rows import OrderRow
from accounts.models import Fill, Order
from accounts.querysets import without_bytes
from alerts.conditions import key_of, resolve_alerts
from alerts.kinds import AlertKind
from identity.audit import record_audit
from identity.models import AuditEntry, User
from streams.connection import connect_now
from streams.publisher import publish_now
from trading.enums import OrderStatus
from trading.errors import InvalidValue
from trading.events import TRADE_EVENTS
from trading.values import ZERO

SYSTEM = AuditEntry.Source.SYSTEM.value
STUCK_AFTER = timedelta(seconds=15)
"""A SUBMITTED order this old is as open as an UNKNOWN one: its sender has long given up."""
RECOVERY_FIRST = timedelta(seconds=45)
"""So long the recovery is at it, and bytes may be on their way."""
LEAST_TEXT = 10
MOMENT = "%Y-%m-%d %H:%M:%S UTC"
"""How a sentence writes a time."""
RESOLVED = "order.resolved"
"""The audit log's word for it; the entry holds the evidence in full."""
RESOLVED_REASON = "resolved: "
"""What the reason of an order closed by a person begins with."""

log = structlog.get_logger()


class Found(StrEnum):
    """What a person found out about an order."""

    NEVER_ARRIVED = "never_arrived"
    REFUSED = "refused"
    RESTING = "resting"
    ENDED = "ended"
    """It was at the venue and is over there: cancelled, expired or invalidated."""


_BECOMES = {
    Found.NEVER_ARRIVED: OrderStatus.CANCELLED,
    Found.REFUSED: OrderStatus.REJECTED,
    Found.RESTING: OrderStatus.ACCEPTED,
    Found.ENDED: OrderStatus.CANCELLED,
}


@dataclass(frozen=True)
class Evidence:
    """How a person knows. `text` says where they looked and what they saw; `reference` is what one can look up."""

    found: Found
    text: str
    reference: str = ""


@dataclass(frozen=True)
class Resolution:
    """What a person found out, when, and how they knew."""

    by: str
    at: datetime
    found: str
    text: str
    reference: str


@dataclass(frozen=True)
class OpenQuestion:
    """One order whose outcome is open. `known` is what we have of it, oldest first, each a sentence."""

    order: Order
    age: timedelta
    filled: Decimal
    known: tuple[str, ...]


def load_unknown(now: datetime | None = None, limit: int = 200) -> list[OpenQuestion]:
    """The orders whose outcome is open, oldest first."""
    now = now or timezone.now()
    open_ones = Q(status=OrderStatus.UNKNOWN.value)
    open_ones |= Q(status=OrderStatus.SUBMITTED.value, created_at__lt=now - STUCK_AFTER)
    rows = without_bytes(Order.objects.filter(open_ones)).select_related("account", "market")
    orders = list(rows.order_by("created_at")[:limit])
    hashes = [order.order_hash for order in orders if order.order_hash]
    booked = Fill.objects.filter(order_hash__in=hashes).exclude(settlement="failed").order_by()
    filled = dict(booked.values_list("order_hash").annotate(total=Sum("size")))
    return [
        OpenQuestion(
            order=order,
            age=now - order.created_at,
            filled=filled.get(order.order_hash, ZERO),
            known=tuple(_known(order, filled.get(order.order_hash, ZERO))),
        )
        for order in orders
    ]


def load_known(order: Order) -> tuple[str, ...]:
    """What we have of one order, each a sentence. One query."""
    booked = Fill.objects.filter(order_hash=order.order_hash).exclude(settlement="failed") if order.order_hash else None
    filled = booked.aggregate(total=Sum("size"))["total"] if booked is not None else None
    return tuple(_known(order, filled or ZERO))


def _known(order: Order, filled: Decimal) -> list[str]:
    known = [f"signed as {order.order_hash}"] if order.order_hash else []
    if order.submitted_at:
        by = f", by {order.sender}" if order.sender else ""
        known.append(f"last cleared to leave at {order.submitted_at:{MOMENT}}{by}")
    known.append(
        f"first bytes left at {order.sent_at:{MOMENT}}" if order.sent_at else "no bytes are known to have left"
    )
    if order.attempts:
        answers = "1 answer or look-up" if order.attempts == 1 else f"{order.attempts} answers or look-ups"
        known.append(f"{answers}; the last said: {order.reason or 'nothing'}")
    else:
        known.append("nothing was answered yet" + (f"; the reason given: {order.reason}" if order.reason else ""))
    if filled:
        known.append(f"{filled.normalize():f} shares of it are in the books")
    if order.cancel_requested_at:
        known.append(f"a cancel was asked for at {order.cancel_requested_at:{MOMENT}}")
    return known


def resolve_unknown(
    client_order_id: UUID, evidence: Evidence, by: User, *, source: str = SYSTEM, now: datetime | None = None
) -> Order:
    """Close the question with a person's evidence; audited. Raises InvalidValue that says what is missing or wrong.

    The ledger takes the step, and the bus hears of it as of any answer: an exposure whose hedge never arrived, was
    refused or has ended is decided anew, and the reconcile follows an order that rests. Should the bus be away, the
    recovery announces the change.
    """
    now = now or timezone.now()
    text, reference = evidence.text.strip(), evidence.reference.strip()
    if len(text) < LEAST_TEXT:
        raise InvalidValue("say where you looked and what you saw: without evidence the order stays open")
    if evidence.found is not Found.NEVER_ARRIVED and not reference:
        raise InvalidValue("give what can be looked up: the venue's order id, a transaction hash or a ticket")
    with transaction.atomic():
        seen = load_order_now(client_order_id)
        if seen is None:
            raise InvalidValue(f"there is no order {client_order_id}")
        _check_open(seen, evidence.found, now)
        resolved = record_resolution_now(
            seen,
            _BECOMES[evidence.found],
            f"{RESOLVED_REASON}{evidence.found}: {text}",
            now,
            venue_order_id=reference[:80] if evidence.found is Found.RESTING else "",
        )
        if resolved is None:
            raise InvalidValue("the order moved on while you looked: look again")
        order = without_bytes(Order.objects.all()).get(pk=client_order_id)
        record_audit(
            RESOLVED,
            user=by,
            subject=order,
            before={"status": seen.status, "reason": seen.reason},
            after={
                "status": resolved.status,
                "found": evidence.found.value,
                "evidence": text,
                "reference": reference,
            },
            reason=text,
            source=source,
            at=now,
        )
        resolve_alerts([key_of(AlertKind.ORDER_UNKNOWN, str(client_order_id))], now)
        transaction.on_commit(partial(_announce, resolved, now))
    return order


def load_resolution(client_order_id: UUID) -> Resolution | None:
    """What a person said of this order, and how they knew; None when nobody had to."""
    entries = AuditEntry.objects.filter(
        action=RESOLVED, object_type=Order._meta.label_lower, object_id=str(client_order_id)
    )
    entry = entries.order_by("-id").first()
    if entry is None:
        return None
    after = entry.after or {}
    return Resolution(
        by=entry.who,
        at=entry.at,
        found=str(after.get("found", "")),
        text=str(after.get("evidence") or entry.reason),
        reference=str(after.get("reference", "")),
    )


def _check_open(seen: OrderRow, found: Found, now: datetime) -> None:
    """Raises InvalidValue when a person's word on this order is not asked for."""
    if seen.status not in (OrderStatus.UNKNOWN, OrderStatus.SUBMITTED):
        raise InvalidValue(f"the order is {seen.status}: there is nothing to resolve")
    if now - (seen.submitted_at or seen.created_at) < RECOVERY_FIRST:
        raise InvalidValue("its bytes may still be on their way: the recovery looks it up first, try in a minute")
    if seen.filled > ZERO and found in (Found.NEVER_ARRIVED, Found.REFUSED):
        raise InvalidValue(f"{seen.filled.normalize():f} shares of it are filled: it did arrive")


def _announce(row: OrderRow, at: datetime) -> None:
    """Tell the bus, under the id the recovery would use: said twice, it is one event."""
    try:
        with connect_now(settings.REDIS_URL) as bus:
            publish_now(bus, TRADE_EVENTS, trade_event(row, at))
    except redis.RedisError as error:
        log.warning("resolution_unannounced", order=str(row.id), error=type(error).__name__)
    else:
        record_announced_now(row)
