"""Strategies and what they owe. Changes go through `strategies.control`, so each is checked, audited and announced.

A strategy is configured by the same generated form as on its page; nobody edits JSON.
"""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, models, transaction
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from accounts.admin_columns import STATE
from accounts.admin_search import find_accounts, find_markets
from accounts.models import Account, Order
from identity.admin_actions import Given, ReasonedAction
from identity.admin_panels import render_panels
from identity.back_office import ADMIN_SOURCE, DeskModelAdmin, ReadOnlyAdmin, amount, counted, person_of, worded
from identity.roles import Role, has_role
from strategies.admin_panels import ACCOUNT_PANELS, EXPOSURE_PANELS, ORDER_PANELS, ORDER_TOLD, STRATEGY_PANELS
from strategies.admin_widgets import dress
from strategies.config_form import label_of
from strategies.control import (
    Actor,
    ConfigError,
    ControlError,
    create_strategy,
    reconfigure_strategy,
    replace_pairs,
    start_strategy,
    stop_strategy,
)
from strategies.models import Decision, Exposure, Imbalance, Pair, Strategy
from strategies.querysets import OPEN, count_open_exposures
from strategies.strategy_form import StrategyForm


def actor_of(request: HttpRequest) -> Actor:
    """The signed-in person, for the audit log."""
    return Actor(person_of(request), ADMIN_SOURCE, request.META.get("REMOTE_ADDR"))


def start(request: HttpRequest, strategy: Strategy, given: Given) -> str:
    start_strategy(strategy.pk, by=actor_of(request), reason=given["reason"])
    return f"{strategy.name} is active from the next event on."


def halt(request: HttpRequest, strategy: Strategy, given: Given) -> str:
    stop_strategy(strategy.pk, by=actor_of(request), reason=given["reason"])
    return f"{strategy.name} is halted from the next event on. What it owes stays on its exposures."


def reduce(request: HttpRequest, strategy: Strategy, given: Given) -> str:
    stop_strategy(strategy.pk, by=actor_of(request), reason=given["reason"], reducing=True)
    return f"{strategy.name} only lowers exposure from the next event on."


def tell_standing(strategy: Strategy, given: Given) -> list[str]:
    """What the strategy is at, for whoever is about to change that."""
    pairs = Pair.objects.filter(strategy=strategy, enabled=True).count()
    open_ones = count_open_exposures(strategy.pk)
    return [f"{strategy.state} now, {counted(pairs, 'pair')} enabled, {counted(open_ones, 'exposure')} open"]


