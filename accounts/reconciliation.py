"""What comes of comparing an account with its venue: a row that counts and explains, alerts, and the last resort.

Two things are kept apart. **A difference nobody can explain** is looked at again, `HALT_TRIES` times over at least
`HALT_AFTER`; then the account is HALTED with the reason: nothing is guessed, and a person activates it again. **An
outage** (the venue, the proxy or our own engine does not answer) says nothing about the books: it alerts
(`accounts.watching`), never halts, and once the truth is older than `STALE_AFTER` the account takes no new risk.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import msgspec
import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from accounts.holdings import Apart
from accounts.unsettled import SILENT_AFTER
from alerts.conditions import key_of, record_resolved
from alerts.kinds import AlertKind
from alerts.raising import record_alert
from streams.publisher import Publisher
from trading.enums import Platform, Severity, TradingState
from trading.events import ACCOUNT_EVENTS, ALERT_EVENTS, AccountChanged, Event
from trading.ids import event_id
from trading.values import ZERO, text

Pool = AsyncConnectionPool[AsyncConnection[Any]]

TELL_AFTER = timedelta(seconds=90)
"""Three rounds."""
HALT_AFTER = timedelta(minutes=10)
HALT_TRIES = 10
"""Looks that went through to their end and left something unexplained, one after the other."""
STALE_AFTER = timedelta(minutes=10)
"""The books were last compared so long ago that they may be wrong: only hedges and orders that reduce may leave."""

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
    orders_missing: int = 0
    """Open here and unknown to the venue."""
    positions_apart: tuple[Apart, ...] = ()
    """Holdings that two looks saw differ, fills on their way allowed for."""
    unconfirmed: int = 0
    """Read as over for the first time: a second look decides."""
    complete: bool


_SILENT = """
SELECT count(*) FROM accounts_fill WHERE account_id = %s AND settlement = 'matched' AND received_at < %s
"""

_COMPARED = """
INSERT INTO accounts_reconciliation AS r (
    account_id, checked_at, agreed_at, failing_since, tries, fills_missing, fills_failed, orders_changed,
    orders_foreign, orders_undead, orders_missing, positions_apart, fills_silent, explanations
) VALUES (
    %(account)s, %(now)s, CASE WHEN NOT %(failing)s THEN %(now)s::timestamptz END,
    CASE WHEN %(failing)s THEN %(now)s::timestamptz END, %(failing)s::int, %(missing)s, %(failed)s, %(changed)s,
    %(foreign)s, %(undead)s, %(lost)s, %(apart)s, %(silent)s, %(said)s::jsonb
) ON CONFLICT (account_id) DO UPDATE SET
    checked_at = excluded.checked_at, agreed_at = coalesce(excluded.agreed_at, r.agreed_at),
    failing_since = CASE WHEN excluded.failing_since IS NULL THEN NULL
                         ELSE coalesce(r.failing_since, excluded.failing_since) END,
    tries = CASE WHEN excluded.failing_since IS NULL THEN 0 ELSE r.tries + 1 END, unreachable_since = NULL,
    fills_missing = r.fills_missing + excluded.fills_missing, fills_failed = r.fills_failed + excluded.fills_failed,
    orders_changed = r.orders_changed + excluded.orders_changed, orders_foreign = excluded.orders_foreign,
    orders_undead = excluded.orders_undead, orders_missing = excluded.orders_missing,
    positions_apart = excluded.positions_apart, fills_silent = excluded.fills_silent,
    explanations = excluded.explanations
RETURNING failing_since, tries, (SELECT state FROM accounts_account WHERE id = %(account)s)
"""

_UNREACHABLE = """
INSERT INTO accounts_reconciliation AS r (
    account_id, checked_at, unreachable_since, tries, fills_missing, fills_failed, orders_changed, orders_foreign,
    orders_undead, orders_missing, positions_apart, fills_silent, explanations
) VALUES (%(account)s, %(now)s, %(now)s, 0, 0, 0, 0, 0, 0, 0, 0, 0, %(said)s::jsonb)
ON CONFLICT (account_id) DO UPDATE SET checked_at = excluded.checked_at,
    unreachable_since = coalesce(r.unreachable_since, excluded.unreachable_since), explanations = excluded.explanations
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
                "failing": is_unexplained(found, silent),
                "missing": found.fills_missing,
                "failed": found.fills_failed,
                "changed": found.orders_changed,
                "foreign": found.orders_foreign,
                "undead": found.orders_undead,
                "lost": found.orders_missing,
                "apart": len(found.positions_apart),
                "silent": silent,
                "said": msgspec.json.encode(said).decode(),
            },
        )
        news = await _escalate(conn, account, await cursor.fetchone(), said, now)
        if is_different(found):
            kind = AlertKind.RECONCILE_DIFFERENCE
            news.append(await _alert(conn, account, Severity.WARNING, kind, " ".join(said), now))
        else:
            await record_resolved(conn, [key_of(AlertKind.RECONCILE_DIFFERENCE, str(account.id))], now)
    await _publish(publisher, news)


