"""What comes of comparing an account with its venue: a row that counts and explains, alerts, and the last resort.

An account that cannot be reconciled for `HALT_AFTER` is HALTED with the reason: nothing is guessed. The reconciler
calls this after every comparison; a person activates the account again.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import msgspec
import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from alerts.raising import record_alert
from streams.publisher import Publisher
from trading.enums import Platform, Severity
from trading.events import ACCOUNT_EVENTS, ALERT_EVENTS, AccountChanged, Event
from trading.ids import event_id

Pool = AsyncConnectionPool[AsyncConnection[Any]]

TELL_AFTER = timedelta(seconds=90)
"""Three rounds."""
HALT_AFTER = timedelta(minutes=10)
SILENT_AFTER = timedelta(minutes=5)
"""A fill matched so long ago that neither settled nor could be shown to have failed."""

log = structlog.get_logger()


class Compared(Protocol):
    """The account, as far as this needs it."""

    @property
    def id(self) -> UUID: ...
    @property
    def name(self) -> str: ...
    @property
    def platform(self) -> Platform: ...


class Reconciled(msgspec.Struct, frozen=True, kw_only=True):
    """What one reconcile found."""

    fills_missing: int
    fills_failed: int = 0
    """Matched, and their settlement failed unheard."""
    orders_changed: int
    orders_foreign: int
    """Open at the venue and not ours: somebody trades this account elsewhere."""
    orders_undead: int = 0
    """Ended here and still open at the venue."""
    unconfirmed: int = 0
    """Read as over for the first time: a second look decides."""
    complete: bool


_SILENT = """
SELECT count(*) FROM accounts_fill WHERE account_id = %s AND settlement = 'matched' AND received_at < %s
"""

_COMPARED = """
INSERT INTO accounts_reconciliation AS r (
    account_id, checked_at, agreed_at, failing_since, fills_missing, fills_failed, orders_changed, orders_foreign,
    orders_undead, fills_silent, explanations
) VALUES (
    %(account)s, %(now)s, CASE WHEN %(silent)s = 0 THEN %(now)s::timestamptz END,
    CASE WHEN %(silent)s > 0 THEN %(now)s::timestamptz END, %(missing)s, %(failed)s, %(changed)s, %(foreign)s,
    %(undead)s, %(silent)s, %(said)s::jsonb
) ON CONFLICT (account_id) DO UPDATE SET
    checked_at = excluded.checked_at, agreed_at = coalesce(excluded.agreed_at, r.agreed_at),
    failing_since = CASE WHEN excluded.failing_since IS NULL THEN NULL
                         ELSE coalesce(r.failing_since, excluded.failing_since) END,
    fills_missing = r.fills_missing + excluded.fills_missing, fills_failed = r.fills_failed + excluded.fills_failed,
    orders_changed = r.orders_changed + excluded.orders_changed, orders_foreign = excluded.orders_foreign,
    orders_undead = excluded.orders_undead, fills_silent = excluded.fills_silent, explanations = excluded.explanations
RETURNING failing_since
"""

_FAILED = """
INSERT INTO accounts_reconciliation AS r (
    account_id, checked_at, failing_since, fills_missing, fills_failed, orders_changed, orders_foreign, orders_undead,
    fills_silent, explanations
) VALUES (%(account)s, %(now)s, %(now)s, 0, 0, 0, 0, 0, 0, %(said)s::jsonb)
ON CONFLICT (account_id) DO UPDATE SET checked_at = excluded.checked_at,
    failing_since = coalesce(r.failing_since, excluded.failing_since), explanations = excluded.explanations
