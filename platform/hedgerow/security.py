"""The content security policy of our own pages. Django 5.2 has none built in; the admin keeps its own script policy."""

from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
#: django-unfold evaluates Alpine expressions and writes inline styles, so scripts there may do so too; still only ours.
ADMIN_POLICY = POLICY.replace("script-src 'self'", "script-src 'self' 'unsafe-inline' 'unsafe-eval'").replace(
    "style-src 'self'", "style-src 'self' 'unsafe-inline'"
)

Response = HttpResponseBase
Handler = Callable[[HttpRequest], Response] | Callable[[HttpRequest], Awaitable[Response]]


class ContentSecurityPolicyMiddleware:
    """Sets the policy on every answer that has none. Works in both the sync and the async chain."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Response | Awaitable[Response]:
        if self.is_async:
            return self._answer(request)
        return restrict(request, self.get_response(request))  # type: ignore[arg-type]

    async def _answer(self, request: HttpRequest) -> Response:
        return restrict(request, await self.get_response(request))  # type: ignore[misc]


def restrict(request: HttpRequest, response: Response) -> Response:
    """`response` with the policy of its path."""
    policy = ADMIN_POLICY if request.path.startswith("/admin/") else POLICY
    response.headers.setdefault("Content-Security-Policy", policy)
    return response
