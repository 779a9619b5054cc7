"""Who may open a page. A fragment asked for after the session has ended sends the whole page to the login."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django_htmx.http import HttpResponseClientRedirect

from identity.roles import Role, require_role

View = Callable[..., HttpResponseBase]


def page_for(role: Role) -> Callable[[View], View]:
    """A view decorator: `require_role`, and a fragment's visitor without a session leaves the page for the login."""

    def decorate(view: View) -> View:
        checked = require_role(role)(view)

        @wraps(view)
        def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if is_fragment(request) and not request.user.is_authenticated:
                return HttpResponseClientRedirect(resolve_url("login"))
            return checked(request, *args, **kwargs)

        return answer

    return decorate


def is_fragment(request: HttpRequest) -> bool:
    """True when HTMX asks for a part of a page that is already shown."""
    return bool(getattr(request, "htmx", False))
