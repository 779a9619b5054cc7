"""What the bus hears of a dispatch once its orders have left. Pages and the bot live on it; no hedge depends on it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection

from accounts.ledger.rows import RecordedFill
from alerts.kinds import AlertKind
from alerts.raising import record_alert
from strategies.evaluation import Evaluation
from trading.enums import Platform, Settlement, Severity
from trading.events import Event, ExposureChanged
from trading.ids import event_id
from trading.values import text

_NAME = "SELECT name FROM accounts_account WHERE id = %s"
_TITLE = "SELECT title FROM markets_market WHERE id = %s"


def exposure_changed(evaluation: Evaluation, now: datetime) -> Event:
    """The exposure as this evaluation left it. One event per revision."""
    row, update = evaluation.row, evaluation.update
    return Event(
        id=event_id("exposure", str(row.id), str(row.revision + 1)),
        timestamp=now,
        platform=Platform(row.hedge_platform),
        data=ExposureChanged(
            strategy_id=str(row.strategy_id),
            exposure_id=str(row.id),
            market_id=row.market_key.partition(":")[2],
            primary=update.primary,
            hedged=update.hedged,
            in_flight=update.in_flight,
            need=update.need,
            reason=update.reason,
            rung=update.rung,
            unhedged_shares=update.unhedged,
            unhedged_seconds=evaluation.watch.unhedged_seconds,
            dollars_at_risk=update.at_risk,
        ),
    )


async def record_warnings(conn: AsyncConnection[Any], evaluations: Iterable[Evaluation], now: datetime) -> list[Event]:
    """Raise what these evaluations warn of, inside the caller's transaction; returns the news to publish after it."""
    news: list[Event] = []
    for evaluation in evaluations:
        row = evaluation.row
        for warning in evaluation.warnings:
            event = await record_alert(
                conn,
                warning.severity,
                warning.kind,
                f"{row.strategy_name}: {row.primary_name} in {await load_title(conn, row.market_key)}",
                warning.text,
                now=now,
                dedup_key=f"{warning.kind}:{row.id}",
                platform=Platform(row.hedge_platform),
            )
            if event is not None:
                news.append(event)
    return news


async def record_reversals(conn: AsyncConnection[Any], fills: Iterable[RecordedFill], now: datetime) -> list[Event]:
    """Raise what these fills took back because their settlement failed, inside the caller's transaction."""
    news: list[Event] = []
    for fill in fills:
        if fill.settlement is not Settlement.FAILED or not fill.shares:
            continue
        row = await (await conn.execute(_NAME, (fill.account_id,))).fetchone()
        name = row[0] if row is not None else str(fill.account_id)
        platform = fill.market_key.partition(":")[0]
        event = await record_alert(
            conn,
            Severity.WARNING,
            AlertKind.SETTLEMENT_FAILED,
            f"{name} in {await load_title(conn, fill.market_key)}",
            f"{fill.action} {text(abs(fill.shares))} {fill.outcome} at {text(fill.price)} did not settle and is"
            f" reversed; what it covered is open again (trade {fill.trade_id}).",
            now=now,
            dedup_key=f"{AlertKind.SETTLEMENT_FAILED}:{fill.account_id}:{fill.market_key}",
            platform=Platform(platform),
        )
        if event is not None:
            news.append(event)
    return news


async def load_title(conn: AsyncConnection[Any], market_key: str) -> str:
    """What the market is called; its key while it has no title."""
    row = await (await conn.execute(_TITLE, (market_key,))).fetchone()
    return row[0] if row is not None and row[0] else market_key
