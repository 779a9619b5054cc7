"""Accounts and their books. Ledger rows are only read here; the signed bytes and the secrets are never shown."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.decorators import action

from accounts.account_admin import AccountAdmin
from accounts.models import (
    Account,
    Desk,
    EngineLease,
    EquityPoint,
    Fill,
    Order,
    Position,
    Reconciliation,
    SealedSecret,
)
from accounts.querysets import without_bytes
from identity.back_office import ReadOnlyAdmin, amount

admin.site.register(Account, AccountAdmin)


@admin.register(SealedSecret)
class SealedSecretAdmin(ReadOnlyAdmin):
    """That a secret exists, when it was sealed, and with which key. Never the secret, not even masked."""

    list_display = ("account", "kind", "vault_key", "created_at")
    list_filter = ("kind", "vault_key")
    search_fields = ("account__name",)
    list_select_related = ("account",)
    hidden = ("sealed",)


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin):
    """Every order, newest first."""

    list_display = (
        "created_at", "account", "market", "action", "outcome", amount("size"), amount("price"), amount("filled"),
        "status", "origin", "latency_ms", "reason",
    )  # fmt: skip
    list_filter = ("status", "origin", "account__platform", "mode", ("created_at", admin.DateFieldListFilter))
    search_fields = ("=id", "=order_hash", "=venue_order_id", "account__name", "=market__market_id")
    list_select_related = ("account", "market")
    ordering = ("-created_at",)
    hidden = ("body", "salt")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Order]:
        return without_bytes(super().get_queryset(request))

    @admin.display(description="fill → left, ms", ordering="latency_us")
    def latency_ms(self, order: Order) -> str:
        return "–" if order.latency_us is None else f"{order.latency_us // 1000}.{order.latency_us % 1000 // 10:02d}"


@admin.register(Fill)
class FillAdmin(ReadOnlyAdmin):
    """Every execution of our orders, once, newest first."""

    list_display = (
        "received_at", "account", "market", "action", "outcome", amount("size"), amount("price"), amount("fee"),
        "liquidity", "settlement",
    )  # fmt: skip
    list_filter = ("settlement", "liquidity", "account__platform", ("received_at", admin.DateFieldListFilter))
    search_fields = ("=trade_id", "=order_hash", "=settlement_id", "account__name", "=market__market_id")
    list_select_related = ("account", "market")
    ordering = ("-received_at", "-id")


@admin.register(Position)
class PositionAdmin(ReadOnlyAdmin):
    """Shares per account, market and outcome, as the fills add up."""

    list_display = (
        "account", "market", "outcome", amount("size"), amount("cost"), amount("realized"), amount("fees"),
        "updated_at",
    )  # fmt: skip
    list_filter = ("account__platform", "outcome", "account")
    search_fields = ("account__name", "market__title", "=market__market_id")
    list_select_related = ("account", "market")
    ordering = ("-updated_at",)


@admin.register(Desk)
class DeskAdmin(ReadOnlyAdmin):
    """The desk's one row. It is stopped, and lifted, on its own page."""

    list_display = ("__str__", "level", "generation", "changed_by", "reason", "changed_at")
    actions_list = ("open_stop", "open_lift")

    @action(description="Stop the desk…", url_path="stop", icon="front_hand")  # type: ignore[untyped-decorator]
    def open_stop(self, request: HttpRequest) -> HttpResponse:
        return redirect("stop")

    @action(description="Lift the stop…", url_path="lift", icon="play_arrow")  # type: ignore[untyped-decorator]
    def open_lift(self, request: HttpRequest) -> HttpResponse:
        return redirect("lift")


@admin.register(EngineLease)
class EngineLeaseAdmin(ReadOnlyAdmin):
    """Processes that may send orders, each on a lease it renews."""

    list_display = ("name", "pid", "generation_seen", "started_at", "renewed_at")
    search_fields = ("name",)
    ordering = ("-renewed_at",)


@admin.register(Reconciliation)
class ReconciliationAdmin(ReadOnlyAdmin):
    """How each account's books last compared with its venue, and what differed."""

    list_display = ("account", "checked_at", "agreed_at", "failing_since", "fills_missing", "orders_changed")
    list_select_related = ("account",)
    search_fields = ("account__name",)
    ordering = ("-checked_at",)


@admin.register(EquityPoint)
class EquityPointAdmin(ReadOnlyAdmin):
    """What the desk was worth, point by point."""

    list_display = ("at", amount("collateral"), amount("value"), amount("realized"), "accounts", "unmarked")
    ordering = ("-at",)
