"""`/alerts`: what needs a person, and taking note of it. `hedgerow.api` mounts it."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router, Schema

from alerts.kinds import advice_of
from alerts.models import Alert
from alerts.raising import acknowledge
from identity.audit import record_audit
from identity.callers import caller_of, may, need_whole_desk
from identity.models import AuditEntry
from identity.roles import Role
from trading.enums import Severity
from web.fields import Word
from web.paging import Page, PageQuery, Sorting, load_page, order_named
from web.problems import not_found

router = Router(tags=["alerts"])
ORDERS = {"last_seen_at": Sorting(("last_seen_at", "id")), "raised_at": Sorting(("raised_at", "id"))}


class AlertAnswer(Schema):
    """One alert; `count` is how often it was seen while open."""

    id: UUID
    severity: Severity
    kind: str
    subject: str
    text: str
    count: int
    raised_at: datetime
    last_seen_at: datetime
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    resolved_at: datetime | None
    """When its cause was seen to be gone; null while it lasts, or when nobody can tell."""
    advice: str

    @staticmethod
    def resolve_acknowledged_by(row: Alert) -> str | None:
        return row.acknowledged_by.get_username() if row.acknowledged_by else None

    @staticmethod
    def resolve_advice(row: Alert) -> str:
        return advice_of(row.kind)


class AlertQuery(PageQuery):
    """Which alerts."""

    severity: Severity | None = None
    kind: Word = ""
    open: bool | None = None
    sort: Literal["last_seen_at", "-last_seen_at", "raised_at", "-raised_at"] = "-last_seen_at"


@router.get("", auth=may(Role.VIEWER), response=Page[AlertAnswer], summary="List alerts")
def list_alerts(request: HttpRequest, asked: Query[AlertQuery]) -> Any:
    """Alerts, the last seen first. They name accounts in words, so whoever sees only some accounts is refused."""
    need_whole_desk(caller_of(request))
    rows = Alert.objects.select_related("acknowledged_by")
    if asked.severity:
        rows = rows.filter(severity=asked.severity.value)
    if asked.kind:
        rows = rows.filter(kind=asked.kind)
    if asked.open is not None:
        is_open = Q(acknowledged_at__isnull=True, resolved_at__isnull=True)
        rows = rows.filter(is_open if asked.open else ~is_open)
    items, following = load_page(rows, order_named(asked.sort, ORDERS), asked)
    return {"items": items, "next": following}


@router.post("/{alert_id}/acknowledge", auth=may(Role.TRADER), response=AlertAnswer, summary="Take note of an alert")
def acknowledge_alert(request: HttpRequest, alert_id: UUID) -> Any:
    """Close an alert in one's own name; the same thing may then raise a new one. Twice is once."""
    caller = caller_of(request)
    need_whole_desk(caller)
    user = caller.user
    with transaction.atomic():
        if acknowledge(alert_id, user, timezone.now()):
            alert = Alert.objects.get(pk=alert_id)
            record_audit("alert.acknowledged", user=user, subject=alert, source=AuditEntry.Source.API)
    found = Alert.objects.select_related("acknowledged_by").filter(pk=alert_id).first()
    if found is None:
        raise not_found("alert", alert_id)
    return found
