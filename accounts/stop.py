"""Pulling and lifting the emergency stop. Pages, the API, the bot and commands call this; `gate` says why it holds.

When `pull_stop` returns, no further order leaves from any process. It is durable, survives restarts, and only
`lift_stop` ends it: whoever calls these has checked that the person may.
"""

import time
from dataclasses import dataclass
from datetime import datetime

import redis
import structlog
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from accounts.gate import CHANNEL, FORGET_AFTER_S, TTL_S
from accounts.levels import LEVELS, NO_NEW, is_milder, label_of
from accounts.querysets import lock_desk
from alerts.conditions import Condition, hold_alerts
from alerts.kinds import AlertKind
from identity.audit import record_audit
from identity.models import AuditEntry, User
from identity.roles import Role, has_role
from streams.connection import connect_now
from streams.publisher import publish_now
from trading.events import ACCOUNT_EVENTS, DeskStopped, Event
from trading.ids import event_id

__all__ = ["LEVELS", "NO_NEW", "StopReceipt", "lift_stop", "pull_stop"]

SYSTEM = AuditEntry.Source.SYSTEM.value
MARGIN_S = 0.25
"""For clocks that run at different speeds, and for a renewal's way to the database."""
DRAIN_S = 5.0
"""How long to wait for a live process whose last sends have no answer yet; above every HTTP time-out."""
_POLL_S = 0.01

_SILENT = """
SELECT name, renewed_at FROM accounts_enginelease
WHERE generation_seen < %s AND renewed_at > clock_timestamp() - make_interval(secs => %s)
"""

log = structlog.get_logger()


@dataclass(frozen=True)
class StopReceipt:
    """What a stop found. `confirmed` processes gave their word; the leases of `expired` ran out without one."""

    generation: int
    level: str
    confirmed: tuple[str, ...]
    expired: tuple[str, ...]
    waited_ms: int


def pull_stop(level: str, by: User | str, reason: str, *, source: str = SYSTEM, ttl_s: float = TTL_S) -> StopReceipt:
    """Stop the desk and wait until it has stopped. `by` is a user, or the name of what acts; `source` is the audit's.

    A stopped desk may be stopped harder, never milder: that would be a lift. Raises ValueError for an unknown or milder
    level, RuntimeError inside an open transaction (which could still roll back), and
    a database error when the stop could not be written: then nothing is stopped.
    """
    if level not in LEVELS:
        raise ValueError(f"no stop level {level!r}; known: {', '.join(LEVELS)}")
    generation = _record(True, level, by, reason, source)
    began = time.monotonic()
    renewed: dict[str, datetime] = {}
    known = _leases()
    while True:
        silent = _silent(generation)
        renewed = {name: renewed.get(name, at) for name, at in silent.items()}
        waited = time.monotonic() - began
        over = waited >= ttl_s + MARGIN_S
        draining = [name for name, at in silent.items() if at > renewed[name]]
        if not silent or (over and (not draining or waited >= DRAIN_S)):
            break
        time.sleep(_POLL_S)
    receipt = StopReceipt(
        generation=generation,
        level=level,
        confirmed=tuple(sorted(known - silent.keys())),
        expired=tuple(sorted(silent)),
        waited_ms=round((time.monotonic() - began) * 1000),
    )
    log.warning(
        "desk_stopped",
        generation=generation,
        stop_level=level,
        by=str(by),
        confirmed=len(receipt.confirmed),
        expired=receipt.expired,
        waited_ms=receipt.waited_ms,
    )
    _announce(generation, level, by, reason)
    _tell([stop_condition(level, str(by), reason, generation)])
    return receipt


def lift_stop(by: User | str, reason: str, *, source: str = SYSTEM) -> int:
    """Let the desk trade again; returns the new generation. Lifting a desk that trades is a new generation too.

    Raises PermissionDenied for a user without the role admin, whoever called this.
    """
    if isinstance(by, User) and not has_role(by, Role.ADMIN):
        raise PermissionDenied("Lifting the stop needs the role admin.")
    generation = _record(False, "", by, reason, source)
    log.warning("desk_lifted", generation=generation, by=str(by))
    _announce(generation, "", by, reason)
    _tell([])
    return generation


def stop_condition(level: str, by: str, reason: str, generation: int) -> Condition:
    """What an alert says of the stop. Each pull is a cause of its own: a harder one is told even when the first was
    acknowledged."""
    said = f"{by} stopped the desk at “{label_of(level or NO_NEW)}”: {reason}"
    return Condition(key=str(generation), subject="desk", text=said)


def _tell(found: list[Condition]) -> None:
    """Raise or resolve the alert. The stop does not depend on it: what fails here, `watching` does soon after."""
    try:
        hold_alerts(AlertKind.DESK_STOPPED, found, timezone.now())
    except DatabaseError as error:
        log.error("stop_alert_failed", error=type(error).__name__)


def _record(stopped: bool, level: str, by: User | str, reason: str, source: str) -> int:
    now = timezone.now()
    with transaction.atomic(durable=True):
        desk = lock_desk()
        if stopped and desk.stopped and is_milder(level, desk.level):
            raise ValueError(
                f"the desk is stopped at “{label_of(desk.level)}”:"
                f" “{label_of(level)}” would loosen it, which only a lift does"
            )
        before = {"stopped": desk.stopped, "level": desk.level, "generation": desk.generation}
        desk.stopped, desk.level, desk.generation = stopped, level, desk.generation + 1
        desk.changed_by, desk.reason, desk.changed_at = str(by)[:150], reason[:255], now
        desk.save()
        record_audit(
            "desk.stopped" if stopped else "desk.lifted",
            user=by if isinstance(by, User) else None,
            who=str(by),
            subject=desk,
            before=before,
            after={"stopped": stopped, "level": level, "generation": desk.generation},
            reason=reason,
            source=source,
            at=now,
        )
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, %s)", (CHANNEL, str(desk.generation)))
        generation: int = desk.generation
    return generation


def _leases() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM accounts_enginelease WHERE renewed_at > clock_timestamp() - make_interval(secs => %s)",
            (FORGET_AFTER_S,),
        )
        return {name for (name,) in cursor.fetchall()}


def _silent(generation: int) -> dict[str, datetime]:
    """Leases that have not given their word on this generation, and when each was last renewed."""
    with connection.cursor() as cursor:
        cursor.execute(_SILENT, (generation, FORGET_AFTER_S))
        return dict(cursor.fetchall())


def _announce(generation: int, level: str, by: User | str, reason: str) -> None:
    """Tell the bus. The stop itself does not depend on it, so a dead Redis is only logged."""
    event = Event(
        id=event_id("desk", str(generation)),
        timestamp=timezone.now(),
        data=DeskStopped(generation=generation, level=level, by=str(by), reason=reason),
    )
    try:
        client = connect_now(settings.REDIS_URL)
        try:
            publish_now(client, ACCOUNT_EVENTS, event)
        finally:
            client.close()
    except redis.RedisError as error:
        log.error("desk_change_unannounced", generation=generation, error=type(error).__name__)
