"""Orders as the pages ask for them: filtered, newest first, a page at a time by cursor, never counted as a whole."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import CharField, Count, F, Func, Q, QuerySet, Value

from accounts.models import Account, Fill, Order, Position
from accounts.querysets import without_bytes
from accounts.scope import in_scope
from identity.callers import Caller
from identity.models import AuditEntry
from markets.models import Market, market_key
from trading.enums import OrderOrigin, OrderStatus
from trading.orders import IN_FLIGHT, TERMINAL
from web.paging import PageQuery, Sorting, load_page
from web.problems import Problem
from web.requests import read_words

PAGE = 50
NEWEST = Sorting(("created_at", "id"), falling=True)
NEWEST_FILLS = Sorting(("received_at", "id"), falling=True)
AMBIGUOUS = (OrderStatus.SUBMITTED.value, OrderStatus.UNKNOWN.value)
"""The bytes may have left, and the venue has not said what became of them."""
AMBIGUOUS_AFTER = timedelta(seconds=4)
"""Younger ones are simply on their way; the recovery looks at older ones."""
MOST_AMBIGUOUS = 100
IN_FLIGHT_NAMES = sorted(status.value for status in IN_FLIGHT)
STATUS_GROUPS: Mapping[str, list[str]] = {
    "open": IN_FLIGHT_NAMES,
    "ended": sorted(status.value for status in TERMINAL),
}
FILTERS = ("account", "market", "status", "origin", "reason", "q")
DENIED_WITHIN = timedelta(days=1)


@dataclass(frozen=True)
class OrderFilter:
    """Which orders a page wants; an empty field asks for nothing."""

    account: str = ""
    market: str = ""
    status: str = ""
    origin: str = ""
    reason: str = ""
    """A reason's code: what stands before the colon."""
    q: str = ""

    @classmethod
    def read(cls, given: Mapping[str, str]) -> "OrderFilter":
        """The filter of a request's query."""
        return cls(**read_words(given, FILTERS))

    def apply(self, rows: QuerySet[Order]) -> QuerySet[Order]:
        """The rows it wants."""
        if self.account:
            rows = rows.filter(self._account())
        if self.market:
            rows = rows.filter(
                Q(market_id=self.market) | Q(market__market_id=self.market) | Q(market__title__icontains=self.market)
            )
        if self.status:
            known = STATUS_GROUPS.get(self.status, [self.status])
            rows = rows.filter(status__in=known)
        if self.origin in set(OrderOrigin):
            rows = rows.filter(origin=self.origin)
        if self.reason:
            rows = rows.filter(Q(reason=self.reason) | Q(reason__startswith=f"{self.reason}:"))
        if self.q:
            rows = rows.filter(self._search())
        return rows

    def _account(self) -> Q:
        try:
            return Q(account_id=UUID(self.account))
        except ValueError:
            return Q(account__in=Account.objects.filter(name__icontains=self.account))

    def _search(self) -> Q:
        """An exact id, hash or venue's id: each has an index."""
        try:
            return Q(pk=UUID(self.q)) | Q(exposure_id=UUID(self.q))
        except ValueError:
            return Q(order_hash=self.q) if self.q.startswith("0x") else Q(venue_order_id=self.q)


def load_order_page(wanted: OrderFilter, visitor: Caller, cursor: str = "") -> tuple[list[Order], str | None]:
    """A page of orders, newest first, and the next page's cursor: one query. A cursor not ours begins anew."""
    rows = wanted.apply(without_bytes(Order.objects.select_related("account", "market")))
    return page_of(in_scope(rows, visitor, "account"), NEWEST, cursor)


def page_of(rows: QuerySet, order: Sorting, cursor: str, limit: int = PAGE) -> tuple[list, str | None]:  # type: ignore[type-arg]
    """One page of any list; a cursor that is not ours begins anew."""
    try:
        return load_page(rows, order, PageQuery(cursor=cursor[:500], limit=limit))
    except Problem:
        return load_page(rows, order, PageQuery(limit=limit))


def load_ambiguous(now: datetime, visitor: Caller) -> list[Order]:
    """Orders that may or may not have reached their venue, the oldest first. One query on a partial index."""
    rows = Order.objects.filter(status__in=AMBIGUOUS, updated_at__lt=now)
    old = rows.filter(Q(status=OrderStatus.UNKNOWN.value) | Q(created_at__lt=now - AMBIGUOUS_AFTER))
    old = in_scope(old, visitor, "account")
    return list(without_bytes(old).select_related("account", "market").order_by("created_at")[:MOST_AMBIGUOUS])


def load_denied(now: datetime, visitor: Caller) -> list[tuple[str, int]]:
    """The orders we refused ourselves within a day: (reason code, how many), most first. One query on recent rows."""
    rows = Order.objects.filter(status=OrderStatus.DENIED.value, created_at__gte=now - DENIED_WITHIN)
    code = Func(F("reason"), Value(":"), Value(1), function="split_part", output_field=CharField())
    rows = in_scope(rows, visitor, "account").order_by().annotate(code=code)
    return list(rows.values_list("code").annotate(total=Count("pk")).order_by("-total", "code"))


def load_order(order_id: UUID, visitor: Caller) -> Order | None:
    """One order the visitor may see, with account and market, without its bytes."""
    rows = without_bytes(Order.objects.select_related("account", "market"))
    return in_scope(rows, visitor, "account").filter(pk=order_id).first()


def load_fills_of_order(order: Order) -> list[Fill]:
    """The order's fills, the first first."""
    return list(Fill.objects.filter(order_id=order.pk).order_by("received_at", "id")[:200])


def load_fill_page(account: Account, cursor: str = "", limit: int = PAGE) -> tuple[list[Fill], str | None]:
    """The account's fills, newest first: one query."""
    return page_of(Fill.objects.filter(account=account).select_related("market"), NEWEST_FILLS, cursor, limit)


def load_positions(account: Account) -> list[Position]:
    """What the account holds or has earned, largest holdings first. One query."""
    rows = Position.objects.filter(account=account).select_related("market")
    return list(rows.order_by("-size", "-updated_at")[:200])


def load_account_events(account: Account, limit: int = 50) -> list[AuditEntry]:
    """What people and programs did to the account, newest first. One query."""
    rows = AuditEntry.objects.filter(object_type="accounts.account", object_id=str(account.pk))
    return list(rows.order_by("-id")[:limit])


def load_market(platform: str, market_id: str) -> Market:
    """A market that was just found to exist."""
    return Market.objects.get(pk=market_key(platform, market_id))
