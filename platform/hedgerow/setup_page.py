"""The first-run checklist: account, test, pair, rehearse, live. Each step is done when the desk shows that it is."""

from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.models import Account, ConnectionTest, Order
from hedgerow.access import page_for
from identity.roles import Role
from strategies.models import Pair
from trading.enums import TradingState


@dataclass(frozen=True)
class Step:
    """One line of the checklist. `action` is (label, address), or None when there is nothing to press."""

    title: str
    text: str
    is_done: bool
    action: tuple[str, str] | None
    command: str = ""
    """What to type in a shell; the text goes on from it."""


@require_safe
@never_cache
@page_for(Role.VIEWER)
def show_setup(request: HttpRequest) -> HttpResponse:
    """The checklist. Seven queries."""
    return render(request, "hedgerow/setup.html", {"steps": load_steps()})


def load_steps() -> list[Step]:
    """The five steps, and how far this desk is."""
    accounts = Account.objects.count()
    connected = Account.objects.filter(connection=Account.Connection.CONNECTED, balance_at__isnull=False).count()
    waiting = Account.objects.exclude(connection=Account.Connection.CONNECTED).order_by("name").first()
    passed = ConnectionTest.objects.filter(status=ConnectionTest.Status.PASSED).values("account").distinct().count()
    pairs = Pair.objects.filter(enabled=True).count()
    running = Pair.objects.filter(enabled=True, strategy__state=TradingState.ACTIVE.value).exists()
    hedged = Order.objects.filter(exposure_id__isnull=False, sent_at__isnull=False).exists()
    return [
        Step(
            "Add two accounts",
            f"One that gets filled, one that hedges it. There {'is' if accounts == 1 else 'are'} {accounts}.",
            accounts >= 2,
            ("Add one", reverse("account-add")),
        ),
        Step(
            "Test their connections",
            f"{connected} of {accounts} are connected and their balance was read; ticked once all are. "
            f"An account's own page has a test with more steps: {passed} passed it.",
            accounts >= 2 and connected == accounts,
            ("Test it", f"{reverse('account', args=[waiting.pk])}#connection-test")
            if waiting
            else ("See them", reverse("accounts")),
        ),
        Step(
            "Pair them",
            "A strategy says how, its pairs say which account hedges which. Then start it: "
            f"{pairs} pair{'' if pairs == 1 else 's'}, {'running' if running else 'none running'}.",
            running,
            ("Strategies", reverse("strategies")),
        ),
        Step(
            "Rehearse",
            "makes fills, breaks things, and audits that every share was hedged once. "
            "Ticked once a hedge has left here.",
            hedged,
            ("Orders", f"{reverse('orders')}?origin=strategy"),
            "manage.py rehearse --fills 500",
        ),
        Step(
            "Go live",
            "Give real servers, keys and the venue's address, then HEDGEROW_MODE=live: docs/operations.md, Live. "
            "A live process says in sentences what it refuses to start on.",
            bool(settings.LIVE),
            None,
        ),
    ]
