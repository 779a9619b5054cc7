"""`/strategies/{id}/exposures` and `/decisions`: what a strategy owes, and why it did what it did."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Schema

from accounts.scope import in_scope
from identity.callers import caller_of, may
from identity.roles import Role
from strategies.api.strategies import load_strategy
from strategies.models import Decision, Exposure
from strategies.querysets import OPEN
from trading.enums import Platform
from web.fields import Amount, Word
from web.paging import Page, PageQuery, Sorting, load_page, order_named

router = Router(tags=["strategies"])
ORDERS = {"updated_at": Sorting(("updated_at", "id"))}


class ExposureAnswer(Schema):
    """What one pair owes in one market, in shares of yes (negative: of no)."""

    id: UUID
    pair_id: UUID
    platform: Platform
    market_id: str
    market_title: str
    primary_account: str
    hedge_account: str
    primary: Amount
    hedged: Amount
    in_flight: Amount
    need: Amount
    reason: str
    unhedged_since: datetime | None
    revision: int
    updated_at: datetime

    @staticmethod
    def resolve_platform(row: Exposure) -> str:
        return row.market.platform

    @staticmethod
    def resolve_market_id(row: Exposure) -> str:
        return row.market.market_id

    @staticmethod
    def resolve_market_title(row: Exposure) -> str:
        return row.market.title

    @staticmethod
    def resolve_primary_account(row: Exposure) -> str:
        return row.primary_account.name

    @staticmethod
    def resolve_hedge_account(row: Exposure) -> str:
        return row.hedge_account.name


class DecisionAnswer(Schema):
    """One evaluation: what was known, what was ordered, and why."""

    id: int
    exposure_id: UUID
    market_id: str
    cause: str
    primary: Amount
    hedged: Amount
    in_flight: Amount
    need: Amount
    orders: list[str]
    reason: str
    at: datetime

    @staticmethod
    def resolve_market_id(row: Decision) -> str:
        return row.exposure.market_id.partition(":")[2]

    @staticmethod
    def resolve_orders(row: Decision) -> list[str]:
        return [str(order) for order in row.orders]


class ExposureQuery(PageQuery):
    """Which exposures."""

    open: bool | None = None
    market_id: Word = ""
    sort: Literal["updated_at", "-updated_at"] = "-updated_at"


class DecisionQuery(PageQuery):
    """Which decisions."""

    exposure_id: UUID | None = None


@router.get("/{strategy_id}/exposures", auth=may(Role.VIEWER), response=Page[ExposureAnswer], summary="What it owes")
def list_exposures(request: HttpRequest, strategy_id: UUID, asked: Query[ExposureQuery]) -> Any:
    """Exposures, the ones moved last first."""
    caller = caller_of(request)
    rows = Exposure.objects.filter(strategy=load_strategy(strategy_id, caller))
    rows = in_scope(rows, caller, "primary_account", "hedge_account")
    if asked.open is not None:
        rows = rows.filter(OPEN) if asked.open else rows.exclude(OPEN)
    if asked.market_id:
        rows = rows.filter(market__market_id=asked.market_id)
    rows = rows.select_related("market", "primary_account", "hedge_account").defer("lots")
    items, following = load_page(rows, order_named(asked.sort, ORDERS), asked)
    return {"items": items, "next": following}


@router.get("/{strategy_id}/decisions", auth=may(Role.VIEWER), response=Page[DecisionAnswer], summary="Why it did so")
def list_decisions(request: HttpRequest, strategy_id: UUID, asked: Query[DecisionQuery]) -> Any:
    """Decisions, newest first."""
    caller = caller_of(request)
    rows = Decision.objects.filter(exposure__strategy=load_strategy(strategy_id, caller))
    rows = in_scope(rows, caller, "exposure__primary_account", "exposure__hedge_account")
    if asked.exposure_id:
        rows = rows.filter(exposure_id=asked.exposure_id)
    items, following = load_page(rows.select_related("exposure"), Sorting(("id",), falling=True), asked)
    return {"items": items, "next": following}
