"""Closing accounts from the pages: what it comes to, a reason, the orders, and how far they are.

The plan is `accounts.closing`'s; nothing is ordered by looking, and nothing at a slippage whose prices were not
shown. The same address shows the progress afterwards.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from asgiref.sync import async_to_sync
from django import forms
from django.contrib import messages
from django.db.models import F, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.account_ids import read_ids
from accounts.closing import Closing, PricedSale, carry_out, load_closing, load_prices
from accounts.models import Account, Order, Position
from accounts.querysets import without_bytes
from accounts.scope import in_scope, visitor_of
from identity.access import is_fragment, page_for
from identity.back_office import person_of
from identity.models import AuditEntry
from identity.roles import Role
from trading.enums import OrderOrigin
from trading.orders import TERMINAL
from trading.values import ZERO, text

PAGE_SOURCE = AuditEntry.Source.PAGE.value
MOST_ACCOUNTS = 50
"""Each account's books are read from its venue while the person waits."""
FOLLOWED = timedelta(hours=1)
SLIPPAGE = Decimal("0.05")
"""What is planned with until the person types another."""
ENDED = sorted(status.value for status in TERMINAL)


class CloseForm(forms.Form):
    """How far below the bid it may sell, and why."""

    max_slippage = forms.DecimalField(
        min_value=Decimal(0), max_value=Decimal("0.5"), max_digits=38, decimal_places=18, initial=SLIPPAGE,
        label="Slippage", help_text="Most below the best bid, in USDT per share.",
    )  # fmt: skip
    reason = forms.CharField(
        min_length=3, max_length=200, label="Why?", widget=forms.TextInput(attrs={"autocomplete": "off"})
    )


@dataclass(frozen=True)
class Plan:
    """One account and what closing it comes to."""

    account: Account
    closing: Closing
    sales: list[PricedSale]

    @property
    def brings(self) -> Decimal:
        """The least they bring together, in collateral."""
        return sum((priced.brings for priced in self.sales), ZERO)


@dataclass(frozen=True)
class Progress:
    """How far the closing orders of some accounts are, since a moment."""

    orders: int
    ended: int
    sold: Decimal
    wanted: Decimal
    resting: int
    """Other orders of theirs, still at the venue."""
    held: Decimal
    """Shares they still hold."""
    unsold: list[Order]
    """Closing orders that are over and not filled whole, with their reasons; the first of them."""

    @property
    def is_done(self) -> bool:
        return self.orders == self.ended and self.resting == 0


@never_cache
@require_http_methods(["GET", "POST"])
@page_for(Role.TRADER, keeps_scope=True)
def close_accounts(request: HttpRequest) -> HttpResponse:
    """The plan for the accounts named; on POST with `confirm` it is carried out, then followed at the same address.

    With another slippage than the one shown, as with `check`, the new prices are shown first.
    """
    given = request.POST if request.method == "POST" else request.GET
    seen = in_scope(Account.objects.all(), visitor_of(request), "")
    accounts = list(seen.filter(pk__in=read_ids(given.getlist("account"))).order_by("name")[:MOST_ACCOUNTS])
    if not accounts:
        messages.error(request, "Mark at least one account first.")
        return redirect("accounts")
    if since := read_since(request.GET.get("since", "")):
        return follow(request, accounts, since)
    form = CloseForm(request.POST if {"confirm", "check"} & request.POST.keys() else None)
    is_valid = form.is_valid()
    typed = form.cleaned_data if form.is_bound else {}
    slippage, reason = typed.get("max_slippage", SLIPPAGE), typed.get("reason", "")
    is_seen = request.POST.get("seen") == text(slippage)
    plans = [make_plan(account, slippage, reason) for account in accounts]
    if not is_valid or not is_seen or "check" in request.POST:
        context = {
            "plans": plans,
            "form": form,
            "seen": text(slippage),
            "is_looked_again": form.is_bound and "max_slippage" in typed,
        }
        return render(request, "accounts/close.html", context)
    began = timezone.now()
    refused: list[str] = []
    for plan in plans:
        sold = carry_out(plan.closing, person_of(request), reason, source=PAGE_SOURCE)
        refused += [f"{plan.account.name}, {one.sale.market_id}: {one.refusal}" for one in sold if one.refusal]
    for told in refused:
        messages.error(request, f"Not ordered: {told}.")
    query = urlencode({"account": [str(account.pk) for account in accounts], "since": began.isoformat()}, doseq=True)
    return redirect(f"{reverse('accounts-close')}?{query}")


def make_plan(account: Account, slippage: Decimal, reason: str) -> Plan:
    """What closing the account comes to at this moment; reads its markets' books from the venue."""
    closing: Closing = async_to_sync(load_closing)(account, slippage, reason)
    return Plan(account, closing, load_prices(closing.sales))


def follow(request: HttpRequest, accounts: list[Account], since: datetime) -> HttpResponse:
    """How far it is; for HTMX the figures alone."""
    context = {
        "accounts": accounts,
        "progress": load_progress([account.pk for account in accounts], since),
        "address": request.get_full_path(),
    }
    template = "accounts/close_progress.html" if is_fragment(request) else "accounts/close_followed.html"
    return render(request, template, context)


def load_progress(accounts: list[UUID], since: datetime) -> Progress:
    """Of the closing orders made since then. Six queries."""
    orders = Order.objects.filter(account_id__in=accounts, origin=OrderOrigin.CLOSING.value, created_at__gte=since)
    told = orders.aggregate(wanted=Sum("size"), sold=Sum("filled"))
    others = Order.objects.filter(account_id__in=accounts).exclude(status__in=ENDED)
    held = Position.objects.filter(account_id__in=accounts, size__gt=0).aggregate(total=Sum("size"))
    return Progress(
        orders=orders.count(),
        ended=orders.filter(status__in=ENDED).count(),
        sold=told["sold"] or ZERO,
        wanted=told["wanted"] or ZERO,
        resting=others.exclude(origin=OrderOrigin.CLOSING.value).count(),
        held=held["total"] or ZERO,
        unsold=list(
            without_bytes(orders.filter(status__in=ENDED, filled__lt=F("size")))
            .select_related("account", "market")
            .order_by("created_at")[:MOST_ACCOUNTS]
        ),
    )


def read_since(given: str) -> datetime | None:
    """The moment in the address; None when there is none, or one too long ago to follow."""
    try:
        since = datetime.fromisoformat(given)
    except ValueError:
        return None
    return since if since.tzinfo and since > timezone.now() - FOLLOWED else None
