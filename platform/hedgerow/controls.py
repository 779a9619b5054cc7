"""Stopping the desk and lifting the stop, in two steps: look at what it touches, then give a reason and confirm.

The same addresses work as whole pages without JavaScript, and as fragments inside the desk page with it.
"""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from django_htmx.http import HttpResponseClientRedirect

from accounts import querysets as ledger
from accounts.levels import LEVELS, NO_NEW, is_milder, label_of
from accounts.stop import lift_stop, pull_stop
from accounts.stop_preview import StopPreview, preview_levels
from hedgerow.access import is_fragment, page_for
from identity.back_office import person_of
from identity.models import AuditEntry
from identity.roles import Role
from strategies import querysets as strategies

PAGE_SOURCE = AuditEntry.Source.PAGE.value


class ReasonForm(forms.Form):
    """A reason typed by the person who acts. It goes to the audit log and onto every page."""

    reason = forms.CharField(
        min_length=3,
        max_length=255,
        label="Reason",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autofocus": True}),
    )


class StopForm(ReasonForm):
    """How hard to stop, and why."""

    level = forms.ChoiceField(choices=[(level, label_of(level)) for level in LEVELS], required=False)

    def clean_level(self) -> str:
        """Without a word on it, no new order: a stop in a hurry is a stop."""
        return self.cleaned_data["level"] or NO_NEW


@never_cache
@require_http_methods(["GET", "POST"])
@page_for(Role.TRADER, keeps_scope=True)  # any trader may stop the desk, whatever accounts they see
def stop(request: HttpRequest) -> HttpResponse:
    """Show what each level of a stop touches; on POST with a reason, stop and say how many engines confirmed."""
    form = StopForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            receipt = pull_stop(
                form.cleaned_data["level"], person_of(request), form.cleaned_data["reason"], source=PAGE_SOURCE
            )
        except ValueError:
            form.add_error("level", "The desk is stopped harder than that already. Only lifting the stop loosens it.")
            return show(request, "stop", form)
        count = len(receipt.confirmed)
        text = f"Stopped: {count} {'engine' if count == 1 else 'engines'} confirmed after {receipt.waited_ms} ms."
        if receipt.expired:
            names = ", ".join(receipt.expired)
            messages.warning(request, f"{text} These gave no word, and their leases have run out: {names}.")
        else:
            messages.success(request, text)
        return leave(request)
    return show(request, "stop", form)


@never_cache
@require_http_methods(["GET", "POST"])
@page_for(Role.ADMIN)
def lift(request: HttpRequest) -> HttpResponse:
    """Show why the desk is stopped; on POST with a reason, let it trade again."""
    form = ReasonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        lift_stop(person_of(request), form.cleaned_data["reason"], source=PAGE_SOURCE)
        messages.success(request, "The stop is lifted: the desk trades again.")
        return leave(request)
    return show(request, "lift", form)


@dataclass(frozen=True)
class Choice:
    """One level as the form offers it. `is_milder` than the stop in force: not to be chosen."""

    label: str
    preview: StopPreview
    is_chosen: bool
    is_milder: bool


def show(request: HttpRequest, control: str, form: ReasonForm) -> HttpResponse:
    """The control's form, alone for HTMX or on a page of its own."""
    now = timezone.now()
    context: dict[str, Any] = {
        "control": control,
        "form": form,
        "now": now,
        "desk": ledger.load_desk(),
        "leases": ledger.load_fresh_leases(now),
        "active_strategies": strategies.count_active_strategies(),
        "active_accounts": ledger.count_active_accounts(),
        "is_live": settings.LIVE,
    }
    if control == "stop":
        desk = context["desk"]
        in_force = desk.level if desk.stopped else ""
        chosen = form.data.get("level") or in_force or NO_NEW
        context["levels"] = [
            Choice(label_of(told.level), told, told.level == chosen, is_milder(told.level, in_force))
            for told in preview_levels(now)
        ]
        context["unknown"] = ledger.count_in_flight().get("unknown", 0)
    if is_fragment(request):
        return render(request, f"hedgerow/control/{control}_form.html", context)
    return render(request, "hedgerow/control/page.html", context)


def leave(request: HttpRequest) -> HttpResponse:
    """Back to the desk, as a whole page, with the message."""
    return HttpResponseClientRedirect("/") if is_fragment(request) else redirect("desk")