RETURNING failing_since
"""

_HALT = """
UPDATE accounts_account SET state = 'halted', state_reason = left(%s, 255), updated_at = %s
WHERE id = %s AND state <> 'halted'
"""


async def report_comparison(
    pool: Pool, publisher: Publisher, account: Compared, found: Reconciled, now: datetime
) -> None:
    """Record a comparison that went through to its end."""
    async with pool.connection() as conn, conn.transaction():
        row = await (await conn.execute(_SILENT, (account.id, now - SILENT_AFTER))).fetchone()
        silent = row[0] if row is not None else 0
        said = explain(found, silent)
        cursor = await conn.execute(
            _COMPARED,
            {
                "account": account.id,
                "now": now,
                "missing": found.fills_missing,
                "failed": found.fills_failed,
                "changed": found.orders_changed,
                "foreign": found.orders_foreign,
                "undead": found.orders_undead,
                "silent": silent,
                "said": msgspec.json.encode(said).decode(),
            },
        )
        news = await _escalate(conn, account, await cursor.fetchone(), said, now)
        if found.orders_foreign or found.orders_undead or found.fills_missing:
            news += [await _alert(conn, account, Severity.WARNING, "reconcile_difference", " ".join(said), now)]
    await _publish(publisher, news)


async def report_failure(pool: Pool, publisher: Publisher, account: Compared, why: str, now: datetime) -> None:
    """Record that the account could not be compared."""
    async with pool.connection() as conn, conn.transaction():
        said = [why]
        row = await conn.execute(
            _FAILED, {"account": account.id, "now": now, "said": msgspec.json.encode(said).decode()}
        )
        news = await _escalate(conn, account, await row.fetchone(), said, now)
    await _publish(publisher, news)


def explain(found: Reconciled, silent: int) -> list[str]:
    """A sentence for each kind of difference."""
    said = (
        (found.fills_missing, "fills were missing here: they are in the books now."),
        (found.fills_failed, "settlements had failed unheard: their fills are reversed."),
        (found.orders_changed, "orders had moved on at the venue: their statuses follow."),
        (found.unconfirmed, "orders read as over for the first time: a second look decides."),
        (found.orders_foreign, "orders open at the venue are not ours: somebody trades this account elsewhere."),
        (found.orders_undead, "orders ended here are still open at the venue: cancel them there."),
        (silent, "fills matched over five minutes ago neither settled nor are known to have failed."),
    )
    return [f"{count} {sentence}" for count, sentence in said if count]


async def _escalate(
    conn: AsyncConnection[Any],
    account: Compared,
    row: tuple[datetime | None] | None,
    said: Sequence[str],
    now: datetime,
) -> list[Event | None]:
    """Tell of an account that stays unreconciled; halt it when it stays so for long."""
    since = row[0] if row is not None else None
    if since is None or now - since < TELL_AFTER:
        return []
    why = " ".join(said)
    if now - since < HALT_AFTER:
        return [await _alert(conn, account, Severity.WARNING, "unreconciled", why, now)]
    reason = f"not reconciled since {since:%H:%M:%S} UTC: {why}"
    halted = await conn.execute(_HALT, (reason, now, account.id))
    news = [await _alert(conn, account, Severity.CRITICAL, "unreconciled", f"Halted. {reason}", now)]
    if halted.rowcount:
        log.error("account_halted", account=account.name, reason=reason)
        told = AccountChanged(account_id=str(account.id), account_name=account.name, what="state", value="halted")
        event = event_id("account_changed", str(account.id), "state", now.isoformat())
        news.append(Event(id=event, platform=account.platform, timestamp=now, data=told))
    return news


async def _alert(
    conn: AsyncConnection[Any], account: Compared, severity: Severity, kind: str, text: str, now: datetime
) -> Event | None:
    return await record_alert(
        conn, severity, kind, account.name, text, now=now, dedup_key=f"{kind}:{account.id}", platform=account.platform
    )


async def _publish(publisher: Publisher, news: Sequence[Event | None]) -> None:
    for event in news:
        if event is not None:
            stream = ACCOUNT_EVENTS if isinstance(event.data, AccountChanged) else ALERT_EVENTS
            await publisher.publish(stream, event)
