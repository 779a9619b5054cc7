"""Accounts and their books. Ledger rows are only read here; the signed bytes and the secrets are never shown.

Orders and fills are searched by indexed columns only (`accounts.admin_search`), so that a long book stays fast.
"""

from django.contrib import admin
from django.db.models import F, QuerySet
from django.http import HttpRequest

from accounts.account_admin import AccountAdmin
from accounts.admin_actions import ORDER_ACTIONS
from accounts.admin_columns import (
    SETTLEMENT,
    STATE,
    STATUS,
    expires,
    explanations,
    fee_plain,
    latency_plain,
    reason,
    side,
)
from accounts.admin_denied import DeniedBecause
from accounts.admin_desk import DESK_ACTIONS, MARKET_ACTIONS
from accounts.admin_held import Held
from accounts.admin_search import search_fills, search_orders, search_positions
from accounts.levels import label_of
from accounts.models import (
    Account,
    ConnectionTest,
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
from identity.admin_panels import EMPTY, SHOWN, Panel
from identity.back_office import DeskModelAdmin, ReadOnlyAdmin, amount, money, plain, worded_field
from identity.models import AuditEntry
from markets.models import Market

admin.site.register(Account, AccountAdmin)
markets = admin.site.get_model_admin(Market)
assert isinstance(markets, DeskModelAdmin)
markets.add_reasoned(*MARKET_ACTIONS)


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
        "created_at", "account", "market", side, amount("size"), amount("price"), amount("filled"),
        STATUS, reason, latency_plain,
    )  # fmt: skip
    list_filter = (
        "status", "origin", DeniedBecause, ("created_at", admin.DateFieldListFilter), "account__platform", "mode",
    )  # fmt: skip
    search_fields = ("id",)
    search_help_text = "Id, order hash, account or market id"
    search = staticmethod(search_orders)
    list_select_related = ("account", "market")
    ordering = ("-created_at",)
    hidden = ("body", "salt", "announced")
    told = {
        "status": STATUS, "reason": reason, "latency_us": latency_plain, "expires_at_s": expires,
    }  # fmt: skip
    reasoned = ORDER_ACTIONS
    panels = (
        Panel(
            "Fills",
            Fill,
            ("received_at", "action", "outcome", amount("size"), amount("price"), fee_plain, SETTLEMENT),
            lambda order: order.fills.order_by("-id")[:SHOWN],
        ),
        Panel(
            "Who did what to it",
            AuditEntry,
            ("at", "who", "action", "reason", "source"),
            lambda order: AuditEntry.objects.filter(object_type="accounts.order", object_id=str(order.pk)).order_by(
                "-id"
            )[:SHOWN],
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Order]:
        return without_bytes(super().get_queryset(request))


@admin.register(Fill)
class FillAdmin(ReadOnlyAdmin):
    """Every execution of our orders, once, newest first."""

    list_display = (
        "received_at", "account", "market", "action", "outcome", amount("size"), amount("price"), fee_plain,
        "liquidity", SETTLEMENT,
    )  # fmt: skip
    told = {"fee": fee_plain, "settlement": SETTLEMENT}
    list_filter = ("settlement", "liquidity", "account__platform", ("received_at", admin.DateFieldListFilter))
    search_fields = ("id",)
    search_help_text = "Trade id, order hash, account or market id"
    search = staticmethod(search_fills)
    list_select_related = ("account", "market")
    ordering = ("-received_at", "-id")


@admin.register(Position)
class PositionAdmin(ReadOnlyAdmin):
    """Shares per account, market and outcome, as the fills add up."""

    list_display = (
        "account", "market", "outcome", amount("size"), money("cost"), money("realized"), money("fees"),
        "updated_at",
    )  # fmt: skip
    told = {name: worded_field(name, f"{name}, collateral", plain) for name in ("cost", "realized", "fees", "cash")} | {
        "size": worded_field("size", "size, shares", plain)
    }
    list_filter = (Held, "account__platform", "outcome")
    search_fields = ("id",)
    search_help_text = "Account, or a market's id or title"
    search = staticmethod(search_positions)
    list_select_related = ("account", "market")
    ordering = ("-updated_at",)


@admin.register(Desk)
class DeskAdmin(ReadOnlyAdmin):
    """The desk's one row. It is stopped, harder or at all, and lifted, by an action with a reason."""

    list_display = ("__str__", "level_title", STATE, "generation", "changed_by", "reason", "changed_at")
    told = {"level": "level_title", "state": STATE}
    reasoned = DESK_ACTIONS
    panels = (
        Panel(
            "Stops and lifts",
            AuditEntry,
            ("at", "who", "action", "reason", "source"),
            lambda desk: AuditEntry.objects.filter(object_type="accounts.desk", object_id=str(desk.pk)).order_by("-id")[
                :SHOWN
            ],
        ),
    )

    @admin.display(description="level of the stop")
    def level_title(self, desk: Desk) -> str:
        return label_of(desk.level) or EMPTY


@admin.register(EngineLease)
class EngineLeaseAdmin(ReadOnlyAdmin):
    """Processes that may send orders, each on a lease it renews."""

    list_display = ("name", "pid", "generation_seen", "started_at", "renewed_at")
    search_fields = ("name",)
    ordering = ("-renewed_at",)


@admin.register(Reconciliation)
class ReconciliationAdmin(ReadOnlyAdmin):
    """How each account's books last compared with its venue, and what differed: those that fail longest first."""

    list_display = (
        "account", "failing_since", "unreachable_since", "tries", "positions_apart", "orders_missing",
        "orders_undead", "orders_foreign", "fills_silent", "checked_at", "agreed_at", "fills_missing", "fills_failed",
        "orders_changed",
    )  # fmt: skip
    told = {"explanations": explanations}
    list_filter = (
        ("failing_since", admin.EmptyFieldListFilter),
        ("unreachable_since", admin.EmptyFieldListFilter),
        "account__platform",
    )
    list_select_related = ("account",)
    search_fields = ("account__name",)
    ordering = (
        F("failing_since").asc(nulls_last=True), F("unreachable_since").asc(nulls_last=True), "-checked_at",
    )  # fmt: skip


@admin.register(EquityPoint)
class EquityPointAdmin(ReadOnlyAdmin):
    """What the desk was worth, point by point."""

    list_display = (
        "at", money("collateral", "collateral"), money("value"), money("realized"), "accounts", "unmarked",
    )  # fmt: skip
    told = {name: amount(name, f"{name}, in collateral") for name in ("value", "cost", "realized")}
    ordering = ("-at",)


@admin.register(ConnectionTest)
class ConnectionTestAdmin(ReadOnlyAdmin):
    """Tries of an account's whole way to its venue: who asked, and how far each came."""

    list_display = ("asked_at", "account", "status", "problem", "asked_by", "finished_at")
    list_filter = ("status", "account__platform")
    search_fields = ("account__name",)
    list_select_related = ("account",)
    ordering = ("-asked_at",)
