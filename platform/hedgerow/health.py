"""`/healthz` (this process answers) and `/readyz` (what it needs answers), for supervisors and balancers.

ClickHouse is only reported: a desk whose record is behind still trades, and its stop button must stay reachable.
"""

import urllib.error
import urllib.request
from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

import structlog
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from redis import RedisError

from streams.connection import connect_now

log = structlog.get_logger()
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

Probe = Callable[[], bool]


def answer_health(request: HttpRequest) -> HttpResponse:
    """Cheap on purpose: touches nothing but this process."""
    return HttpResponse("ok\n", content_type="text/plain")


def answer_ready(request: HttpRequest) -> JsonResponse:
    """200 when the process can do its work, else 503; the body says which part is missing, and no more."""
    required = {name: _try(probe) for name, probe in REQUIRED.items()}
    reported = {name: _try(probe) for name, probe in REPORTED.items()}
    ready = all(required.values())
    status = "ready" if ready and all(reported.values()) else "degraded" if ready else "not ready"
    parts = {name: "ok" if fine else "down" for name, fine in (required | reported).items()}
    return JsonResponse({"status": status, "mode": settings.MODE.value, **parts}, status=200 if ready else 503)


def reach_database() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return bool(cursor.fetchone() == (1,))


def check_migrations() -> bool:
    """True when no migration of this code is missing in the database."""
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


def reach_redis() -> bool:
    with connect_now(settings.REDIS_URL) as client:
        return bool(client.ping())


def reach_clickhouse() -> bool:
    """Asks the server's own `/ping`, which needs no login."""
    url = urlsplit(settings.CLICKHOUSE_URL)
    host = url.hostname if url.port is None else f"{url.hostname}:{url.port}"
    with _direct.open(urlunsplit((url.scheme, host, "/ping", "", "")), timeout=2.0) as answer:
        return bool(answer.status == 200)


REQUIRED: dict[str, Probe] = {"postgresql": reach_database, "migrations": check_migrations, "redis": reach_redis}
REPORTED: dict[str, Probe] = {"clickhouse": reach_clickhouse}


def _try(probe: Probe) -> bool:
    try:
        return probe()
    except (DatabaseError, RedisError, OSError, urllib.error.URLError) as error:
        log.warning("not ready", part=probe.__name__, error=type(error).__name__)
        return False
