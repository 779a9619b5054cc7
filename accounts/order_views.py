"""The pages of orders: the list with its open questions, one order, the ticket, the cancel.

Orders and cancels go through `accounts.trade`, as everybody's do. A part of the list has the list's own address.
"""

from hashlib import sha256
from urllib.parse import urlencode
from uuid import UUID

import redis
from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts import order_lists
from accounts.order_lists import FILTERS, OrderFilter
from accounts.querysets import count_in_flight, load_desk
from accounts.scope import visitor_of
from accounts.ticket_form import TicketForm, preview
from accounts.trade import cancel_order, check_order, place_order
from accounts.unknowns import RESOLVED_REASON, load_resolution
from identity.access import is_fragment, page_for
from identity.back_office import person_of
from identity.models import AuditEntry
from identity.roles import Role, has_role
from trading.commands import PlaceOrder, encode_command
from trading.enums import OrderOrigin, OrderStatus
from trading.errors import InvalidValue
from trading.orders import TERMINAL

PAGE_SOURCE = AuditEntry.Source.PAGE.value


class CancelForm(forms.Form):
    """Why an order is taken off the book."""

    reason = forms.CharField(min_length=3, max_length=200)


@require_safe
@never_cache
@page_for(Role.VIEWER, keeps_scope=True)
def show_orders(request: HttpRequest) -> HttpResponse:
    """Orders, newest first, filtered; above them those nobody knows the fate of."""
    wanted, cursor = OrderFilter.read(request.GET.dict()), request.GET.get("cursor", "")
    part, visitor = request.GET.get("part", ""), visitor_of(request)
    now = timezone.now()
    context: dict[str, object] = {"now": now, "may_trade": has_role(request.user, Role.TRADER)}
    if not (is_fragment(request) and part == "list"):
        context["ambiguous"] = order_lists.load_ambiguous(now, visitor)
        if is_fragment(request) and part == "ambiguous":
            return render(request, "accounts/orders/ambiguous.html", context)
    orders, following = order_lists.load_order_page(wanted, visitor, cursor)
    asked = {name: value for name in FILTERS if (value := getattr(wanted, name))}
    context |= {
        "orders": orders,
        "following": following,
        "wanted": wanted,
        "query": urlencode(asked),
        "cursor": cursor,
        "is_filtered": bool(asked),
    }
    if is_fragment(request) and part == "list":
        return render(request, "accounts/orders/list.html", context)
    context |= {
        "statuses": [status.value for status in OrderStatus],
        "origins": [origin.value for origin in OrderOrigin],
        "denied": order_lists.load_denied(now, visitor),
        "in_flight": None if visitor.is_scoped else sum(count_in_flight().values()),
    }
    return render(request, "accounts/orders/page.html", context)


@require_safe
@never_cache
@page_for(Role.VIEWER, keeps_scope=True)
def show_order(request: HttpRequest, order_id: UUID) -> HttpResponse:
    """One order: what it was for, each step with its time, its fills; a trader may cancel it."""
    order = order_lists.load_order(order_id, visitor_of(request))
    if order is None:
        raise Http404
    steps = [
        ("Cause arrived", order.cause_at),
        ("Decided", order.created_at),
        ("Signed and journaled", order.submitted_at),
        ("Bytes left", order.sent_at),
        ("Venue answered", order.answered_at),
        ("Cancel asked for", order.cancel_requested_at),
        ("Ended", order.closed_at),
    ]
    context = {
        "order": order,
        "steps": [(label, at) for label, at in steps if at is not None],
        "fills": order_lists.load_fills_of_order(order),
        "may_cancel": has_role(request.user, Role.TRADER) and OrderStatus(order.status) not in TERMINAL,
        "may_resolve": has_role(request.user, Role.TRADER) and order.status in order_lists.AMBIGUOUS,
        "is_ambiguous": order.status in order_lists.AMBIGUOUS,
        "resolution": load_resolution(order.pk) if order.reason.startswith(RESOLVED_REASON) else None,
        "now": timezone.now(),
    }
    if is_fragment(request):
        return render(request, "accounts/orders/order.html", context)
    return render(request, "accounts/orders/order_page.html", context)


@never_cache
@require_http_methods(["GET", "POST"])
@page_for(Role.TRADER, keeps_scope=True)
def order_something(request: HttpRequest) -> HttpResponse:
    """The ticket. `check` shows what it would come to and orders nothing; `place` hands it to the engine."""
    if request.method == "POST":
        form = TicketForm(request.POST, visitor=visitor_of(request))
        if form.is_valid():
            command, account = check_order(form.command(form.cleaned_data))
            if "place" in request.POST and request.POST.get("seen") == mark_of(command):
                try:
                    ticket = place_order(command, person_of(request), source=PAGE_SOURCE)
                except InvalidValue as error:
                    form.add_error(None, str(error))
                else:
                    messages.success(
                        request, "Handed to the engine. Its judgement and the venue's answer appear below."
                    )
                    return redirect("order", ticket.client_order_id)
            else:
                market = order_lists.load_market(command.platform, command.market_id)
                shown = preview(command, account, market, load_desk())
                context = {"form": form, "preview": shown, "seen": mark_of(command)}
                return render(request, "accounts/orders/ticket.html", context)
        return render(request, "accounts/orders/ticket.html", {"form": form})
    form = TicketForm(
        visitor=visitor_of(request),
        initial={name: request.GET[name] for name in ("account", "market", "side") if name in request.GET},
    )
    return render(request, "accounts/orders/ticket.html", {"form": form})


def mark_of(command: PlaceOrder) -> str:
    """What the person saw in the preview: an order changed since is shown again before it is placed."""
    return sha256(encode_command(command)).hexdigest()


@require_http_methods(["POST"])
@page_for(Role.TRADER, keeps_scope=True)
def cancel(request: HttpRequest, order_id: UUID) -> HttpResponse:
    """Ask for one order to be taken off the book."""
    form = CancelForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Nothing was cancelled: type a reason of at least three letters.")
        return redirect("order", order_id)
    if order_lists.load_order(order_id, visitor_of(request)) is None:
        raise Http404
    try:
        asked = cancel_order(order_id, person_of(request), form.cleaned_data["reason"], source=PAGE_SOURCE)
    except InvalidValue:
        raise Http404 from None
    except redis.RedisError:
        messages.error(request, "The bus is away: the cancel was not asked for. Try again in a moment.")
    else:
        if asked:
            messages.success(request, "The engine was asked to cancel it. Its status tells when the venue has.")
        else:
            messages.warning(request, "It had ended already: there was nothing to cancel.")
    return redirect(reverse("order", args=[order_id]))