@admin.register(Strategy)
class StrategyAdmin(DeskModelAdmin):
    """Strategies: configured by the generated form, started and halted by an action with a reason."""

    list_display = (
        "name", "kind_title", STATE, "state_reason", "pairs_plain", "open_exposures_plain", "version", "updated_at",
    )  # fmt: skip
    list_filter = ("state", ("kind", worded(label_of)))
    search_fields = ("name",)
    panels = STRATEGY_PANELS
    reasoned = (
        ReasonedAction("start_strategies", "Start (activate)", start, preview=tell_standing,
                       warning="These will hedge from the next event on."),
        ReasonedAction("halt_strategies", "Halt", halt, preview=tell_standing,
                       warning="What these owe will not be hedged until started."),
        ReasonedAction("reduce_strategies", "Only reduce", reduce, preview=tell_standing,
                       warning="Only orders that lower a holding leave. A hedge that would open or raise one stays"
                       " owed."),
    )  # fmt: skip

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Strategy]:
        rows: QuerySet[Strategy] = super().get_queryset(request)
        owing = models.Subquery(
            Exposure.objects.filter(OPEN, strategy=models.OuterRef("pk")).order_by().values("strategy")
            .annotate(n=Count("pk")).values("n")
        )  # fmt: skip
        return rows.annotate(enabled_pairs=Count("pairs", filter=Q(pairs__enabled=True)), owing=owing)

    @admin.display(description="kind", ordering="kind")
    def kind_title(self, strategy: Strategy) -> str:
        return label_of(strategy.kind)

    @admin.display(description="pairs")
    def pairs_plain(self, strategy: Any) -> int:
        return int(strategy.enabled_pairs)

    @admin.display(description="open exposures")
    def open_exposures_plain(self, strategy: Any) -> int:
        return int(strategy.owing or 0)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Adding and changing, by the form of the strategy's page. Who may only look sees what is configured."""
        strategy = self.get_object(request, object_id) if object_id else None
        if object_id and strategy is None:
            raise Http404
        may = has_role(request.user, Role.TRADER) and (
            self.has_change_permission(request, strategy) if strategy else self.has_add_permission(request)
        )
        if not may and (strategy is None or request.method == "POST" or not self.has_view_permission(request)):
            raise PermissionDenied("This needs the role trader.")
        form = StrategyForm(strategy, data=request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid() and (saved := self.save_typed(request, strategy, form)):
            return redirect("admin:strategies_strategy_change", saved.pk)
        dress(form)
        detail = self._get_actions_navigation(
            self.actions_detail, self.get_actions_detail(request, object_id), object_id
        ) if strategy else []  # fmt: skip
        # Whoever may change the pairs has them in the form.
        panels = [panel for panel in self.panels if panel.model is not Pair or not may]
        context = {
            **self.admin_site.each_context(request),
            "title": strategy.name if strategy else "New strategy",
            "step": "" if strategy else "New strategy",
            "opts": self.opts,
            "original": strategy,
            "strategy": strategy,
            "kind": label_of(form.kind),
            "form": form,
            "may_change": may,
            "actions_detail": detail,
            "panels": render_panels(self.admin_site, request, panels, strategy) if strategy else [],
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/strategy_form.html", context)

    def save_typed(self, request: HttpRequest, strategy: Strategy | None, form: StrategyForm) -> Strategy | None:
        """Carry out what was typed; None when it is refused, with the refusal on the form."""
        by = actor_of(request)
        try:
            with transaction.atomic():
                if strategy is None:
                    made = create_strategy(form.title, by=by, kind=form.kind, config=form.config, pairs=form.pairs)
                    messages.success(request, f"{made.name} is made. It is halted until you start it.")
                    return made
                reason, seen = form.cleaned_data["reason"], form.cleaned_data["version"]
                reconfigure_strategy(strategy.pk, form.config, by=by, reason=reason, expected_version=seen)
                if form.pairs_changed:
                    replace_pairs(strategy.pk, form.pairs, by=by, reason=reason)
        except IntegrityError:
            form.add_error("name", f"There is a strategy named {form.title} already: choose another name.")
            return None
        except (ControlError, ConfigError) as error:
            form.add_error(None, str(error))
            return None
        messages.success(request, f"{strategy.name} is changed; it holds from the next event on.")
        return strategy


def search_exposures(rows: QuerySet[Exposure], term: str) -> QuerySet[Exposure]:
    """By an account on either side, or by market."""
    if accounts := find_accounts(term):
        return rows.filter(Q(primary_account_id__in=accounts) | Q(hedge_account_id__in=accounts))
    return rows.filter(market_id__in=find_markets(term, by_title=True))


def search_decisions(rows: QuerySet[Decision], term: str) -> QuerySet[Decision]:
    """By what an exposure is found by."""
    found = search_exposures(Exposure.objects.all(), term).values_list("pk", flat=True)
    return rows.filter(exposure_id__in=list(found[:500]))


@admin.register(Pair)
class PairAdmin(ReadOnlyAdmin):
    """All pairs of all strategies. They are changed on their strategy."""

    list_display = ("primary", "hedge", "strategy", "enabled")
    list_filter = ("enabled", "strategy")
    search_fields = ("primary__name", "hedge__name", "strategy__name")
    list_select_related = ("primary", "hedge", "strategy")
    ordering = ("strategy__name", "primary__name", "hedge__name")


@admin.register(Exposure)
class ExposureAdmin(ReadOnlyAdmin):
    """What each pair owes in each market, as of its last decision."""

    list_display = (
        "market", "primary_account", "hedge_account", amount("need"), "unhedged_since", "reason", amount("primary"),
        amount("hedged"), amount("in_flight"), "updated_at",
    )  # fmt: skip
    told = {"at_risk": amount("at_risk", "at risk, in collateral")}
    list_filter = ("strategy", ("unhedged_since", admin.EmptyFieldListFilter))
    search_fields = ("id",)
    search_help_text = "Account, or a market's id or title"
    search = staticmethod(search_exposures)
    panels = EXPOSURE_PANELS
    list_select_related = ("market", "primary_account", "hedge_account", "strategy")
    ordering = (models.F("unhedged_since").asc(nulls_last=True), "-updated_at")


@admin.register(Decision)
class DecisionAdmin(ReadOnlyAdmin):
    """Every evaluation of every exposure: what was known, what was decided, and why."""

    list_display = (
        "at", "pair", "cause", amount("primary"), amount("hedged"), amount("in_flight"), amount("need"), "reason",
    )  # fmt: skip
    search_fields = ("id",)
    search_help_text = "Account, or a market's id or title"
    search = staticmethod(search_decisions)
    list_select_related = ("exposure__primary_account", "exposure__hedge_account")
    ordering = ("-id",)

    @admin.display(description="pair")
    def pair(self, decision: Decision) -> str:
        return f"{decision.exposure.primary_account} → {decision.exposure.hedge_account}"


@admin.register(Imbalance)
class ImbalanceAdmin(ReadOnlyAdmin):
    """What a venue holds beyond what the ledger can explain."""

    list_display = (
        "account", "market_key", "outcome", amount("at_venue"), amount("in_ledger"), amount("believed"), "read_at",
    )  # fmt: skip
    search_fields = ("account__name", "market_key")
    list_filter = ("outcome", "account__platform")
    list_select_related = ("account",)
    ordering = ("-read_at",)


# What these rooms know of accounts and orders stands on the accounts' own pages.
for model, panels in ((Account, ACCOUNT_PANELS), (Order, ORDER_PANELS)):
    below = admin.site.get_model_admin(model)
    assert isinstance(below, DeskModelAdmin)
    below.panels = (*below.panels, *panels)
orders = admin.site.get_model_admin(Order)
assert isinstance(orders, ReadOnlyAdmin)
orders.told = {**orders.told, **ORDER_TOLD}
