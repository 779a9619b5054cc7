"""Strategies and what they owe. Changes go through `strategies.control`, so each is checked, audited and announced."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Count, Q, QuerySet
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest
from unfold.admin import TabularInline
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from identity.back_office import ADMIN_SOURCE, DeskModelAdmin, ReadOnlyAdmin, amount, person_of, reasoned_action
from strategies.config import KINDS, parse_config
from strategies.control import (
    Actor,
    check_pairs,
    create_strategy,
    reconfigure_strategy,
    replace_pairs,
    start_strategy,
    stop_strategy,
)
from strategies.models import Decision, Exposure, Imbalance, Pair, Strategy
from trading.errors import InvalidValue


def actor_of(request: HttpRequest) -> Actor:
    """The signed-in person, for the audit log."""
    return Actor(person_of(request), ADMIN_SOURCE, request.META.get("REMOTE_ADDR"))


class StrategyForm(forms.ModelForm):  # type: ignore[type-arg]
    """The configuration is checked by the very parser the engine reads it with, and its words are shown."""

    expected_version = forms.IntegerField(widget=forms.HiddenInput, required=False)
    reason = forms.CharField(
        required=False,
        max_length=255,
        widget=UnfoldAdminTextInputWidget,
        help_text="Why it is changed. Kept in the audit log.",
    )

    class Meta:
        model = Strategy
        fields = ("name", "kind", "config")
        widgets = {"config": UnfoldAdminTextareaWidget(attrs={"rows": 14, "spellcheck": "false"})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "kind" in self.fields:
            self.fields["kind"].help_text = f"One of: {', '.join(sorted(KINDS))}."
        if self.instance.pk:
            self.fields["expected_version"].initial = self.instance.version

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        kind = data.get("kind") or self.instance.kind
        if "config" in data:
            try:
                parse_config(kind, data["config"] or {})
            except InvalidValue as error:
                field = "kind" if getattr(error, "field", "") == "kind" and "kind" in self.fields else "config"
                self.add_error(field, str(error))
        expected = data.get("expected_version")
        if self.instance.pk and expected is not None:
            current = Strategy.objects.values_list("version", flat=True).get(pk=self.instance.pk)
            if current != expected:
                raise ValidationError("Somebody else changed this strategy meanwhile: look again, then change it.")
        return data


class PairFormSet(BaseInlineFormSet):  # type: ignore[type-arg]
    """The pairs as a whole: no account hedges itself, paper and live do not mix."""

    def wanted(self) -> list[tuple[Any, Any]]:
        """(primary, hedge) of every enabled row that is not being removed."""
        rows = [form.cleaned_data for form in self.forms if getattr(form, "cleaned_data", None)]
        kept = [row for row in rows if row.get("enabled") and not row.get("DELETE")]
        return [(row["primary"], row["hedge"]) for row in kept if row.get("primary") and row.get("hedge")]

    def clean(self) -> None:
        super().clean()
        try:
            check_pairs(self.wanted())
        except InvalidValue as error:
            raise ValidationError(str(error)) from error


class PairInline(TabularInline):
    """The strategy's pairs. A pair taken off is disabled; its exposures stay visible."""

    model = Pair
    formset = PairFormSet
    extra = 0
    fields = ("primary", "hedge", "enabled")
    autocomplete_fields = ("primary", "hedge")


def start(model_admin: Any, request: HttpRequest, strategy: Strategy, reason: str) -> str:
    start_strategy(strategy.pk, by=actor_of(request), reason=reason)
    return f"{strategy.name} is active from the next event on."


def halt(model_admin: Any, request: HttpRequest, strategy: Strategy, reason: str) -> str:
    stop_strategy(strategy.pk, by=actor_of(request), reason=reason)
    return f"{strategy.name} is halted from the next event on. What it owes stays on its exposures."


def reduce(model_admin: Any, request: HttpRequest, strategy: Strategy, reason: str) -> str:
    stop_strategy(strategy.pk, by=actor_of(request), reason=reason, reducing=True)
    return f"{strategy.name} only lowers exposure from the next event on."


