"""Testing accounts' connections from the pages: a trader asks, a worker does it, the page follows it step by step."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.connection_test import latest_connection_test, request_connection_test
from accounts.models import Account, ConnectionTest
from accounts.scope import in_scope, visitor_of
from identity.access import is_fragment, page_for
from identity.back_office import person_of
from identity.models import AuditEntry
from identity.roles import Role
from trading.errors import InvalidValue

PAGE_SOURCE = AuditEntry.Source.PAGE.value


@never_cache
@require_http_methods(["GET", "POST"])
@page_for(Role.TRADER, keeps_scope=True)
def test_account(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Ask for a test on POST; for HTMX the newest test as it stands, else back to the account, which shows it."""
    account = in_scope(Account.objects.all(), visitor_of(request), "").filter(pk=account_id).first()
    if account is None:
        raise Http404
    problem = ""
    if request.method == "POST":
        try:
            request_connection_test(account, person_of(request), source=PAGE_SOURCE)
        except InvalidValue as error:
            problem = str(error)
    if is_fragment(request):
        return render(request, "accounts/connection_test.html", describe_test(account) | {"test_problem": problem})
    if problem:
        messages.error(request, f"Not tested: {problem}.")
    return redirect(f"{request.path.removesuffix('test')}#connection-test")


def describe_test(account: Account) -> dict[str, object]:
    """What `connection_test.html` shows: the account's newest test, and how many of its steps are behind it."""
    test = latest_connection_test(account)
    return {"account": account, "test": test, "test_done": count_done(test), "may_trade": True}


def count_done(test: ConnectionTest | None) -> int:
    """Steps that are over."""
    return 0 if test is None else sum(step["state"] not in ("waiting", "running") for step in test.steps)


def ask_for_tests(request: HttpRequest, accounts: list[Account]) -> None:
    """Ask for a test of each account, and say how many were asked for and which were not."""
    refused = []
    for account in accounts:
        try:
            request_connection_test(account, person_of(request), source=PAGE_SOURCE)
        except InvalidValue as error:
            refused.append(f"{account.name}: {error}")
    asked = len(accounts) - len(refused)
    if asked:
        messages.success(request, f"{asked} connection test{'' if asked == 1 else 's'} asked for: see each account.")
    for text in refused:
        messages.error(request, f"Not tested: {text}.")
