"""The scheduled market sync."""

import structlog
from celery import shared_task
from django.utils import timezone

from markets.endpoints import load_endpoints
from markets.sync import sync_markets
from trading.errors import VenueError

log = structlog.get_logger()


@shared_task
def sync_all_markets() -> None:
    """Every venue in turn; one that can't be read now is left for the next run."""
    for platform, endpoints in load_endpoints().items():
        try:
            result = sync_markets(platform, endpoints, timezone.now())
        except VenueError as error:
            log.warning("markets not synced", platform=platform.value, error=error.slug)
        else:
            if result.added or result.changed or result.closed:
                log.info("markets synced", platform=platform.value, added=result.added, changed=result.changed)
