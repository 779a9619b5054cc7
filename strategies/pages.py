"""The strategies' pages: the list, one strategy with what it owes and why, its form, starting and stopping it."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from identity.access import is_fragment, page_for
from identity.back_office import person_of
from identity.models import AuditEntry
from identity.roles import Role, has_role
from strategies import querysets
from strategies.config import ConfigError, parse_config
from strategies.control import (
    Actor,
    ControlError,
    create_strategy,
    reconfigure_strategy,
    replace_pairs,
    start_strategy,
    stop_strategy,
)
from strategies.dry_run import run_dry
from strategies.models import Strategy
from strategies.reasons import TEXTS, decision_text
from strategies.strategy_form import ControlForm, StrategyForm
from trading.enums import TradingState

EXPOSURES_SHOWN = 60
DECISIONS_SHOWN = 40
PARTS = ("head", "exposures", "decisions")


@require_safe
@never_cache
@page_for(Role.VIEWER)
def show_strategies(request: HttpRequest) -> HttpResponse:
    """Every strategy: state, pairs, what it owes. For HTMX the table alone."""
    context = {
        "strategies": querysets.load_strategies(),
        "now": timezone.now(),
        "may_change": has_role(request.user, Role.TRADER),
    }
    template = "strategies/table.html" if is_fragment(request) else "strategies/list.html"
    return render(request, template, context)


@require_safe
@never_cache
@page_for(Role.VIEWER)
def show_strategy(request: HttpRequest, strategy_id: UUID) -> HttpResponse:
    """One strategy, or one part of its page for HTMX."""
    strategy = get_object_or_404(Strategy, pk=strategy_id)
    part = request.GET.get("part", "")
    context: dict[str, Any] = {
        "strategy": strategy,
        "now": timezone.now(),
        "may_change": has_role(request.user, Role.TRADER),
    }
    alone = is_fragment(request) and part in PARTS
    if not alone or part == "exposures":
        rungs = rungs_of(strategy)
        found = querysets.load_exposures_of_strategy(strategy.pk, EXPOSURES_SHOWN)
        context["exposures"] = [(row, rung_word(rungs, row.rung), reason_text(row.reason)) for row in found]
    if not alone or part == "decisions":
        found_decisions = querysets.load_decisions(strategy.pk, DECISIONS_SHOWN)
        context["decisions"] = [(row, decision_text(row.reason, len(row.orders))) for row in found_decisions]
    if alone:
        return render(request, f"strategies/{part}.html", context)
    context["pairs"] = querysets.load_pairs(strategy.pk)
    context["settings"] = described(strategy)
    return render(request, "strategies/page.html", context)


@never_cache
@require_http_methods(["GET", "POST"])
@page_for(Role.TRADER)
def make_strategy(request: HttpRequest) -> HttpResponse:
    """The form of a new strategy; it is made halted."""
    form = StrategyForm(data=request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                made = create_strategy(
                    form.title, by=actor_of(request), kind=form.kind, config=form.config, pairs=form.pairs
                )
        except IntegrityError:
            form.add_error("name", f"There is a strategy named {form.title} already: choose another name.")
        except (ControlError, ConfigError) as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, f"{made.name} is made. It is halted until you start it.")
            return redirect("strategy", made.pk)
    return render(request, "strategies/edit.html", {"form": form, "strategy": None})


@never_cache
@require_http_methods(["GET", "POST"])
@page_for(Role.TRADER)
def change_strategy(request: HttpRequest, strategy_id: UUID) -> HttpResponse:
    """The form of a strategy. `try` runs what is typed against recorded fills; nothing is saved by that."""
    strategy = get_object_or_404(Strategy, pk=strategy_id)
    form = StrategyForm(strategy, data=request.POST if request.method == "POST" else None)
    context: dict[str, Any] = {"form": form, "strategy": strategy}
    if request.method == "POST" and form.is_valid():
        if "try" in request.POST:
            parsed = parse_config(strategy.kind, form.config)
            context["trial"] = run_dry(strategy, parsed, form.pairs)
            return render(request, "strategies/edit.html", context)
        try:
            with transaction.atomic():
                reason, by = form.cleaned_data["reason"], actor_of(request)
                reconfigure_strategy(
                    strategy.pk, form.config, by=by, reason=reason, expected_version=form.cleaned_data["version"]
                )
                if form.pairs_changed:
                    replace_pairs(strategy.pk, form.pairs, by=by, reason=reason)
        except (ControlError, ConfigError) as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, f"{strategy.name} is changed; it holds from the next event on.")
            return redirect("strategy", strategy.pk)
    return render(request, "strategies/edit.html", context)


@never_cache
@require_http_methods(["GET", "POST"])
@page_for(Role.TRADER)
def control_strategy(request: HttpRequest, strategy_id: UUID, what: str) -> HttpResponse:
    """Start, stop or only reduce: what it touches first, then a reason, then done."""
    strategy = get_object_or_404(Strategy, pk=strategy_id)
    form = ControlForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        reason, by = form.cleaned_data["reason"], actor_of(request)
        try:
            if what == "start":
                start_strategy(strategy.pk, by=by, reason=reason)
            else:
                stop_strategy(strategy.pk, by=by, reason=reason, reducing=what == "reduce")
        except (ControlError, ConfigError) as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, f"{strategy.name}: {DONE[what]} from the next event on.")
            return redirect("strategy", strategy.pk)
    context = {
        "strategy": strategy,
        "what": what,
        "form": form,
        "pairs": [pair for pair in querysets.load_pairs(strategy.pk) if pair.enabled],
        "owed": querysets.load_owed(strategy.pk),
        "is_active": strategy.state == TradingState.ACTIVE.value,
    }
    return render(request, "strategies/control.html", context)


DONE = {"start": "it hedges", "stop": "it orders nothing", "reduce": "it only lowers exposure"}


def actor_of(request: HttpRequest) -> Actor:
    """The signed-in person, for the audit log."""
    return Actor(person_of(request), AuditEntry.Source.PAGE, request.META.get("REMOTE_ADDR"))


def rungs_of(strategy: Strategy) -> list[str]:
    """The kinds of the strategy's ladder, from rung 0."""
    ladder = strategy.config.get("ladder") or []
    return [str(rung.get("kind", "")) for rung in ladder]


def rung_word(rungs: list[str], rung: int) -> str:
    """`2 of 4: cross`; empty where there is no ladder."""
    return f"{rung + 1} of {len(rungs)}: {rungs[rung]}" if rung < len(rungs) else ""


def reason_text(reason: str) -> str:
    """The sentence of a reason's code, or the reason itself."""
    return next((said for code, said in TEXTS.items() if code.value == reason), reason)


def described(strategy: Strategy) -> list[tuple[str, str]]:
    """The configuration as (label, value), every field of its struct, defaults included."""
    return StrategyForm(strategy).described()
