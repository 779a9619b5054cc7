"""Prometheus figures on whether the books can be believed: reconciles, unknown orders, alerts by kind, the stop.

`metrics` collects them with the rest at each scrape.
"""

from collections.abc import Iterator

from django.db import connection
from prometheus_client.core import GaugeMetricFamily, Metric

from accounts.levels import LEVELS

RECONCILED = """
SELECT coalesce(sum(fills_missing), 0), coalesce(sum(fills_failed), 0), coalesce(sum(orders_changed), 0),
       coalesce(sum(orders_foreign), 0), coalesce(sum(orders_undead), 0), coalesce(sum(orders_missing), 0),
       coalesce(sum(positions_apart), 0), coalesce(sum(fills_silent), 0),
       count(*) FILTER (WHERE failing_since IS NOT NULL), count(*) FILTER (WHERE unreachable_since IS NOT NULL),
       (SELECT coalesce(max(extract(epoch FROM now() - coalesce(reconciled_at, created_at))), 0)
        FROM accounts_account WHERE connection <> 'offline')
FROM accounts_reconciliation
"""
WORDS = (
    "fills_missing", "fills_failed", "orders_changed", "orders_foreign", "orders_undead", "orders_missing",
    "positions_apart", "fills_silent",
)  # fmt: skip
UNKNOWN = """
SELECT count(*), coalesce(max(extract(epoch FROM now() - created_at)), 0) FROM accounts_order WHERE status = 'unknown'
"""
ALERTS = """
SELECT kind, severity, count(*) FROM alerts_alert WHERE acknowledged_at IS NULL AND resolved_at IS NULL GROUP BY 1, 2
"""
LEVEL = "SELECT CASE WHEN stopped THEN coalesce(nullif(level, ''), 'no_new') ELSE '' END FROM accounts_desk"


def collect_books() -> Iterator[Metric]:
    """Four queries."""
    with connection.cursor() as cursor:
        cursor.execute(RECONCILED)
        *counts, failing, unreachable, age = cursor.fetchone()
        cursor.execute(UNKNOWN)
        unknown, oldest = cursor.fetchone()
        cursor.execute(ALERTS)
        alerts = cursor.fetchall()
        cursor.execute(LEVEL)
        row = cursor.fetchone()
    differences = GaugeMetricFamily(
        "hedgerow_reconcile_differences",
        "Found by reconciles: fills and changes ever, the rest now.",
        labels=["what"],
    )
    for word, count in zip(WORDS, counts, strict=True):
        differences.add_metric([word], float(count))
    yield differences
    yield GaugeMetricFamily("hedgerow_accounts_unreconciled", "Accounts with something unexplained.", value=failing)
    yield GaugeMetricFamily("hedgerow_accounts_unreachable", "Accounts nobody could compare.", value=unreachable)
    yield GaugeMetricFamily("hedgerow_reconcile_oldest_seconds", "Age of the oldest comparison.", value=float(age))
    yield GaugeMetricFamily("hedgerow_orders_unknown", "Orders nobody knows the fate of.", value=unknown)
    yield GaugeMetricFamily("hedgerow_orders_unknown_oldest_seconds", "Age of the oldest one.", value=float(oldest))
    open_alerts = GaugeMetricFamily("hedgerow_alerts_open_by_kind", "Open alerts.", labels=["kind", "severity"])
    for kind, severity, count in alerts:
        open_alerts.add_metric([kind, severity], count)
    yield open_alerts
    level = GaugeMetricFamily("hedgerow_stop_level", "1 at the level of the stop in force.", labels=["level"])
    for name in LEVELS:
        level.add_metric([name], float(row is not None and row[0] == name))
    yield level
