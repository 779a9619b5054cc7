"""Orders whose outcome nobody knows yet: their age, what is known of them, and a person's word on one, with evidence.

The recovery settles them by itself as long as the venue answers. What it cannot settle stays here, counts as in
flight and blocks its replacement, until a person who has looked elsewhere says what became of it, and how they know.
Nobody can say "filled": fills are facts of their own and enter by the reconcile.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from django.db import transaction
from django.db.models import Q, Sum
from django.utils import timezone

from accounts.models import Fill, Order
from accounts.querysets import without_bytes
from identity.audit import record_audit
from identity.models import AuditEntry, User
from trading.enums import OrderStatus
from trading.errors import InvalidValue
from trading.orders import check_step
from trading.values import ZERO

SYSTEM = AuditEntry.Source.SYSTEM.value
STUCK_AFTER = timedelta(seconds=15)
"""A SUBMITTED order this old is as open as an UNKNOWN one: its sender has long given up."""
RECOVERY_FIRST = timedelta(seconds=45)
"""So long the recovery is at it, and bytes may be on their way."""
LEAST_TEXT = 10


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
        known.append(f"last cleared to leave at {order.submitted_at:%H:%M:%S}, by {order.sender or 'nobody'}")
    known.append(
        f"first bytes left at {order.sent_at:%H:%M:%S}" if order.sent_at else "no bytes are known to have left"
    )
    known.append(f"{order.attempts} answers or look-ups; the last said: {order.reason or 'nothing'}")
    if filled:
        known.append(f"{filled.normalize():f} shares of it are in the books")
    if order.cancel_requested_at:
        known.append(f"a cancel was asked for at {order.cancel_requested_at:%H:%M:%S}")
    return known


def resolve_unknown(
    client_order_id: UUID, evidence: Evidence, by: User, *, source: str = SYSTEM, now: datetime | None = None
) -> Order:
    """Close the question with a person's evidence; audited. Raises InvalidValue that says what is missing or wrong.

    The change is announced by the recovery, and what the order was to hedge is then decided anew.
    """
    now = now or timezone.now()
    text, reference = evidence.text.strip(), evidence.reference.strip()
    if len(text) < LEAST_TEXT:
        raise InvalidValue("say where you looked and what you saw: without evidence the order stays open")
    if evidence.found is not Found.NEVER_ARRIVED and not reference:
        raise InvalidValue("give what can be looked up: the venue's order id, a transaction hash or a ticket")
    with transaction.atomic():
        order = without_bytes(Order.objects.select_for_update(of=("self",))).filter(pk=client_order_id).first()
        if order is None:
            raise InvalidValue(f"there is no order {client_order_id}")
        before = OrderStatus(order.status)
        if before not in (OrderStatus.UNKNOWN, OrderStatus.SUBMITTED):
            raise InvalidValue(f"the order is {before}: there is nothing to resolve")
        if now - (order.submitted_at or order.created_at) < RECOVERY_FIRST:
            raise InvalidValue("its bytes may still be on their way: the recovery looks it up first, try in a minute")
        if order.filled > ZERO and evidence.found in (Found.NEVER_ARRIVED, Found.REFUSED):
            raise InvalidValue(f"{order.filled.normalize():f} shares of it are filled: it did arrive")
        after = check_step(before, _BECOMES[evidence.found])
        order.status, order.reason = after.value, f"resolved: {evidence.found}: {text}"[:255]
        order.updated_at = now
        order.closed_at = now if after is not OrderStatus.ACCEPTED else None
        if reference and not order.venue_order_id and evidence.found is Found.RESTING:
            order.venue_order_id = reference[:80]
        order.save(update_fields=["status", "reason", "updated_at", "closed_at", "venue_order_id"])
        record_audit(
            "order.resolved",
            user=by,
            subject=order,
            before={"status": before.value},
            after={"status": after.value, "found": evidence.found.value, "reference": reference},
            reason=text,
            source=source,
            at=now,
        )
    return order
