"""The desk's equity over time: one point a task records every half minute, and the points a chart reads.

A position's mark is its market's payout once resolved, before that the price of our own last fill there, in YES terms.
A position moves with its fill, a balance when the fill has settled and the balance is read again: what the latest fills
pay and bring meanwhile is counted to the collateral, or the curve would jump by it.
No venue is asked, so a point costs one statement at any size.
"""

from datetime import datetime, timedelta
from decimal import Decimal

from django.db import connection

from accounts.models import EquityPoint
from trading.values import ZERO

MOST_POINTS = 400
"""A chart is never given more; the last point of each stretch stands for it."""
KEPT = timedelta(days=400)

_MEASURE = """
WITH held AS (
    SELECT market_id, outcome, size, cost FROM accounts_position WHERE size <> 0
), marks AS (
    SELECT m.id, coalesce(m.payout_yes, (
        SELECT yes_price(f.outcome, f.price) FROM accounts_fill f
        WHERE f.market_id = m.id ORDER BY f.id DESC LIMIT 1)) AS yes_price
    FROM markets_market m WHERE m.id IN (SELECT market_id FROM held)
), valued AS (
    SELECT held.size * CASE held.outcome WHEN 'yes' THEN marks.yes_price ELSE 1 - marks.yes_price END AS value
    FROM held JOIN marks ON marks.id = held.market_id
), coming AS (
    SELECT coalesce(sum(
        CASE f.action WHEN 'buy' THEN -f.price * f.size ELSE f.price * f.size END
        - CASE f.fee_kind WHEN 'collateral' THEN coalesce(f.fee, 0) ELSE 0 END
    ), 0) AS cash
    FROM accounts_fill f JOIN accounts_account a ON a.id = f.account_id
    WHERE f.received_at > %(now)s - interval '1 hour'
      AND (f.settlement = 'matched' OR (f.settlement = 'settled' AND f.settled_at > a.balance_at))
)
SELECT (SELECT CASE WHEN count(*) = count(balance_at) THEN coalesce(sum(collateral), 0) + (SELECT cash FROM coming) END
        FROM accounts_account),
       (SELECT CASE WHEN count(*) = count(value) THEN coalesce(sum(value), 0) END FROM valued),
       (SELECT coalesce(sum(cost), 0) FROM held),
       (SELECT coalesce(sum(realized), 0) FROM accounts_position),
       (SELECT count(*) FROM accounts_account),
       (SELECT count(*) FILTER (WHERE value IS NULL) FROM valued)
"""
_BY_MARKET = """
WITH marks AS (
    SELECT m.id, coalesce(m.payout_yes, (
        SELECT yes_price(f.outcome, f.price) FROM accounts_fill f
        WHERE f.market_id = m.id ORDER BY f.id DESC LIMIT 1)) AS yes_price
    FROM markets_market m WHERE m.id IN (SELECT market_id FROM accounts_position)
)
SELECT p.market_id, CASE WHEN count(*) FILTER (WHERE p.size <> 0 AND marks.yes_price IS NULL) = 0 THEN
    sum(p.realized) + coalesce(sum(
        p.size * CASE p.outcome WHEN 'yes' THEN marks.yes_price ELSE 1 - marks.yes_price END - p.cost
    ) FILTER (WHERE p.size <> 0), 0) END
FROM accounts_position p JOIN marks ON marks.id = p.market_id GROUP BY p.market_id
"""
_THINNED = """
WITH span AS (
    SELECT greatest(1, div(extract(epoch FROM %(now)s - min(at)), %(most)s)) AS stretch
    FROM accounts_equitypoint WHERE at >= %(since)s
)
SELECT DISTINCT ON (part) at, collateral, value, cost, realized, accounts, unmarked
FROM (
    SELECT points.*, div(extract(epoch FROM at), span.stretch) AS part
    FROM accounts_equitypoint AS points, span WHERE at >= %(since)s
) AS parted
ORDER BY part, at DESC
"""


def record_equity(now: datetime) -> EquityPoint | None:
    """Measure the desk and keep the point; None while there is no account to measure."""
    point = measure(now)
    if not point.accounts:
        return None
    point.save(force_insert=True)
    return point


def measure(now: datetime) -> EquityPoint:
    """The desk as the tables have it, not saved. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_MEASURE, {"now": now})
        collateral, value, cost, realized, accounts, unmarked = cursor.fetchone()
    return EquityPoint(
        at=now,
        collateral=collateral,
        value=value,
        cost=cost,
        realized=realized,
        accounts=accounts,
        unmarked=unmarked,
    )


def measure_markets() -> dict[str, Decimal | None]:
    """Each market's part of `measure(now).profit`, by market key; None where shares have no mark. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_BY_MARKET)
        return dict(cursor.fetchall())


def load_equity(since: datetime, now: datetime) -> list[EquityPoint]:
    """Points since then, oldest first, thinned to what a chart can show. One query.

    The oldest of them says how far the points lie apart, so that a young desk keeps each of its own.
    """
    return list(EquityPoint.objects.raw(_THINNED, {"now": now, "since": since, "most": MOST_POINTS}))


def load_result_since(since: datetime) -> Decimal | None:
    """How the result has moved since then; None when there is no point since, or a result is unknown. Two queries."""
    last = EquityPoint.objects.filter(at__gte=since).order_by("-at").first()
    return None if last is None else load_moved(since, last)


def load_moved(since: datetime, last: EquityPoint) -> Decimal | None:
    """`last`'s result less that of the last point before `since`: what came between that point and the first one after
    it counts. A desk with none began since then, from nothing. None when a result is unknown. One query."""
    before = EquityPoint.objects.filter(at__lt=since).order_by("-at").first()
    began = ZERO if before is None else before.profit
    return None if began is None or last.profit is None else last.profit - began


def load_latest_point_at() -> datetime | None:
    """When the last point was recorded: the worker's sign of life."""
    latest: datetime | None = EquityPoint.objects.order_by("-at").values_list("at", flat=True).first()
    return latest


def remove_old_points(now: datetime) -> int:
    """Drop points nobody looks at any more; returns how many."""
    removed, _ = EquityPoint.objects.filter(at__lt=now - KEPT).delete()
    return removed
