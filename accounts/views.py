"""The pages of accounts: the fleet with its bulk actions, one account, adding one.

What changes an account goes through `accounts.registration`. A part of the fleet has the fleet's own address.
"""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import account_lists, order_lists
from accounts.account_ids import read_ids
from accounts.account_lists import FILTERS, FleetFilter
from accounts.connection_page import ask_for_tests, describe_test
from accounts.forms import KeysForm, LimitsForm, StateForm, WhoForm
from accounts.models import Account, SealedSecret
from accounts.registration import change_account_state, register_account
from accounts.scope import in_scope, visitor_of
from accounts.vault import VaultError
from identity.access import is_fragment, page_for
from identity.back_office import person_of
from identity.models import AuditEntry
from identity.roles import Role, has_role
from trading.enums import Platform, TradingState
from trading.errors import InvalidValue

PAGE_SOURCE = AuditEntry.Source.PAGE.value
STEPS: tuple[tuple[str, type[forms.Form]], ...] = (("Who", WhoForm), ("Limits", LimitsForm), ("Keys", KeysForm))


@require_safe
@never_cache
@page_for(Role.VIEWER, keeps_scope=True)
def show_fleet(request: HttpRequest) -> HttpResponse:
    """The fleet table, filtered. A trader marks accounts and changes their state."""
    wanted, visitor = FleetFilter.read(request.GET.dict()), visitor_of(request)
    asked = {name: value for name in FILTERS if (value := getattr(wanted, name))}
    context = {
        "rows": account_lists.load_rows(wanted, timezone.now(), visitor),
        "wanted": wanted,
        "query": urlencode(asked),
        "is_filtered": bool(asked),
        "may_trade": has_role(request.user, Role.TRADER),
        "may_add": has_role(request.user, Role.ADMIN),
    }
    if is_fragment(request) and request.GET.get("part") == "list":
        return render(request, "accounts/fleet.html", context)
    context |= {
        "platforms": [platform.value for platform in Platform],
        "states": [state.value for state in TradingState],
        "connections": Account.Connection.values,
        "tags": account_lists.load_tags(visitor),
    }
    return render(request, "accounts/page.html", context)


@require_POST
@page_for(Role.TRADER, keeps_scope=True)
def change_states(request: HttpRequest) -> HttpResponse:
    """Change the state of every marked account, with one reason. Shows what it touches until it is confirmed.

    The same form sends marked accounts to be tested, or to the page that closes them.
    """
    seen = in_scope(Account.objects.all(), visitor_of(request), "")
    marked = list(seen.filter(pk__in=read_ids(request.POST.getlist("account"))).order_by("name"))
    form = StateForm(request.POST)
    if not marked:
        messages.error(request, "Mark at least one account first.")
        return redirect("accounts")
    if request.POST.get("state") == "close":
        query = urlencode({"account": [str(account.pk) for account in marked]}, doseq=True)
        return redirect(f"{reverse('accounts-close')}?{query}")
    if request.POST.get("state") == "test":
        ask_for_tests(request, marked)
        return redirect("accounts")
    if "confirm" not in request.POST or not form.is_valid():
        form = form if "confirm" in request.POST else StateForm(initial=request.POST.dict())
        return render(request, "accounts/change_states.html", {"accounts": marked, "form": form})
    person, reason = person_of(request), form.cleaned_data["reason"]
    for account in marked:
        change_account_state(account.pk, form.cleaned_data["state"], by=person, reason=reason, source=PAGE_SOURCE)
    count = len(marked)
    noun = "account is" if count == 1 else "accounts are"
    messages.success(request, f"{count} {noun} {form.cleaned_data['state']} from the next order on.")
    return redirect("account", marked[0].pk) if count == 1 else redirect("accounts")


@require_safe
@never_cache
@page_for(Role.VIEWER, keeps_scope=True)
def show_account(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """One account: how it stands, what it holds, its orders and fills, and who did what to it."""
    visitor = visitor_of(request)
    account = in_scope(Account.objects.all(), visitor, "").filter(pk=account_id).first()
    if account is None:
        raise Http404
    wanted = order_lists.OrderFilter(account=str(account.pk))
    context = {
        "account": account,
        "free": account.collateral - account.reserved,
        "sealed": list(SealedSecret.objects.filter(account=account).order_by("kind").values("kind", "created_at")),
        "positions": order_lists.load_positions(account),
        "orders": order_lists.load_order_page(wanted, visitor)[0][:20],
        "fills": order_lists.load_fill_page(account, limit=20)[0],
    }
    if is_fragment(request):
        return render(request, "accounts/account.html", context)
    context |= describe_test(account)
    context |= {
        "events": order_lists.load_account_events(account),
        "form": StateForm(initial={"state": account.state}),
        "may_trade": has_role(request.user, Role.TRADER),
        "may_configure": has_role(request.user, Role.ADMIN),
    }
    return render(request, "accounts/account_page.html", context)


@sensitive_post_parameters("private_key", "api_key", "proxy_url")
@never_cache
@require_http_methods(["GET", "POST"])
@page_for(Role.ADMIN)
def add_account(request: HttpRequest) -> HttpResponse:
    """Add one account in three steps. Secrets are asked for last, so no page ever carries them on."""
    step = min(max(int(number), 0), len(STEPS) - 1) if (number := request.POST.get("step", "0")).isdigit() else 0
    filled: dict[str, Any] = {}
    for index, (_, kind) in enumerate(STEPS[: step + 1]):
        form = kind(request.POST if request.method == "POST" else None)
        is_back = "back" in request.POST and index >= step - 1
        if is_back or not form.is_valid():
            shown = kind(initial=request.POST.dict()) if is_back and index < step else form
            return show_step(request, index, shown)
        filled |= form.cleaned_data
    if step < len(STEPS) - 1:
        return show_step(request, step + 1, STEPS[step + 1][1](initial=request.POST.dict()))
    try:
        account = register_account(
            by=person_of(request), source=PAGE_SOURCE, **filled | {"tags": filled["tags"].split(",")}
        )
    except (InvalidValue, VaultError) as error:
        form.add_error(None, str(error))
        return show_step(request, step, form)
    messages.success(
        request, f"{account.name} is made. The engine connects it within seconds; watch its connection here."
    )
    return redirect("account", account.pk)


def show_step(request: HttpRequest, step: int, form: forms.Form) -> HttpResponse:
    """One step of the wizard; what was given in the steps before goes along, secrets never."""
    carried = {
        name: request.POST.get(name, "")
        for index, (_, kind) in enumerate(STEPS)
        if index != step and kind is not KeysForm
        for name in kind.base_fields
    }
    context = {"form": form, "step": step, "labels": [label for label, _ in STEPS], "carried": carried}
    return render(request, "accounts/add.html", context)
