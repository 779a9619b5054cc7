"""`/trade`, `/orders` and `/unknown-orders`: asking for orders, following them, taking them off the book."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Header, Query, Router, Schema, Status
from pydantic import Field

from accounts.api.accounts import API
from accounts.api.rows import COMMON, OfAccountAndMarket, narrow
from accounts.models import Account
from accounts.models import Order as OrderRow
from accounts.querysets import without_bytes
from accounts.scope import in_scope, load_account
from accounts.trade import cancel_order, check_order, place_order
from accounts.unknowns import Evidence, Found, resolve_unknown
from identity.callers import Caller, caller_of, may
from identity.roles import Role
from trading.commands import PlaceOrder
from trading.enums import Action, Mode, OrderOrigin, OrderStatus, OrderType, Outcome, Platform
from trading.errors import InvalidValue
from trading.ids import deterministic_uuid
from trading.orders import TERMINAL
from trading.values import exact
from web.fields import Amount, Because, Given, GivenPrice, GivenShares, Instant, Prose, Word
from web.paging import Page, PageQuery, Sorting, load_page, order_named
from web.problems import Problem, not_found

router = Router(tags=["orders"])
ORDERS = {"created_at": Sorting(("created_at", "id"))}
FILTERS = COMMON | {
    "status": "status",
    "origin": "origin",
    "action": "action",
    "exposure_id": "exposure_id",
    "since": "created_at__gte",
    "until": "created_at__lt",
}
WAITING = [OrderStatus.SUBMITTED.value, OrderStatus.UNKNOWN.value]


class OrderAnswer(OfAccountAndMarket):
    """One order of ours, from intention to its end. Never its signed bytes."""

    id: UUID
    action: Action
    order_type: OrderType
    post_only: bool
    price: Amount
    filled: Amount
    status: OrderStatus
    reason: str
    origin: OrderOrigin
    mode: Mode
    exposure_id: UUID | None
    strategy_id: UUID | None
    cause: str
    order_hash: str | None
    venue_order_id: str
    attempts: int
    latency_us: int | None
    cancel_requested_at: datetime | None
    created_at: datetime
    submitted_at: datetime | None
    sent_at: datetime | None
    answered_at: datetime | None
    closed_at: datetime | None
    updated_at: datetime


class TradeRequest(Given):
    """The seed's command. `side` is the outcome, `shares` the size, `price` the limit per share of that outcome."""

    type: Literal["place_order"] = "place_order"
    platform: Platform
    account_id: Annotated[Word, Field(min_length=1, description="The account's id or name.")]
    market_id: Annotated[Word, Field(min_length=1, description="The venue's own id.")]
    side: Outcome
    price: GivenPrice
    shares: GivenShares
    action: Action = Action.BUY
    order_type: OrderType = OrderType.LIMIT
    post_only: bool = False
    expires_at_s: Annotated[int, Field(ge=0, lt=2**53, description="Unix seconds.")] | None = None
    reason: Annotated[Word, Field(max_length=200)] = ""
    confirm: Annotated[bool, Field(description="Without it nothing is ordered: a dry run.")] = False


class TradeAnswer(Schema):
    """What became of the request. A dry run has ordered nothing; follow an order at `/orders/{client_order_id}`."""

    dry_run: bool
    client_order_id: UUID | None
    account_id: UUID
    account_name: str
    platform: Platform
    market_id: str
    side: Outcome
    action: Action
    price: Amount
    shares: Amount
    cost: Annotated[Amount, Field(description="Price × shares, without fees.")]
    status: OrderStatus | None


class OrderQuery(PageQuery):
    """Which orders."""

    account: Annotated[Word, Field(description="An account's id or name.")] = ""
    platform: Platform | None = None
    market_id: Word = ""
    status: OrderStatus | None = None
    origin: OrderOrigin | None = None
    side: Outcome | None = None
    action: Action | None = None
    exposure_id: UUID | None = None
    since: Instant | None = None
    until: Instant | None = None
    sort: Literal["created_at", "-created_at"] = "-created_at"


class CancelAnswer(Schema):
    """Whether the engine was asked. False: the order had ended already."""

    client_order_id: UUID
    requested: bool
    status: OrderStatus


class Resolution(Given):
    """What a person found out about an order of unknown outcome, and how. Nobody can say it filled: fills come in by
    the reconcile."""

    found: Found
    evidence: Annotated[Prose, Field(min_length=10, max_length=2_000, description="Where you looked, what you saw.")]
    reference: Annotated[Word, Field(description="What can be looked up; needed unless it never arrived.")] = ""


@router.post("/trade", auth=may(Role.TRADER), response={200: TradeAnswer, 202: TradeAnswer}, summary="Order something")
def trade(
    request: HttpRequest,
    given: TradeRequest,
    idempotency_key: Annotated[
        str,
        Header(alias="Idempotency-Key", max_length=100, pattern=r"^[\x21-\x7e]*$", description="One order per key."),
    ] = "",
) -> Any:
    """Check an order against account and market grid (200), or with `confirm` hand it to the engine (202).

    The engine judges limits and states then, and denies with a reason on the order.
    """
    caller = caller_of(request)
    account = load_account(given.account_id, caller)
    command = PlaceOrder(
        **given.model_dump(exclude={"type", "confirm", "account_id"}),
        account_id=str(account.pk),
        client_order_id=order_id(caller, idempotency_key),
    )
    check_order(command)
    earlier = load_earlier(command) if idempotency_key else None
    if earlier is not None:
        return Status(202 if given.confirm else 200, told(command, account, dry_run=False, status=earlier.status))
    if not given.confirm:
        return Status(200, told(command, account, dry_run=True, status=None))
    place_order(command, caller.user, source=API)
    return Status(202, told(command, account, dry_run=False, status=OrderStatus.INITIALIZED.value))


