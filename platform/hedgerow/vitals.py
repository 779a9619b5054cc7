"""Is everything alive: every process by the trace it leaves, every venue by its connections, and the open alerts.

Nothing is asked over the network but Redis, so the desk page never waits for a process that hangs.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.template.defaultfilters import pluralize
from redis import RedisError

from accounts import equity
from accounts import querysets as ledger
from alerts import querysets as alerts
from streams.connection import connect_now
from streams.lag import GroupLag, load_lag

ALERTS_SHOWN = 8
WORKER_SILENT = timedelta(seconds=95)
"""The worker leaves a point every 30 s: three missed in a row."""
BEHIND_MS = 5_000
STUCK_MS = 60_000

log = structlog.get_logger()


@dataclass(frozen=True)
class Vital:
    """One process or connection: `good`, `warn` or `bad`, and what is known of it."""

    name: str
    mark: str
    word: str
    detail: str = ""
    at: datetime | None = None


def load_health(now: datetime) -> dict[str, Any]:
    """Everything that must run. Three queries and a look at Redis."""
    return {
        "vitals": [
            judge_engines(len(leases := ledger.load_fresh_leases(now)), leases[0].renewed_at if leases else None),
            judge_worker(equity.load_latest_point_at(), now),
            *load_bus(),
            *(judge_venue(*row) for row in ledger.load_connections()),
        ]
    }


def load_alerts(now: datetime) -> dict[str, Any]:
    """The open alerts seen last, and how many there are of each severity. Two queries."""
    return {"alerts": list(alerts.load_open()[:ALERTS_SHOWN]), "alert_counts": alerts.count_open()}


def judge_engines(count: int, at: datetime | None) -> Vital:
    """Without a fresh lease nothing is hedged."""
    return Vital("Engines", "good" if count else "bad", f"{count} running" if count else "none running", at=at)


def judge_worker(at: datetime | None, now: datetime) -> Vital:
    """The worker and its schedule, by the equity point they record every half minute."""
    if at is None:
        return Vital("Worker and schedule", "warn", "not heard yet", "writes the equity curve, syncs, reconciles")
    alive = now - at < WORKER_SILENT
    return Vital("Worker and schedule", "good" if alive else "bad", "running" if alive else "silent", at=at)


def load_bus() -> list[Vital]:
    """Redis, and every reader of the bus by how far behind it is."""
    try:
        with connect_now(settings.REDIS_URL) as client:
            figures = load_lag(client)
    except (RedisError, OSError) as error:
        log.warning("bus_unreachable", error=type(error).__name__)
        return [Vital("Bus", "bad", "unreachable", "fills are read once it is back")]
    dead = sum({figure.stream: figure.dead_letters for figure in figures}.values())
    bus = Vital("Bus", "warn" if dead else "good", "answers", f"{dead} dead letter{pluralize(dead)}" if dead else "")
    groups: dict[str, list[GroupLag]] = {}
    for figure in figures:
        groups.setdefault(figure.group, []).append(figure)
    return [bus, *(judge_reader(name, found) for name, found in sorted(groups.items()))]


def judge_reader(name: str, figures: list[GroupLag]) -> Vital:
    """One reader group over all its streams."""
    title = f"Reader {name}"
    if not any(figure.exists for figure in figures):
        return Vital(title, "warn", "never read")
    waiting = sum(figure.pending + figure.lag for figure in figures)
    oldest = max(figure.oldest_unacknowledged_ms for figure in figures)
    if oldest < BEHIND_MS:
        return Vital(title, "good", "keeps up")
    detail = f"{waiting} waiting, the oldest {oldest // 1000} s"
    return Vital(title, "bad" if oldest >= STUCK_MS else "warn", "behind", detail)


def judge_venue(platform: str, total: int, connected: int, since: datetime | None) -> Vital:
    """The private streams of one venue's accounts. `since` is when one of them last connected or fell off."""
    mark = "good" if connected == total else "warn" if connected else "bad"
    return Vital(f"Venue {platform}", mark, f"{connected} of {total} connected", at=since)
