"""Who may open a page. A fragment asked for after the session has ended sends the whole page to the login.

A person who sees only accounts with certain tags opens only pages that say they keep to that (`keeps_scope`); every
other page, the admin's too, tells of the whole desk and is refused by `ScopeMiddleware`.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, resolve_url
from django_htmx.http import HttpResponseClientRedirect

from identity.models import User
from identity.roles import Role, require_role

View = Callable[..., HttpResponseBase]

OPEN_TO_ALL = frozenset({"login", "logout", "health", "ready", "metrics", "asset"})
"""Addresses that tell of no account."""
API = "api"
"""Its operations keep to what the caller may see by themselves."""
START, OWN_START = "desk", "accounts"


def page_for(role: Role, *, keeps_scope: bool = False) -> Callable[[View], View]:
    """A view decorator: `require_role`, and a fragment's visitor without a session leaves the page for the login.

    `keeps_scope`: the view shows and changes only accounts its visitor may see.
    """

    def decorate(view: View) -> View:
        checked = require_role(role)(view)

        @wraps(view)
        def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if is_fragment(request) and not request.user.is_authenticated:
                return HttpResponseClientRedirect(resolve_url("login"))
            return checked(request, *args, **kwargs)

        answer.keeps_scope = keeps_scope  # type: ignore[attr-defined]
        return answer

    return decorate


def is_fragment(request: HttpRequest) -> bool:
    """True when HTMX asks for a part of a page that is already shown."""
    return bool(getattr(request, "htmx", False))


class ScopeMiddleware:
    """Keeps who sees only some accounts out of every page that tells of all of them."""

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: View, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        """None lets the request go on. The start page gives way to one that may be seen."""
        match = request.resolver_match
        named = match.url_name if match is not None else ""
        if (
            named in OPEN_TO_ALL
            or (match is not None and API in match.namespaces)
            or getattr(view, "keeps_scope", False)
        ):
            return None
        user = request.user
        if not isinstance(user, User) or not user.account_tags:
            return None
        if named == START and not is_fragment(request):
            return redirect(OWN_START)
        raise PermissionDenied("This page tells of every account, and you may see only some: ask an admin.")
