"""`/metrics` for Prometheus: read from PostgreSQL and Redis at each scrape, so every process tells the same truth.

Served to staff, and to addresses in `HEDGEROW_METRICS_ADDRESSES` (loopback) when no proxy stands in between.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import redis
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hedgerow.metrics_books import collect_books
from streams.connection import connect_now
from streams.lag import load_lag

COUNTS = """
SELECT 'order', status, count(*) FROM accounts_order GROUP BY status
UNION ALL SELECT 'fill', settlement, count(*) FROM accounts_fill GROUP BY settlement
UNION ALL SELECT 'account', connection, count(*) FROM accounts_account GROUP BY connection
UNION ALL SELECT 'alert', severity, count(*) FROM alerts_alert
  WHERE acknowledged_at IS NULL AND resolved_at IS NULL GROUP BY severity
"""
FIGURES = """
SELECT (SELECT stopped::int FROM accounts_desk),
       (SELECT count(*) FROM accounts_enginelease WHERE renewed_at > now() - interval '2 seconds'),
       e.shares, e.seconds, e.at_risk
FROM (SELECT coalesce(sum(unhedged), 0) AS shares, coalesce(sum(at_risk), 0) AS at_risk,
             coalesce(max(extract(epoch FROM now() - unhedged_since)), 0) AS seconds
      FROM strategies_exposure WHERE unhedged_since IS NOT NULL) AS e
"""
EXPOSURES = """
SELECT s.name, a.name, e.market_id, e.unhedged, extract(epoch FROM now() - e.unhedged_since), e.at_risk, e.rung
FROM strategies_exposure e
JOIN strategies_strategy s ON s.id = e.strategy_id
JOIN accounts_account a ON a.id = e.primary_account_id
WHERE e.unhedged_since IS NOT NULL ORDER BY e.at_risk DESC LIMIT 200
"""
DENIED = """
SELECT split_part(reason, ':', 1), count(*) FROM accounts_order WHERE status = 'denied' GROUP BY 1
"""
LATENCY = """
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY latency_us), percentile_cont(0.99) WITHIN GROUP (ORDER BY latency_us)
FROM (SELECT latency_us FROM accounts_order WHERE latency_us IS NOT NULL ORDER BY created_at DESC LIMIT 1000) AS recent
"""


class DeskCollector(Collector):
    """The desk's figures as of now. Prometheus speaks float; nothing is computed further with these."""

    def collect(self) -> Iterator[Metric]:
        yield from collect_rows()
        yield from collect_books()
        yield from collect_streams()


def collect_rows() -> Iterator[Metric]:
    """Figures of PostgreSQL."""
    families: dict[str, Metric] = {
        "order": GaugeMetricFamily("hedgerow_orders", "Orders by status.", labels=["status"]),
        "fill": GaugeMetricFamily("hedgerow_fills", "Fills by settlement.", labels=["settlement"]),
        "account": GaugeMetricFamily("hedgerow_accounts", "Accounts by connection.", labels=["connection"]),
        "alert": GaugeMetricFamily("hedgerow_alerts_open", "Open alerts by severity.", labels=["severity"]),
    }
    with connection.cursor() as cursor:
        cursor.execute(COUNTS)
        for family, label, count in cursor.fetchall():
            families[family].add_metric([label], count)  # type: ignore[attr-defined]
        cursor.execute(FIGURES)
        stopped, engines, shares, seconds, at_risk = cursor.fetchone()
        cursor.execute(DENIED)
        denied = cursor.fetchall()
        cursor.execute(EXPOSURES)
        exposures = cursor.fetchall()
        cursor.execute(LATENCY)
        median, slowest = cursor.fetchone()
    yield from families.values()
    yield GaugeMetricFamily("hedgerow_desk_stopped", "1 while the emergency stop is pulled.", value=stopped or 0)
    yield GaugeMetricFamily("hedgerow_engines", "Engines with a fresh lease to send.", value=engines)
    yield GaugeMetricFamily(
        "hedgerow_unhedged_shares", "Shares no fill has covered yet, all exposures.", value=float(shares)
    )
    yield GaugeMetricFamily("hedgerow_dollars_at_risk", "Lost if all those shares lose.", value=float(at_risk))
    yield GaugeMetricFamily("hedgerow_unhedged_seconds", "Age of the oldest unhedged share.", value=float(seconds))
    latency = GaugeMetricFamily(
        "hedgerow_fill_to_order_seconds", "Fill's arrival to order leaving, last 1000 hedges.", labels=["quantile"]
    )
    for quantile, microseconds in (("0.5", median), ("0.99", slowest)):
        if microseconds is not None:
            latency.add_metric([quantile], float(microseconds) / 1e6)
    yield latency
    refused = GaugeMetricFamily("hedgerow_orders_denied", "Orders we refused ourselves.", labels=["reason"])
    for reason, count in denied:
        refused.add_metric([reason], count)
    yield refused
    yield from collect_exposures(exposures)


