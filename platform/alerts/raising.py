"""Raising alerts: once while open, counted after, and published when first raised or grown more severe.

The kinds are in `kinds`; alerts that last as long as their cause are held by `conditions`.

`raise_alert` is for Django code, `record_alert` its twin for the engine's own connections. The row is the truth;
the event on `alert_events` only wakes readers, and a Redis that is down never fails the caller.
"""

import uuid
from datetime import datetime
from functools import cache
from typing import Any

import psycopg
import redis
import structlog
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from alerts.models import Alert
from identity.models import User
from streams.connection import connect_now
from streams.publisher import publish_now
from trading.enums import Platform, Severity
from trading.events import ALERT_EVENTS, AlertRaised, Event
from trading.ids import event_id

log = structlog.get_logger()

RECORD = """
WITH before AS (
    SELECT severity FROM alerts_alert
    WHERE dedup_key = %(dedup_key)s AND acknowledged_at IS NULL AND resolved_at IS NULL
)
INSERT INTO alerts_alert (id, severity, kind, subject, text, dedup_key, raised_at, last_seen_at, count)
VALUES (%(id)s, %(severity)s, %(kind)s, %(subject)s, %(text)s, %(dedup_key)s, %(now)s, %(now)s, 1)
ON CONFLICT (dedup_key) WHERE acknowledged_at IS NULL AND resolved_at IS NULL DO UPDATE SET
    count = alerts_alert.count + 1,
    last_seen_at = EXCLUDED.last_seen_at,
    text = EXCLUDED.text,
    severity = CASE WHEN array_position(ARRAY['info', 'warning', 'critical'], EXCLUDED.severity::text)
                       > array_position(ARRAY['info', 'warning', 'critical'], alerts_alert.severity::text)
                    THEN EXCLUDED.severity ELSE alerts_alert.severity END
RETURNING id, severity, count, (SELECT severity FROM before)
"""


@cache
def bus() -> redis.Redis:
    """This process's synchronous connection to the bus."""
    return connect_now(settings.REDIS_URL)


def raise_alert(
    severity: Severity,
    kind: str,
    subject: str,
    text: str,
    *,
    dedup_key: str = "",
    platform: Platform | None = None,
    now: datetime | None = None,
) -> uuid.UUID:
    """Record the alert and, after commit, publish it if it is news. Gives its id.

    `kind` is one of `alerts.kinds`; `dedup_key` defaults to kind and subject. `text` must hold no secret.
    """
    now = now or timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(RECORD, _parameters(severity, kind, subject, text, dedup_key, now))
        row = cursor.fetchone()
    event = _news(row, kind, subject, text, platform, now)
    if event is not None:
        transaction.on_commit(lambda: _publish(event))
    alert_id: uuid.UUID = row[0]
    return alert_id


async def record_alert(
    conn: psycopg.AsyncConnection[Any],
    severity: Severity,
    kind: str,
    subject: str,
    text: str,
    *,
    now: datetime,
    dedup_key: str = "",
    platform: Platform | None = None,
) -> Event | None:
    """The same inside the caller's transaction. Gives the event to publish after commit, or None when it is no news."""
    cursor = conn.cursor(row_factory=psycopg.rows.tuple_row)
    await cursor.execute(RECORD, _parameters(severity, kind, subject, text, dedup_key, now))
    return _news(await cursor.fetchone(), kind, subject, text, platform, now)


def acknowledge(alert_id: uuid.UUID, by: User, now: datetime | None = None) -> bool:
    """Close the alert in `by`'s name; False when it was closed already."""
    changed = Alert.objects.filter(id=alert_id, acknowledged_at__isnull=True).update(
        acknowledged_by=by, acknowledged_at=now or timezone.now()
    )
    return changed == 1


def _parameters(
    severity: Severity, kind: str, subject: str, text: str, dedup_key: str, now: datetime
) -> dict[str, Any]:
    return {
        "id": uuid.uuid4(),
        "severity": severity.value,
        "kind": kind[:64],
        "subject": subject[:200],
        "text": text,
        "dedup_key": (dedup_key or f"{kind}:{subject}")[:255],
        "now": now,
    }


def _news(row: Any, kind: str, subject: str, text: str, platform: Platform | None, now: datetime) -> Event | None:
    alert_id, severity, count, before = row
    if count > 1 and severity == before:
        return None
    return Event(
        id=event_id("alert", str(alert_id), severity),
        timestamp=now,
        platform=platform,
        data=AlertRaised(
            alert_id=str(alert_id), severity=Severity(severity), kind=kind[:64], subject=subject[:200], text=text
        ),
    )


def _publish(event: Event) -> None:
    try:
        publish_now(bus(), ALERT_EVENTS, event)
    except redis.RedisError as error:
        log.warning("alert not published", error=type(error).__name__)
