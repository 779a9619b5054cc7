"""`/fills` and `/positions`: what was executed, and what it adds up to, per account and over all of them."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from django.db.models import Count, F, Max, Q, QuerySet, Sum
from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import Field

from accounts.api.rows import COMMON, OfAccountAndMarket, narrow
from accounts.models import Fill, Position
from accounts.scope import in_scope, load_account
from identity.callers import caller_of, may
from identity.roles import Role
from trading.enums import Action, FeeKind, Liquidity, Outcome, Platform, Settlement
from web.fields import Amount, Instant, Word
from web.paging import Page, PageQuery, Sorting, load_page, order_named

router = Router(tags=["fills and positions"])
FILL_ORDERS = {"received_at": Sorting(("received_at", "id"))}
BY_ACCOUNT = Sorting(("account_id", "market_id", "outcome"))
BY_MARKET = Sorting(("market_id", "outcome"))
FLAT = Q(size=0)
FILL_FILTERS = COMMON | {
    "action": "action",
    "settlement": "settlement",
    "since": "received_at__gte",
    "until": "received_at__lt",
}
POSITION_FILTERS = COMMON | {"platform": "market__platform"}


class FillAnswer(OfAccountAndMarket):
    """One execution of one of our orders, under the seed's names."""

    id: int
    action: Action
    price: Amount
    fee: Amount | None
    fee_kind: FeeKind | None
    liquidity: Liquidity | None
    settlement: Settlement
    order_hash: str
    order_id: UUID | None
    exposure_id: UUID | None
    trade_id: str
    settlement_id: str
    transaction_hash: str
    venue_time: datetime | None
    received_at: datetime
    settled_at: datetime | None


class PositionAnswer(OfAccountAndMarket):
    """One account's shares of one outcome. Figures in collateral."""

    cost: Amount
    realized: Amount
    fees: Amount
    updated_at: datetime


class TotalAnswer(Schema):
    """All accounts' shares of one outcome together."""

    platform: Platform
    market_id: str
    market_title: str
    side: Outcome
    accounts: int
    shares: Amount
    cost: Amount
    realized: Amount
    fees: Amount
    updated_at: datetime


class FillQuery(PageQuery):
    """Which fills."""

    account: Annotated[Word, Field(description="An account's id or name.")] = ""
    platform: Platform | None = None
    market_id: Word = ""
    side: Outcome | None = None
    action: Action | None = None
    settlement: Settlement | None = None
    hedges: Annotated[bool, Field(description="Only hedges, or none of them.")] | None = None
    since: Instant | None = None
    until: Instant | None = None
    sort: Literal["received_at", "-received_at"] = "-received_at"


class PositionQuery(PageQuery):
    """Which positions. Flat ones are left out unless asked for."""

    platform: Platform | None = None
    market_id: Word = ""
    side: Outcome | None = None
    flat: bool = False


@router.get("/fills", auth=may(Role.VIEWER), response=Page[FillAnswer], summary="List fills")
def list_fills(request: HttpRequest, asked: Query[FillQuery]) -> Any:
    """Fills, newest first."""
    caller = caller_of(request)
    rows = in_scope(Fill.objects.select_related("account", "market"), caller, "account")
    if asked.account:
        rows = rows.filter(account=load_account(asked.account, caller))
    if asked.hedges is not None:
        rows = rows.filter(exposure_id__isnull=not asked.hedges)
    rows = narrow(rows, asked, FILL_FILTERS)
    items, following = load_page(rows, order_named(asked.sort, FILL_ORDERS), asked)
    return {"items": items, "next": following}


@router.get("/positions", auth=may(Role.VIEWER), response=Page[TotalAnswer], summary="Positions over all accounts")
def list_positions(request: HttpRequest, asked: Query[PositionQuery]) -> Any:
    """Shares of each outcome, added up over the accounts the caller may see."""
    rows: Any = narrowed(in_scope(Position.objects.all(), caller_of(request), "account"), asked)
    totals = rows.order_by().values("market_id", "outcome").annotate(
        platform=F("market__platform"),
        venue_id=F("market__market_id"),
        market_title=F("market__title"),
        accounts=Count("account_id"),
        shares=Sum("size"),
        total_cost=Sum("cost"),
        total_realized=Sum("realized"),
        total_fees=Sum("fees"),
        newest=Max("updated_at"),
    )  # fmt: skip
    items, following = load_page(totals, BY_MARKET, asked)
    return {"items": [added_up(row) for row in items], "next": following}


@router.get("/positions/{account_id}", auth=may(Role.VIEWER), response=Page[PositionAnswer], summary="One's positions")
def list_account_positions(request: HttpRequest, account_id: Word, asked: Query[PositionQuery]) -> Any:
    """One account's positions, by the account's id or name."""
    account = load_account(account_id, caller_of(request))
    rows = narrowed(Position.objects.filter(account=account).select_related("account", "market"), asked)
    items, following = load_page(rows, BY_ACCOUNT, asked)
    return {"items": items, "next": following}


def narrowed(rows: QuerySet[Position], asked: PositionQuery) -> QuerySet[Position]:
    """The rows asked for."""
    rows = narrow(rows, asked, POSITION_FILTERS)
    return rows if asked.flat else rows.exclude(FLAT)


def added_up(row: Any) -> dict[str, Any]:
    """A sum under the answer's names."""
    return {
        "platform": row["platform"],
        "market_id": row["venue_id"],
        "market_title": row["market_title"],
        "side": row["outcome"],
        "accounts": row["accounts"],
        "shares": row["shares"],
        "cost": row["total_cost"],
        "realized": row["total_realized"],
        "fees": row["total_fees"],
        "updated_at": row["newest"],
    }
