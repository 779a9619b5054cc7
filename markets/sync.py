"""Keeps market rows in step with a venue. Run by the `sync_all_markets` task and by `manage.py sync_markets`.

1. Read every market the venue lists.
2. Ask one by one for what the listing does not tell: stubs, and markets open here that are listed no more.
3. In one transaction, write what is new or different and stamp the rest.
4. After commit, publish one `market_changed` per thing that changed.

A listing that fails part-way changes nothing; the next run starts over. Two runs at once write the same rows in the
same order, so neither waits for ever and readers of the events count each change once.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import redis
import structlog
from django.conf import settings
from django.db import transaction

from markets.models import Market, market_key
from markets.querysets import load_stubs, load_unlisted
from markets.specs import columns_from_spec
from streams.connection import connect_now
from streams.publisher import publish_now
from trading.enums import MarketStatus, Platform
from trading.errors import NotFound
from trading.events import MARKET_EVENTS, Event, MarketChanged
from trading.ids import event_id
from trading.instruments import MarketSpec
from venues.contract import MarketData
from venues.registry import Endpoints, market_data

log = structlog.get_logger()

ASK_AT_MOST = 50
"""Markets asked for one by one in a run; the rest wait for the next run."""
ANNOUNCED = ("status", "fee_rate_bps", "tick", "lot", "min_size", "min_value", "payout_yes")
"""What an order's validity or worth hangs on. Other columns change without an event."""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class SyncResult:
    """What one run did."""

    listed: int
    added: int
    changed: int
    closed: int


def sync_markets(
    platform: Platform, endpoints: Endpoints, now: datetime, progress: Progress | None = None
) -> SyncResult:
    """One run. Raises VenueError when the venue can't be read; nothing is written then."""
    say = progress or (lambda text: None)
    listed = asyncio.run(_fetch_listed(market_data(platform, endpoints), say))
    asked_for = _choose_unlisted(platform, {market_key(platform, spec.market_id) for spec in listed}, now)
    told, gone = asyncio.run(_fetch_each(market_data(platform, endpoints), asked_for))
    result, events = record_markets(platform, [*listed, *told], gone, now)
    say(f"{result.listed} listed, {result.added} added, {result.changed} changed, {result.closed} closed")
    _publish(events)
    return result


def record_markets(
    platform: Platform, specs: Sequence[MarketSpec], gone: Collection[str], now: datetime
) -> tuple[SyncResult, list[Event]]:
    """Write `specs`, and close the markets whose venue ids are in `gone`. Gives the events to publish after commit."""
    wanted = {market_key(platform, spec.market_id): columns_from_spec(spec) for spec in specs}
    with transaction.atomic():
        rows = {row.id: row for row in Market.objects.filter(id__in=wanted)}
        events: list[Event] = []
        written: list[Market] = []
        added = 0
        for key, columns in sorted(wanted.items()):
            row = rows.get(key)
            changes = find_changes(row, columns)
            if row is None or row.synced_at is None:
                added += 1
                events.append(_event(platform, columns["market_id"], "listed", columns["status"], now, None))
            else:
                events.extend(
                    _event(platform, columns["market_id"], what, columns[what], now, row.synced_at)
                    for what in ANNOUNCED
                    if what in changes
                )
            if row is None or changes or row.synced_at is None:
                written.append(Market(id=key, synced_at=now, **columns))
        updated = [*next(iter(wanted.values()), {}), "synced_at"]
        if written:
            Market.objects.bulk_create(
                written, batch_size=500, update_conflicts=True, unique_fields=["id"], update_fields=updated
            )
        unchanged = sorted(set(wanted) - {row.id for row in written})
        Market.objects.filter(id__in=unchanged).update(synced_at=now)
        closed = _close(platform, gone, now)
        events.extend(_event(platform, market_id, "status", "closed", now, since) for market_id, since in closed)
    return SyncResult(len(specs), added, len(written) - added, len(closed)), events


def find_changes(row: Market | None, columns: dict[str, Any]) -> set[str]:
    """Names of the columns in which the venue's word differs from the row."""
    if row is None:
        return set(columns)
    return {name for name, value in columns.items() if getattr(row, name) != value}


def _choose_unlisted(platform: Platform, listed: Collection[str], now: datetime) -> list[str]:
    rows = [*load_stubs(platform), *load_unlisted(platform, now).order_by("synced_at")]
    return [row.market_id for row in rows if row.id not in listed][:ASK_AT_MOST]


def _close(platform: Platform, gone: Collection[str], now: datetime) -> list[tuple[str, datetime | None]]:
    """Close them; gives the venue ids of those that were not, and when each was last seen."""
    keys = [market_key(platform, market_id) for market_id in gone]
    rows = Market.objects.filter(id__in=keys).exclude(
        status__in=[MarketStatus.CLOSED.value, MarketStatus.RESOLVED.value]
    )
    closed = list(rows.values_list("market_id", "synced_at"))
    rows.update(status=MarketStatus.CLOSED.value, synced_at=now)
    return closed


async def _fetch_listed(venue: MarketData, say: Progress) -> list[MarketSpec]:
    specs: list[MarketSpec] = []
    try:
        async for spec in venue.fetch_markets():
            specs.append(spec)
            if len(specs) % 500 == 0:
                say(f"{len(specs)} markets read")
    finally:
        await venue.close()
    return specs


async def _fetch_each(venue: MarketData, market_ids: Iterable[str]) -> tuple[list[MarketSpec], list[str]]:
    """The specs of `market_ids`, and those the venue knows nothing of."""
    specs: list[MarketSpec] = []
    gone: list[str] = []
    try:
        for market_id in market_ids:
            try:
                specs.append(await venue.fetch_market(market_id))
            except NotFound:
                gone.append(market_id)
    finally:
        await venue.close()
    return specs, gone


def _event(
    platform: Platform, market_id: str, what: str, value: object, now: datetime, since: datetime | None
) -> Event:
    text = "" if value is None else str(value)
    mark = since.isoformat() if since else ""
    return Event(
        id=event_id("market_changed", platform.value, market_id, what, text, mark),
        timestamp=now,
        platform=platform,
        data=MarketChanged(market_id=market_id, what=what, value=text),
    )


@cache
def bus() -> redis.Redis:
    """This process's synchronous connection to the bus."""
    return connect_now(settings.REDIS_URL)


def _publish(events: Iterable[Event]) -> None:
    """The rows are the truth and are read again every few seconds: a bus that is down costs a delay, not the run."""
    try:
        for event in events:
            publish_now(bus(), MARKET_EVENTS, event)
    except redis.RedisError as error:
        log.warning("market changes not published", error=type(error).__name__)
