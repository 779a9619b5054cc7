"""Where a request comes from (its id and address, for logs, problem answers and the audit log) and what it asks by.

`RequestOriginMiddleware` notes them for as long as the request lasts; code far below asks without being handed them.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import uuid4

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from structlog.contextvars import bound_contextvars

HEADER = "X-Request-ID"
_GIVEN = re.compile(r"[A-Za-z0-9._-]{8,64}")

Handler = Callable[[HttpRequest], HttpResponseBase] | Callable[[HttpRequest], Awaitable[HttpResponseBase]]


@dataclass(frozen=True)
class Origin:
    """One request's id and the address it came from."""

    id: str
    address: str | None


_origin: ContextVar[Origin | None] = ContextVar("request_origin", default=None)


def request_id() -> str:
    """The id of the request being answered; empty outside of one."""
    origin = _origin.get()
    return origin.id if origin else ""


def request_address() -> str | None:
    """The address the request being answered came from; None outside of one."""
    origin = _origin.get()
    return origin.address if origin else None


class RequestOriginMiddleware:
    """Gives every request an id (its own, when it brings a usable one) and sends it back. Sync and async."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self._answer(request)
        with noted(request) as origin:
            return marked(self.get_response(request), origin)  # type: ignore[arg-type]

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        with noted(request) as origin:
            return marked(await self.get_response(request), origin)  # type: ignore[misc]


@contextmanager
def noted(request: HttpRequest) -> Iterator[Origin]:
    """The request's origin, known to all that runs inside."""
    given = request.headers.get(HEADER, "")
    origin = Origin(given if _GIVEN.fullmatch(given) else uuid4().hex, request.META.get("REMOTE_ADDR") or None)
    token = _origin.set(origin)
    try:
        with bound_contextvars(request_id=origin.id):
            yield origin
    finally:
        _origin.reset(token)


def marked(response: HttpResponseBase, origin: Origin) -> HttpResponseBase:
    """The answer with its request's id."""
    response.headers[HEADER] = origin.id
    return response


def read_words(given: Mapping[str, str], names: Iterable[str], most: int = 120) -> dict[str, str]:
    """These fields of a request's query as plain words: trimmed, cut to `most` characters, and fit for PostgreSQL,
    which knows no NUL. A missing one is empty."""
    return {name: str(given.get(name, "")).strip().replace("\x00", "")[:most] for name in names}
