"""Problem answers (RFC 9457): every refusal of the API has a stable code, says what is wrong and what to do.

Routers raise `Problem`; `hedgerow.api` installs `answer_exception` for all else, so no refusal has another form.
"""

import http
from collections.abc import Mapping
from typing import Any

import msgspec
import structlog
from django.core.exceptions import PermissionDenied
from django.db import DataError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from ninja import Schema
from ninja.errors import HttpError, ValidationError
from redis import RedisError

from trading.errors import InvalidValue
from web.requests import request_id

MEDIA_TYPE = "application/problem+json"
MOST_FAULTS = 20

log = structlog.get_logger()


class FieldFault(Schema):
    """One part of a request that cannot be used."""

    where: str
    message: str


class ProblemAnswer(Schema):
    """RFC 9457. `code` is stable; `detail` is for a person and says what to do."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    request_id: str
    errors: list[FieldFault] = []


class Problem(Exception):
    """A refusal. `detail` is one sentence that says what to do; it never repeats a secret."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        faults: tuple[tuple[str, str], ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.faults = faults
        self.headers = headers or {}


def not_found(noun: str, named: object) -> Problem:
    """404. The same for what does not exist and for what the caller may not see."""
    return Problem(404, f"{noun}_not_found", f"There is no {noun} {str(named)[:100]!r} that you may see.")


def answer_problem(problem: Problem) -> HttpResponse:
    """The problem as bytes."""
    body = {
        "type": f"urn:hedgerow:problem:{problem.code}",
        "title": http.HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        "request_id": request_id(),
        "errors": [{"where": where, "message": message} for where, message in problem.faults],
    }
    response = HttpResponse(msgspec.json.encode(body), status=problem.status, content_type=MEDIA_TYPE)
    for name, value in problem.headers.items():
        response.headers[name] = value
    if problem.status == http.HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="hedgerow"'
    response.headers["Cache-Control"] = "no-store"
    return response


def answer_exception(request: HttpRequest, error: Any) -> HttpResponse:
    """Any exception as a problem. What nobody foresaw is logged with the request's id and tells nothing."""
    return answer_problem(problem_of(request, error))


def problem_of(request: HttpRequest, error: Any) -> Problem:
    """What an exception means to whoever asked."""
    match error:
        case Problem():
            return error
        case ValidationError():
            return Problem(422, "request_invalid", "Correct the named fields and ask again.", faults=_faults(error))
        case InvalidValue():
            return Problem(422, "value_invalid", str(error))
        case DataError():
            return Problem(422, "value_invalid", "A value is out of range, or holds a NUL character: change it.")
        case PermissionDenied():
            return Problem(403, "not_allowed", str(error) or "You may not do this.")
        case Http404():
            return Problem(404, "not_found", "There is nothing at this address.")
        case HttpError():
            return Problem(error.status_code, _codes.get(error.status_code, "refused"), str(error))
        case OperationalError() | RedisError():
            log.error("request_unserved", path=request.path, error=type(error).__name__)
            return Problem(503, "engine_down", "The database or the bus is away: look at /readyz, then ask again.")
    log.exception("request_failed", path=request.path, exc_info=error)
    return Problem(500, "internal_error", "This is our fault. Tell the operator the request_id.")


_codes = {400: "request_unreadable", 401: "not_signed_in", 403: "not_allowed", 429: "too_many_requests"}


def _faults(error: ValidationError) -> tuple[tuple[str, str], ...]:
    """Where and why; what was given is left out, because it may be a secret."""
    return tuple((_where(fault), str(fault.get("msg", "is wrong"))) for fault in error.errors[:MOST_FAULTS])


def _where(fault: Mapping[str, Any]) -> str:
    return ".".join(str(part) for part in fault.get("loc", ()))
