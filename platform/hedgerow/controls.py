"""Stopping the desk and lifting the stop, in two steps: look at what it touches, then give a reason and confirm.

The same addresses work as whole pages without JavaScript, and as fragments inside the desk page with it.
"""

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
from accounts.stop import NO_NEW, lift_stop, pull_stop
from hedgerow.access import is_fragment, page_for
from identity.back_office import person_of
from identity.roles import Role
from strategies import querysets as strategies


class ReasonForm(forms.Form):
    """A reason typed by the person who acts. It goes to the audit log and onto every page."""

    reason = forms.CharField(
        min_length=3,
        max_length=255,
        label="Reason",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autofocus": True}),
    )


@never_cache
@require_http_methods(["GET", "POST"])
@page_for(Role.TRADER)
def stop(request: HttpRequest) -> HttpResponse:
    """Show what a stop touches; on POST with a reason, stop and say how many engines confirmed."""
    form = ReasonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        receipt = pull_stop(NO_NEW, person_of(request), form.cleaned_data["reason"])
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
        lift_stop(person_of(request), form.cleaned_data["reason"])
        messages.success(request, "The stop is lifted: the desk trades again.")
        return leave(request)
    return show(request, "lift", form)


def show(request: HttpRequest, control: str, form: ReasonForm) -> HttpResponse:
    """The control's form, alone for HTMX or on a page of its own."""
    now = timezone.now()
    in_flight = ledger.count_in_flight()
    context = {
        "control": control,
        "form": form,
        "now": now,
        "desk": ledger.load_desk(),
        "leases": ledger.load_fresh_leases(now),
        "active_strategies": strategies.count_active_strategies(),
        "active_accounts": ledger.count_active_accounts(),
        "resting": sum(in_flight.values()),
        "unknown": in_flight.get("unknown", 0),
        "is_live": settings.LIVE,
    }
    if is_fragment(request):
        return render(request, f"hedgerow/control/{control}_form.html", context)
    return render(request, "hedgerow/control/page.html", context)


def leave(request: HttpRequest) -> HttpResponse:
    """Back to the desk, as a whole page, with the message."""
    return HttpResponseClientRedirect("/") if is_fragment(request) else redirect("desk")
