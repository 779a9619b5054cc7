"""Resolving an order nobody knows the fate of: what we know of it, and a person's word on it, with evidence."""

from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.order_lists import load_order
from accounts.scope import visitor_of
from accounts.unknowns import LEAST_TEXT, Evidence, Found, load_known, resolve_unknown
from identity.access import page_for
from identity.back_office import person_of
from identity.models import AuditEntry
from identity.roles import Role
from trading.enums import OrderStatus
from trading.errors import InvalidValue

OPEN = (OrderStatus.UNKNOWN.value, OrderStatus.SUBMITTED.value)
MEANINGS = (
    (Found.NEVER_ARRIVED.value, "It never arrived: the venue has no trace of it"),
    (Found.REFUSED.value, "The venue refused it"),
    (Found.RESTING.value, "It rests on the venue's book"),
    (Found.ENDED.value, "It was there and is over: cancelled, expired or invalidated"),
)


class ResolveForm(forms.Form):
    """What became of the order, and how the person knows."""

    found = forms.ChoiceField(choices=MEANINGS, widget=forms.RadioSelect, label="What became of it?")
    text = forms.CharField(
        min_length=LEAST_TEXT,
        max_length=500,
        label="Where did you look, and what did you see?",
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    reference = forms.CharField(
        max_length=200,
        required=False,
        label="Reference",
        help_text="The venue's order id, a transaction hash or a ticket. Only a never-arrived order needs none.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )


@never_cache
@require_http_methods(["GET", "POST"])
@page_for(Role.TRADER, keeps_scope=True)
def resolve_order(request: HttpRequest, order_id: UUID) -> HttpResponse:
    """The evidence we have and the form; on POST the question is closed, if the evidence will do."""
    order = load_order(order_id, visitor_of(request))
    if order is None:
        raise Http404
    if order.status not in OPEN:
        messages.warning(request, f"The order is {order.get_status_display().lower()}: there is nothing to resolve.")
        return redirect("order", order_id)
    form = ResolveForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        evidence = Evidence(Found(given["found"]), given["text"], given["reference"])
        try:
            resolve_unknown(order.pk, evidence, person_of(request), source=AuditEntry.Source.PAGE.value)
        except InvalidValue as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "The question is closed. What the order was to hedge is decided anew.")
            return redirect("order", order_id)
    context = {"order": order, "form": form, "known": load_known(order), "now": timezone.now()}
    return render(request, "accounts/orders/resolve.html", context)
