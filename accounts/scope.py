"""Which accounts a caller of the API or a page's visitor may see: all, or those with one of their tags. Everything else
is not there."""

from typing import TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

from accounts.models import Account
from identity.callers import Caller
from identity.models import User
from web.problems import not_found

Row = TypeVar("Row", bound=Model)


def in_scope(rows: QuerySet[Row], caller: Caller, *paths: str) -> QuerySet[Row]:
    """The rows whose account, at any of these paths, the caller may see. "" is the account itself."""
    if caller.tags is None:
        return rows
    tags = sorted(caller.tags)
    seen = Q()
    for path in paths:
        seen |= Q(**{f"{path}__tags__overlap" if path else "tags__overlap": tags})
    return rows.filter(seen)


def visitor_of(request: HttpRequest) -> Caller:
    """A page's visitor, as a caller with the same sight as in the API. Only behind `page_for`, which looks at roles."""
    assert isinstance(request.user, User)
    return Caller(request.user, None, frozenset(request.user.account_tags) or None)


def load_account(named: str, caller: Caller) -> Account:
    """The account with this id or name; a 404 Problem when there is none that the caller may see."""
    accounts = in_scope(Account.objects.all(), caller, "")
    try:
        account = accounts.filter(pk=UUID(named)).first()
    except ValueError:
        account = accounts.filter(name=named).first()
    if account is None:
        raise not_found("account", named)
    return account
