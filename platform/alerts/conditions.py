"""Alerts that last as long as their cause: a look names all that is wrong now, and what is no longer so resolves.

Watches and the reconcile call this. A cause a person has acknowledged stays quiet until it is gone, grows graver, or
happens anew.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from alerts.kinds import KINDS, AlertKind
from alerts.models import Alert
from alerts.raising import raise_alert
from trading.enums import Platform, Severity

_GRAVITY = {Severity.INFO.value: 0, Severity.WARNING.value: 1, Severity.CRITICAL.value: 2}

_RESOLVE = """
UPDATE alerts_alert SET resolved_at = %s WHERE dedup_key = ANY(%s) AND resolved_at IS NULL
"""


@dataclass(frozen=True)
class Condition:
    """Something that is wrong now. `key` tells it from others of its kind."""

    key: str
    subject: str
    text: str
    severity: Severity | None = None
    """The kind's own where None."""
    platform: Platform | None = None
    latest: datetime | None = None
    """When it last happened: later than a person's acknowledgement, it is told again."""


def key_of(kind: AlertKind, key: str) -> str:
    """The deduplication key of one cause."""
    return f"{kind.value}:{key}"[:255]


def hold_alerts(kind: AlertKind, found: Iterable[Condition], now: datetime) -> int:
    """Make the open alerts of `kind` those of `found`, which is everything of that kind; returns how many are new."""
    known: dict[str, Alert] = {}
    for row in Alert.objects.filter(kind=kind.value, resolved_at__isnull=True).order_by("raised_at"):
        known[row.dedup_key] = row
    raised = 0
    for condition in found:
        key = key_of(kind, condition.key)
        held = known.pop(key, None)
        severity = condition.severity or KINDS[kind].severity
        if held is None or _is_worse(condition, severity, held):
            raise_alert(
                severity,
                kind,
                condition.subject,
                condition.text,
                dedup_key=key,
                platform=condition.platform,
                now=now,
            )
            raised += 1
        elif held.acknowledged_at is None:
            Alert.objects.filter(pk=held.pk).update(text=condition.text, last_seen_at=now)
    resolve_alerts(known, now)
    return raised


def resolve_alerts(keys: Collection[str], now: datetime) -> int:
    """The causes with these keys (`key_of`) are gone; how many alerts that resolves, acknowledged ones included."""
    if not keys:
        return 0
    return Alert.objects.filter(dedup_key__in=list(keys), resolved_at__isnull=True).update(resolved_at=now)


def resolve_others(kind: AlertKind, still: Collection[str], now: datetime) -> int:
    """Resolve the alerts of `kind` whose keys are not among those still true."""
    rows = Alert.objects.filter(kind=kind.value, resolved_at__isnull=True).exclude(dedup_key__in=list(still))
    return rows.update(resolved_at=now)


async def record_resolved(conn: psycopg.AsyncConnection[Any], keys: Collection[str], now: datetime) -> int:
    """`resolve_alerts` inside the caller's transaction."""
    return (await conn.execute(_RESOLVE, (now, list(keys)))).rowcount


def _is_worse(condition: Condition, severity: Severity, held: Alert) -> bool:
    if _GRAVITY[severity.value] > _GRAVITY[held.severity]:
        return True
    noted = held.acknowledged_at
    return noted is not None and condition.latest is not None and condition.latest > noted
