"""What strategies know, shown below rows in the admin: a strategy's pairs and exposures, an exposure's decisions and
orders, an account's pairs and exposures on either side, and the decision behind an order."""

from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import F, Q, QuerySet
from django.urls import reverse
from django.utils.html import format_html

from accounts.admin_columns import STATUS
from accounts.models import Account, Order
from accounts.querysets import without_bytes
from identity.admin_panels import EMPTY, SHOWN, Panel, audit_panel
from identity.back_office import amount
from strategies.models import Decision, Exposure, Pair, Strategy

ACCOUNTS = ("primary_account", "hedge_account")
AMOUNTS = (amount("primary"), amount("hedged"), amount("in_flight"), amount("need"))


def load_exposures(wanted: Q) -> Iterable[Exposure]:
    """The longest unhedged first."""
    rows = Exposure.objects.filter(wanted).defer("lots").select_related("market", *ACCOUNTS)
    return rows.order_by(F("unhedged_since").asc(nulls_last=True), "-updated_at")[:SHOWN]


def load_pairs_of(account: Account) -> Iterable[Pair]:
    """Pairs with the account on either side."""
    rows = Pair.objects.filter(Q(primary=account) | Q(hedge=account))
    return rows.select_related("primary", "hedge", "strategy").order_by("-enabled", "strategy__name")[:SHOWN]


def load_decision_of(order: Order) -> Iterable[Decision]:
    """The decision that made the order; at most one, none for a person's order."""
    if order.exposure_id is None:
        return []
    rows = Decision.objects.filter(exposure_id=order.exposure_id, orders__contains=[str(order.pk)])
    return rows.order_by("-id")[:1]


@admin.display(description="exposure")
def exposure_link(order: Order) -> str:
    """The exposure an order hedges, by its accounts: a way to its page."""
    exposures = Exposure.objects.defer("lots").select_related(*ACCOUNTS)
    return link_to(order.exposure_id, exposures, lambda found: f"{found.primary_account} → {found.hedge_account}")


@admin.display(description="strategy")
def strategy_link(order: Order) -> str:
    """The strategy that wanted an order, by its name: a way to its page."""
    return link_to(order.strategy_id, Strategy.objects.all(), str)


def link_to(pk: UUID | None, rows: QuerySet[Any], words: Callable[[Any], str]) -> str:
    """A way to a row's page, in words; the bare id of one that is gone."""
    found = rows.filter(pk=pk).first() if pk else None
    if found is None:
        return str(pk) if pk else EMPTY
    page = reverse(f"admin:{found._meta.app_label}_{found._meta.model_name}_change", args=[pk])
    return format_html('<a class="desk-link" href="{}">{}</a>', page, words(found))


STRATEGY_PANELS = (
    Panel(
        "Pairs",
        Pair,
        ("primary", "hedge", "enabled"),
        lambda strategy: (
            Pair.objects.filter(strategy=strategy)
            .select_related("primary", "hedge")
            .order_by("-enabled", "primary__name")[:SHOWN]
        ),
        lambda strategy: {"strategy__id__exact": strategy.pk},
    ),
    Panel(
        "Exposures",
        Exposure,
        ("market", *ACCOUNTS, *AMOUNTS, "rung", "unhedged_since", "reason"),
        lambda strategy: load_exposures(Q(strategy=strategy)),
        lambda strategy: {"strategy__id__exact": strategy.pk},
    ),
    audit_panel("strategies.strategy"),
)
EXPOSURE_PANELS = (
    Panel(
        "Decisions",
        Decision,
        ("at", "cause", *AMOUNTS, "reason"),
        lambda exposure: exposure.decisions.order_by("-id")[:SHOWN],
        lambda exposure: {"exposure__id__exact": exposure.pk},
    ),
    Panel(
        "Orders",
        Order,
        ("created_at", "account", "action", "outcome", amount("size"), amount("price"), amount("filled"), STATUS,
         "reason"),
        lambda exposure: without_bytes(Order.objects.filter(exposure_id=exposure.pk))
        .select_related("account")
        .order_by("-created_at")[:SHOWN],
        lambda exposure: {"q": exposure.pk},
    ),
)  # fmt: skip
ACCOUNT_PANELS = (
    Panel(
        "Pairs", Pair, ("primary", "hedge", "strategy", "enabled"), load_pairs_of, lambda account: {"q": account.name}
    ),
    Panel(
        "Exposures",
        Exposure,
        ("market", *ACCOUNTS, *AMOUNTS, "unhedged_since", "reason"),
        lambda account: load_exposures(Q(primary_account=account) | Q(hedge_account=account)),
        lambda account: {"q": account.name},
    ),
)
ORDER_TOLD = {"exposure_id": exposure_link, "strategy_id": strategy_link}
ORDER_PANELS = (Panel("Decision", Decision, ("at", "cause", *AMOUNTS, "reason"), load_decision_of),)