def collect_exposures(rows: Iterable[tuple[Any, ...]]) -> Iterator[Metric]:
    """What is unhedged, exposure by exposure: the 200 with most at risk."""
    labels = ["strategy", "account", "market"]
    families = (
        GaugeMetricFamily("hedgerow_exposure_unhedged_shares", "Shares no fill has covered yet.", labels=labels),
        GaugeMetricFamily("hedgerow_exposure_unhedged_seconds", "Since when there are some.", labels=labels),
        GaugeMetricFamily("hedgerow_exposure_dollars_at_risk", "Lost if those shares lose.", labels=labels),
        GaugeMetricFamily("hedgerow_exposure_rung", "The place on the strategy's ladder.", labels=labels),
    )
    for strategy, account, market, *figures in rows:
        for family, figure in zip(families, figures, strict=True):
            family.add_metric([strategy, account, market], float(figure))
    yield from families


def collect_streams() -> Iterator[Metric]:
    """Figures of the bus; a Redis that is down shows as `hedgerow_bus_up 0`."""
    labels = ["stream", "group"]
    pending = GaugeMetricFamily("hedgerow_stream_pending", "Read and not acknowledged.", labels=labels)
    lag = GaugeMetricFamily("hedgerow_stream_lag", "Not read yet.", labels=labels)
    oldest = GaugeMetricFamily("hedgerow_stream_oldest_seconds", "Age of the oldest unacknowledged.", labels=labels)
    dead = GaugeMetricFamily("hedgerow_stream_dead_letters", "Dead letters of the stream.", labels=["stream"])
    try:
        with connect_now(settings.REDIS_URL) as client:
            figures = load_lag(client)
    except redis.RedisError:
        yield GaugeMetricFamily("hedgerow_bus_up", "1 when Redis answers.", value=0)
        return
    for group in figures:
        pending.add_metric([group.stream, group.group], group.pending)
        lag.add_metric([group.stream, group.group], group.lag)
        oldest.add_metric([group.stream, group.group], group.oldest_unacknowledged_ms / 1000)
    for stream, count in {group.stream: group.dead_letters for group in figures}.items():
        dead.add_metric([stream], count)
    yield GaugeMetricFamily("hedgerow_bus_up", "1 when Redis answers.", value=1)
    yield from (pending, lag, oldest, dead)


# auto_describe off: registering must not read the database.
registry = CollectorRegistry(auto_describe=False)
registry.register(DeskCollector())


def may_scrape(request: HttpRequest) -> bool:
    """True for staff, and for a listed address that speaks to us directly."""
    user = request.user
    if user.is_authenticated and user.is_active and user.is_staff:
        return True
    forwarded = any(name in request.headers for name in ("X-Forwarded-For", "Forwarded", "X-Real-Ip"))
    return not forwarded and request.META.get("REMOTE_ADDR") in settings.METRICS_ADDRESSES


def answer_metrics(request: HttpRequest) -> HttpResponse:
    """The text exposition format, or 403."""
    if not may_scrape(request):
        return HttpResponseForbidden("Metrics are for staff, and for the addresses in HEDGEROW_METRICS_ADDRESSES.\n")
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
