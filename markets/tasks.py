"""The scheduled market sync, and the minute's prices of the markets traded lately."""

from functools import partial

import structlog
from celery import shared_task
from django.conf import settings
from django.utils import timezone

from markets.endpoints import load_endpoints
from markets.history import load_traded, record_quotes, warehouse
from markets.sync import sync_markets
from trading.errors import VenueError
from warehouse.clickhouse import OUTAGES
from web.progress import Progress

log = structlog.get_logger()


@shared_task
def sync_all_markets(token: str = "") -> None:
    """Every venue in turn; one that can't be read now is left for the next run. `token` is whose progress to note."""
    venues = load_endpoints()
    for number, (platform, endpoints) in enumerate(venues.items(), start=1):
        tell(token, number, len(venues), f"venues read, now {platform.value}")
        try:
            result = sync_markets(
                platform, endpoints, timezone.now(), progress=partial(tell_markets, token, number, len(venues))
            )
        except VenueError as error:
            log.warning("markets not synced", platform=platform.value, error=error.slug)
            tell_markets(token, number, len(venues), f"{platform.value} cannot be read now")
        else:
            if result.added or result.changed or result.closed:
                log.info("markets synced", platform=platform.value, added=result.added, changed=result.changed)

    tell(token, len(venues) + 1, len(venues), "venues read")


def tell(token: str, number: int, venues: int, text: str) -> None:
    """Note that venue `number` of `venues` is being read, and what is known of it."""
    if token:
        Progress(f"sync:{token}", text).note(number - 1, venues)


def tell_markets(token: str, number: int, venues: int, text: str) -> None:
    """`tell` what is known of the markets of venue `number` so far."""
    tell(token, number, venues, f"venues read; {text}")


@shared_task
def record_prices() -> int:
    """Keep the best prices of every market traded lately; returns of how many. A warehouse that is away is skipped."""
    now = timezone.now()
    markets = load_traded(now)
    if not markets:
        return 0
    try:
        return record_quotes(warehouse(settings.CLICKHOUSE_URL), markets, now)
    except OUTAGES as error:
        log.warning("prices not kept", error=type(error).__name__)
        return 0