async def report_unreachable(pool: Pool, account: Compared, why: str, now: datetime) -> None:
    """Record that nobody could look. What was known of differences stays as it was."""
    said = msgspec.json.encode([why]).decode()
    async with pool.connection() as conn:
        await conn.execute(_UNREACHABLE, {"account": account.id, "now": now, "said": said})


def is_unexplained(found: Reconciled, silent: int) -> bool:
    """Whether the books may be wrong: shares or orders we count that the venue does not have, or the reverse of an
    order. Shares beyond the ledger and foreign orders are told: somebody trades or moved shares outside."""
    short = any(apart.gap < ZERO for apart in found.positions_apart)
    return bool(silent or found.orders_undead or found.orders_missing or short)


def is_different(found: Reconciled) -> bool:
    """Whether a person should be told."""
    orders = found.orders_foreign or found.orders_undead or found.orders_missing
    return bool(orders or found.fills_missing or found.positions_apart)


def explain(found: Reconciled, silent: int) -> list[str]:
    """A sentence for each kind of difference."""
    said = (
        (found.fills_missing, "fills were missing here: they are in the books now."),
        (found.fills_failed, "settlements had failed unheard: their fills are reversed."),
        (found.orders_changed, "orders had moved on at the venue: their statuses follow."),
        (found.unconfirmed, "orders read as over for the first time: a second look decides."),
        (found.orders_foreign, "orders open at the venue are not ours: somebody trades this account elsewhere."),
        (found.orders_undead, "orders ended here are still open at the venue: cancel them there."),
        (found.orders_missing, "orders open here are unknown to the venue: look them up there."),
        (silent, "fills matched over five minutes ago neither settled nor are known to have failed."),
    )
    held = [
        f"In {apart.market_key} the venue holds {text(apart.at_venue)} {apart.outcome},"
        f" the ledger says {text(apart.in_ledger)}."
        for apart in found.positions_apart
    ]
    return [f"{count} {sentence}" for count, sentence in said if count] + held


async def _escalate(
    conn: AsyncConnection[Any],
    account: Compared,
    row: tuple[datetime | None, int, str] | None,
    said: Sequence[str],
    now: datetime,
) -> list[Event | None]:
    """Tell of an account that stays unreconciled; halt it when it stays so look after look."""
    since, tries, state = row if row is not None else (None, 0, "")
    kind = AlertKind.UNRECONCILED
    if since is None:
        if state != TradingState.HALTED:
            await record_resolved(conn, [key_of(kind, str(account.id))], now)
        return []
    if now - since < TELL_AFTER:
        return []
    why = " ".join(said)
    if now - since < HALT_AFTER or tries < HALT_TRIES:
        return [await _alert(conn, account, Severity.WARNING, kind, why, now)]
    reason = f"not reconciled since {since:%H:%M:%S} UTC, in {tries} looks: {why}"
    halted = await conn.execute(_HALT, (reason, now, account.id))
    news = [await _alert(conn, account, Severity.CRITICAL, kind, f"Halted. {reason}", now)]
    if halted.rowcount:
        log.error("account_halted", account=account.name, reason=reason)
        told = AccountChanged(account_id=str(account.id), account_name=account.name, what="state", value="halted")
        event = event_id("account_changed", str(account.id), "state", now.isoformat())
        news.append(Event(id=event, platform=account.platform, timestamp=now, data=told))
    return news


async def _alert(
    conn: AsyncConnection[Any], account: Compared, severity: Severity, kind: AlertKind, said: str, now: datetime
) -> Event | None:
    return await record_alert(
        conn,
        severity,
        kind,
        account.name,
        said,
        now=now,
        dedup_key=key_of(kind, str(account.id)),
        platform=account.platform,
    )


async def _publish(publisher: Publisher, news: Sequence[Event | None]) -> None:
    for event in news:
        if event is not None:
            stream = ACCOUNT_EVENTS if isinstance(event.data, AccountChanged) else ALERT_EVENTS
            await publisher.publish(stream, event)
