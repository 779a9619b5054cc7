"""`/accounts/{id}/connection` and `/test-connection`: how an account's connection stands, and trying it anew.

A test is done by a worker, which may open keys; the API only asks for it and tells how far it is.
"""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Query, Router, Schema, Status
from pydantic import Field

from accounts.api.accounts import API
from accounts.connection_test import (
    STEPS,
    TooManyTests,
    latest_connection_test,
    load_connection_test,
    request_connection_test,
)
from accounts.models import Account, ConnectionTest
from accounts.scope import load_account
from identity.callers import caller_of, may
from identity.roles import Role
from web.fields import Word
from web.paging import Page, PageQuery, Sorting, load_page
from web.problems import Problem, not_found

router = Router(tags=["accounts"])
NEWEST = Sorting(("asked_at", "id"), falling=True)


class Standing(Schema):
    """How an account's connection stands, by what its listener and its last authenticated read say."""

    connection: Account.Connection
    connection_at: datetime | None
    balance_at: datetime | None
    reconciled_at: datetime | None


class StepAnswer(Schema):
    """One step of a test: what it found, or what is wrong and what to do."""

    name: Annotated[str, Field(description=", ".join(STEPS))]
    state: Literal["waiting", "running", "ok", "failed", "skipped"]
    text: str
    took_ms: int | None


class ConnectionTestAnswer(Schema):
    """A test of the account's whole way to its venue. Ask again until `finished_at` is set."""

    id: UUID
    account_id: UUID
    status: ConnectionTest.Status
    problem: str
    steps: list[StepAnswer]
    asked_by: str
    asked_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@router.get("/{account_id}/connection", auth=may(Role.VIEWER), response=Standing, summary="How its connection stands")
def read_connection(request: HttpRequest, account_id: Word) -> Any:
    """What the account's listener says of its socket, and when its venue last answered an authenticated read."""
    return load_account(account_id, caller_of(request))


@router.post(
    "/{account_id}/test-connection",
    auth=may(Role.TRADER),
    response={202: ConnectionTestAnswer},
    summary="Test the connection",
)
def test_connection(request: HttpRequest, response: HttpResponse, account_id: Word) -> Any:
    """Log in at the venue anew through the account's proxy, read balance and positions, subscribe to its stream.

    Follow it at `Location`; a test under way is answered instead of a second one.
    """
    caller = caller_of(request)
    account = load_account(account_id, caller)
    try:
        test = request_connection_test(account, caller.user, source=API)
    except TooManyTests as error:
        detail = f"{str(error)[:1].upper()}{str(error)[1:]}."
        raise Problem(429, "tested_too_often", detail, headers={"Retry-After": str(error.after_s)}) from error
    response.headers["Location"] = f"/api/accounts/{account.pk}/connection-tests/{test.pk}"
    return Status(202, test)


@router.get(
    "/{account_id}/connection-tests",
    auth=may(Role.VIEWER),
    response=Page[ConnectionTestAnswer],
    summary="List connection tests",
)
def list_connection_tests(request: HttpRequest, account_id: Word, asked: Query[PageQuery]) -> Any:
    """The account's tests, newest first."""
    account = load_account(account_id, caller_of(request))
    latest_connection_test(account, timezone.now())  # ends one that nobody works on any more
    items, following = load_page(ConnectionTest.objects.filter(account=account), NEWEST, asked)
    return {"items": items, "next": following}


@router.get(
    "/{account_id}/connection-tests/{test_id}",
    auth=may(Role.VIEWER),
    response=ConnectionTestAnswer,
    summary="Follow a connection test",
)
def read_connection_test(request: HttpRequest, account_id: Word, test_id: UUID) -> Any:
    """One test as it stands."""
    account = load_account(account_id, caller_of(request))
    if not ConnectionTest.objects.filter(pk=test_id, account=account).exists():
        raise not_found("connection_test", test_id)
    return load_connection_test(test_id)