@admin.register(Strategy)
class StrategyAdmin(DeskModelAdmin):
    """Strategies: configured by a form, started and halted by an action with a reason."""

    form = StrategyForm
    inlines = (PairInline,)
    list_display = ("name", "kind", "state", "state_reason", "pairs_enabled", "version", "updated_at")
    list_filter = ("state", "kind")
    search_fields = ("name",)
    readonly_fields = ("state", "state_reason", "version", "started_at", "created_at", "updated_at")
    fields = (
        "name", "kind", "config", "reason", "expected_version", "state", "state_reason", "version", "started_at",
        "created_at", "updated_at",
    )  # fmt: skip
    actions = (
        reasoned_action("start_strategies", "Start", start, warning="These will hedge from the next event on."),
        reasoned_action("halt_strategies", "Halt", halt, warning="What these owe will not be hedged until started."),
        reasoned_action("reduce_strategies", "Only reduce", reduce),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Strategy | None = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "name", "kind") if obj else self.readonly_fields

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Strategy]:
        rows: QuerySet[Strategy] = super().get_queryset(request)
        return rows.annotate(enabled_pairs=Count("pairs", filter=Q(pairs__enabled=True)))

    @admin.display(description="pairs")
    def pairs_enabled(self, strategy: Any) -> int:
        return int(strategy.enabled_pairs)

    def save_model(self, request: HttpRequest, obj: Strategy, form: Any, change: bool) -> None:
        by, config = actor_of(request), form.cleaned_data["config"] or {}
        if change:
            if {"config", "reason"} & set(form.changed_data):
                saved = reconfigure_strategy(obj.pk, config, by=by, reason=form.cleaned_data.get("reason", ""))
                obj.version = saved.version
        else:
            obj.pk = create_strategy(obj.name, by=by, kind=obj.kind, config=config).pk

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Pairs are replaced as a whole by `strategies.control`; the formset itself writes nothing."""
        for formset in formsets:
            if formset.has_changed():
                reason = form.cleaned_data.get("reason", "")
                replace_pairs(form.instance.pk, formset.wanted(), by=actor_of(request), reason=reason)
            formset.new_objects, formset.changed_objects, formset.deleted_objects = [], [], []


@admin.register(Pair)
class PairAdmin(ReadOnlyAdmin):
    """All pairs of all strategies. They are changed on their strategy."""

    list_display = ("primary", "hedge", "strategy", "enabled")
    list_filter = ("enabled", "strategy")
    search_fields = ("primary__name", "hedge__name", "strategy__name")
    list_select_related = ("primary", "hedge", "strategy")


@admin.register(Exposure)
class ExposureAdmin(ReadOnlyAdmin):
    """What each pair owes in each market, as of its last decision."""

    list_display = (
        "market", "primary_account", "hedge_account", amount("primary"), amount("hedged"), amount("in_flight"),
        amount("need"), "unhedged_since", "reason", "updated_at",
    )  # fmt: skip
    list_filter = ("strategy", ("unhedged_since", admin.EmptyFieldListFilter))
    search_fields = ("market__title", "market__market_id", "primary_account__name", "hedge_account__name", "reason")
    list_select_related = ("market", "primary_account", "hedge_account", "strategy")
    ordering = (models.F("unhedged_since").asc(nulls_last=True), "-updated_at")


@admin.register(Decision)
class DecisionAdmin(ReadOnlyAdmin):
    """Every evaluation of every exposure: what was known, what was decided, and why."""

    list_display = (
        "at", "cause", amount("primary"), amount("hedged"), amount("in_flight"), amount("need"), "reason",
    )  # fmt: skip
    list_filter = (("at", admin.DateFieldListFilter),)
    search_fields = ("cause", "reason")
    list_select_related = ("exposure",)
    ordering = ("-id",)


@admin.register(Imbalance)
class ImbalanceAdmin(ReadOnlyAdmin):
    """What a venue holds beyond what the ledger can explain."""

    list_display = (
        "account", "market_key", "outcome", amount("at_venue"), amount("in_ledger"), amount("believed"), "read_at",
    )  # fmt: skip
    search_fields = ("account__name", "market_key")
    list_select_related = ("account",)
    ordering = ("-read_at",)
