"""`/markets`: browsing and searching the catalogue that the market sync keeps. `hedgerow.api` mounts it."""

from datetime import datetime
from typing import Annotated, Any, Literal

from django.db.models import Q
from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import Field

from identity.callers import may
from identity.roles import Role
from markets.models import Market
from trading.enums import MarketStatus, Platform
from web.fields import Amount, Instant, Word
from web.paging import Page, PageQuery, Sorting, load_page, order_named
from web.problems import not_found

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
