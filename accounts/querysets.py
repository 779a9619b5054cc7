"""What pages and the admin read of accounts, orders and fills. Each function is one query, at any size."""

import uuid
from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Count, Max, Q, QuerySet, Sum
from django.db.models.functions import TruncMinute

from accounts.gate import TTL_S
from accounts.models import Account, Desk, EngineLease, Fill, Order, Position, SealedSecret
from trading.enums import OrderStatus, TradingState
from trading.orders import TERMINAL

LEASE_TTL = timedelta(seconds=TTL_S)
"""A lease older than this has ended: its engine sends nothing any more."""


def load_desk() -> Desk:
    """The desk's one row; a fresh, unsaved one (trading) before the first stop ever."""
    return Desk.objects.filter(pk=1).first() or Desk(pk=1)


def lock_desk() -> Desk:
    """The desk's one row, held until the transaction ends. Made anew if it is gone: a stop must not depend on it."""
    return Desk.objects.select_for_update().get_or_create(pk=1)[0]


def load_fresh_leases(now: datetime) -> list[EngineLease]:
    """The engines that may send orders at this moment."""
    return list(EngineLease.objects.filter(renewed_at__gt=now - LEASE_TTL).order_by("name"))


def load_fleet() -> list[Account]:
    """Every account by name, without its notes."""
    return list(Account.objects.defer("notes").order_by("name"))


def count_active_accounts() -> int:
    """Accounts that may send orders."""
    return Account.objects.exclude(state=TradingState.HALTED.value).count()


def load_connections() -> list[tuple[str, int, int, datetime | None]]:
    """Per platform: accounts, those connected, and when one of them last changed."""
    connected = Count("id", filter=Q(connection=Account.Connection.CONNECTED))
    rows = Account.objects.order_by("platform").values_list("platform")
    return list(rows.annotate(total=Count("id"), connected=connected, since=Max("connection_at")))


def count_positions() -> int:
    """Outcomes of which some account holds shares."""
    return Position.objects.exclude(size=0).count()


def load_fill_counts(since: datetime) -> dict[uuid.UUID, int]:
    """Fills per account received since then."""
    rows = Fill.objects.filter(received_at__gte=since).order_by().values_list("account_id")
    return dict(rows.annotate(count=Count("id")))


def load_realized() -> dict[uuid.UUID, Decimal]:
    """Realized profit and loss per account in collateral, over all its positions."""
    return dict(Position.objects.order_by().values_list("account_id").annotate(total=Sum("realized")))


def load_last_fills(limit: int) -> list[Fill]:
    """The newest fills that were not hedges themselves, with account and market."""
    fills = Fill.objects.filter(exposure_id__isnull=True).order_by("-received_at", "-id")
    return list(fills.select_related("account", "market")[:limit])


def load_hedges(exposure_ids: Collection[uuid.UUID], since: datetime, limit: int = 500) -> list[Order]:
    """Hedge orders of these exposures made since then, oldest first, with their account. Never their signed bytes."""
    if not exposure_ids:
        return []
    orders = Order.objects.filter(exposure_id__in=exposure_ids, created_at__gte=since)
    newest = without_bytes(orders).select_related("account").order_by("-created_at")[:limit]
    return list(reversed(newest))


def load_latencies(limit: int) -> list[int]:
    """Microseconds from fill arrival to order bytes leaving, of the newest hedges that left."""
    sent = Order.objects.filter(latency_us__isnull=False).order_by("-created_at")
    return [value for value in sent.values_list("latency_us", flat=True)[:limit] if value is not None]


def load_fills_per_minute(since: datetime) -> dict[datetime, int]:
    """Fills that were not hedges, by the minute they arrived in."""
    fills = Fill.objects.filter(received_at__gte=since, exposure_id__isnull=True).order_by()
    return dict(fills.annotate(minute=TruncMinute("received_at")).values_list("minute").annotate(count=Count("id")))


def load_hedges_per_minute(since: datetime) -> dict[datetime, int]:
    """Hedge orders that left, by the minute they were decided in."""
    orders = Order.objects.filter(created_at__gte=since, exposure_id__isnull=False, sent_at__isnull=False).order_by()
    return dict(orders.annotate(minute=TruncMinute("created_at")).values_list("minute").annotate(count=Count("id")))


def count_in_flight() -> dict[str, int]:
    """Orders that may still trade, by status."""
    statuses = [
        OrderStatus.INITIALIZED.value,
        OrderStatus.SUBMITTED.value,
        OrderStatus.ACCEPTED.value,
        OrderStatus.PARTIALLY_FILLED.value,
        OrderStatus.UNKNOWN.value,
    ]
    return dict(Order.objects.filter(status__in=statuses).order_by().values_list("status").annotate(count=Count("id")))


def without_bytes(orders: QuerySet[Order]) -> QuerySet[Order]:
    """The orders without the columns that no page shows: the signed bytes and the salt."""
    return orders.defer("body", "salt")


def count_cleared(since: datetime, *, is_flattening: bool) -> int:
    """Orders a stop pulled at `since` has taken off their books, and when flattening the holdings sold. Two queries."""
    ended = [status.value for status in TERMINAL]
    cleared = Order.objects.filter(cancel_requested_at__gte=since, status__in=ended).count()
    if is_flattening:
        cleared += Position.objects.filter(size=0, updated_at__gte=since).count()
    return cleared


def count_by_vault_key() -> dict[str, int]:
    """How many secrets are sealed with each vault key."""
    return dict(SealedSecret.objects.values_list("vault_key").annotate(Count("pk")).order_by("vault_key"))