@router.get("/orders", auth=may(Role.VIEWER), response=Page[OrderAnswer], summary="List orders")
def list_orders(request: HttpRequest, asked: Query[OrderQuery]) -> Any:
    """Orders, newest first."""
    return order_page(request, orders_of(caller_of(request)), asked)


@router.get("/unknown-orders", auth=may(Role.VIEWER), response=Page[OrderAnswer], summary="Orders nobody knows of yet")
def list_unknown_orders(request: HttpRequest, asked: Query[PageQuery]) -> Any:
    """Orders that may or may not have reached their venue. The engine settles them by evidence, never by a guess."""
    rows = orders_of(caller_of(request)).filter(status__in=WAITING)
    items, following = load_page(rows, Sorting(("created_at", "id"), falling=True), asked)
    return {"items": items, "next": following}


@router.get("/orders/{order_id}", auth=may(Role.VIEWER), response=OrderAnswer, summary="See one order")
def read_order(request: HttpRequest, order_id: UUID) -> Any:
    """One order by its client order id."""
    return load_order(order_id, caller_of(request))


@router.post(
    "/orders/{order_id}/cancel", auth=may(Role.TRADER), response={202: CancelAnswer}, summary="Cancel an order"
)
def cancel(request: HttpRequest, order_id: UUID, given: Because) -> Any:
    """Ask the engine to take an order off the book; its status tells when the venue has."""
    caller = caller_of(request)
    order = load_order(order_id, caller)
    if OrderStatus(order.status) in TERMINAL:
        return Status(202, {"client_order_id": order.pk, "requested": False, "status": order.status})
    requested = cancel_order(order.pk, caller.user, given.reason, source=API)
    return Status(202, {"client_order_id": order.pk, "requested": requested, "status": order.status})


@router.post(
    "/unknown-orders/{order_id}/resolve",
    auth=may(Role.TRADER),
    response=OrderAnswer,
    summary="Say what became of an order",
)
def resolve(request: HttpRequest, order_id: UUID, given: Resolution) -> Any:
    """Close the question of an unknown order, with evidence. Refused (409) when it is not open or proof is missing."""
    caller = caller_of(request)
    order = load_order(order_id, caller)
    try:
        resolve_unknown(order.pk, Evidence(given.found, given.evidence, given.reference), caller.user, source=API)
    except InvalidValue as error:
        raise Problem(409, "order_not_resolved", f"{str(error)[:1].upper()}{str(error)[1:]}.") from error
    return load_order(order_id, caller)


def orders_of(caller: Caller) -> QuerySet[OrderRow]:
    """The orders a caller may see, with what an answer shows of them."""
    rows = without_bytes(OrderRow.objects.select_related("account", "market"))
    return in_scope(rows, caller, "account")


def load_order(order_id: UUID, caller: Caller) -> OrderRow:
    """One of them, or a 404 Problem."""
    order = orders_of(caller).filter(pk=order_id).first()
    if order is None:
        raise not_found("order", order_id)
    return order


def order_page(request: HttpRequest, rows: QuerySet[OrderRow], asked: OrderQuery) -> dict[str, Any]:
    """A page of `rows` as asked."""
    if asked.account:
        rows = rows.filter(account=load_account(asked.account, caller_of(request)))
    items, following = load_page(narrow(rows, asked, FILTERS), order_named(asked.sort, ORDERS), asked)
    return {"items": items, "next": following}


def order_id(caller: Caller, idempotency_key: str) -> UUID:
    """The same key of the same person is the same order, whichever of their tokens brings it."""
    if not idempotency_key:
        return uuid4()
    return deterministic_uuid("trade", str(caller.user.pk), idempotency_key)


def load_earlier(command: PlaceOrder) -> OrderRow | None:
    """The order this key made before. A 409 Problem when it was another order: a key is for one."""
    order = without_bytes(OrderRow.objects.select_related("market")).filter(pk=str(command.client_order_id)).first()
    if order is None:
        return None
    before = (str(order.account_id), order.market.market_id, order.outcome, order.action, order.price, order.size)
    if before != (
        command.account_id, command.market_id, command.side, command.action, command.price, command.shares,
    ):  # fmt: skip
        raise Problem(409, "idempotency_key_reused", "This Idempotency-Key made another order: choose a new key.")
    return order


def told(command: PlaceOrder, account: Account, *, dry_run: bool, status: str | None) -> dict[str, Any]:
    """The command as its sender reads it back."""
    with exact():
        cost = command.price * command.shares
    return {
        "dry_run": dry_run,
        "client_order_id": None if dry_run else command.client_order_id,
        "account_id": account.pk,
        "account_name": account.name,
        "platform": command.platform,
        "market_id": command.market_id,
        "side": command.side,
        "action": command.action,
        "price": command.price,
        "shares": command.shares,
        "cost": cost,
        "status": status,
    }
