"""`/markets`: browsing and searching the catalogue that the market sync keeps. `hedgerow.api` mounts it."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import structlog
from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router, Schema
from pydantic import Field

from identity.callers import may
from identity.roles import Role
from markets.bars import MOST_BARS, RESOLUTIONS, load_bars
from markets.history import warehouse
from markets.models import Market
from trading.enums import MarketStatus, Platform
from warehouse.clickhouse import OUTAGES
from web.fields import Amount, Instant, Word
from web.paging import Page, PageQuery, Sorting, load_page, order_named
from web.problems import Problem, not_found

log = structlog.get_logger()
A_DAY = timedelta(days=1)

router = Router(tags=["markets"])
ORDERS = {"title": Sorting(("title", "id")), "market_id": Sorting(("platform", "market_id"))}


class MarketAnswer(Schema):
    """One binary market. `id` is platform:market_id; `market_id` is the venue's own."""

    id: str
    platform: Platform
    market_id: str
    title: str
    question: str
    slug: str
    category: str
    status: MarketStatus
    tick: Amount
    lot: Amount
    min_size: Amount
    min_value: Amount
    fee_rate_bps: int
    is_neg_risk: bool
    is_yield_bearing: bool
    ends_at: datetime | None
    payout_yes: Amount | None
    synced_at: datetime | None


class MarketQuery(PageQuery):
    """Which markets."""

    search: Annotated[Word, Field(description="Part of the title, question or category; or the venue's id.")] = ""
    platform: Platform | None = None
    status: MarketStatus | None = None
    category: Word = ""
    ends_before: Instant | None = None
    ends_after: Instant | None = None
    sort: Literal["title", "-title", "market_id", "-market_id"] = "title"


class HistoryQuery(Schema):
    """Which span, in which steps. Without `since`: the day before `until`; without `until`: until now."""

    since: Instant | None = None
    until: Instant | None = None
    resolution: Literal["1m", "5m", "15m", "1h", "4h", "1d"] = "5m"


class BarAnswer(Schema):
    """The last best prices of YES in one step, and the span its middle moved in. Null where a side was empty."""

    time: datetime
    bid: Amount | None
    ask: Amount | None
    mid: Amount | None
    low: Amount | None
    high: Amount | None
    samples: int


class HistoryAnswer(Schema):
    """A market's prices, oldest first. Steps without a price are left out."""

    market_id: str
    resolution: str
    since: datetime
    until: datetime
    items: list[BarAnswer]


@router.get("", auth=may(Role.VIEWER), response=Page[MarketAnswer], summary="Search markets")
def list_markets(request: HttpRequest, asked: Query[MarketQuery]) -> Any:
    """Markets, by title."""
    rows = Market.objects.all()
    if asked.search:
        words = Q(title__icontains=asked.search) | Q(question__icontains=asked.search)
        rows = rows.filter(words | Q(category__icontains=asked.search) | Q(market_id=asked.search))
    conditions = {
        "platform": "platform",
        "status": "status",
        "category": "category",
        "ends_before": "ends_at__lt",
        "ends_after": "ends_at__gte",
    }
    rows = rows.filter(**{column: value for name, column in conditions.items() if (value := getattr(asked, name))})
    items, following = load_page(rows, order_named(asked.sort, ORDERS), asked)
    return {"items": items, "next": following}


@router.get("/{market_id}", auth=may(Role.VIEWER), response=MarketAnswer, summary="See one market")
def read_market(request: HttpRequest, market_id: Word) -> Any:
    """One market by its id, platform:market_id."""
    market = Market.objects.filter(pk=market_id).first()
    if market is None:
        raise not_found("market", market_id)
    return market


@router.get("/{market_id}/history", auth=may(Role.VIEWER), response=HistoryAnswer, summary="A market's prices")
def read_history(request: HttpRequest, market_id: Word, asked: Query[HistoryQuery]) -> Any:
    """Best prices of YES over time. Kept once a minute for markets the desk trades; of others there are none."""
    market = Market.objects.filter(pk=market_id).first()
    if market is None:
        raise not_found("market", market_id)
    until = asked.until or timezone.now()
    since = asked.since or until - A_DAY
    step_s = RESOLUTIONS[asked.resolution]
    if since >= until:
        raise Problem(422, "span_empty", "`since` must be before `until`.")
    if (until - since).total_seconds() > step_s * MOST_BARS:
        raise Problem(
            422,
            "span_too_long",
            f"At {asked.resolution} one answer reaches over {MOST_BARS} steps: ask for less at once.",
        )
    try:
        bars = load_bars(warehouse(settings.CLICKHOUSE_URL), market, since, until, step_s)
    except OUTAGES as error:
        log.warning("warehouse_away", error=type(error).__name__)
        raise Problem(503, "record_away", "The record is away: the desk trades on; ask again later.") from error
    return {"market_id": market.pk, "resolution": asked.resolution, "since": since, "until": until, "items": bars}
