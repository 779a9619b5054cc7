"""The gate every request passes: API key, rate limit, wallet token, faults, and the error envelope.

Also the home of the application's typed keys, which every handler reads.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from paper.predict.errors import ApiError, respond_error
from paper.predict.limits import LimitReached, RateLimits
from paper.predict.venue import Venue

VENUE = web.AppKey("venue", Venue)
LIMITS = web.AppKey("limits", RateLimits)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_LOOPBACK = ("127.0.0.1", "::1")
log = structlog.get_logger()


def wallet_of(request: web.Request) -> str:
    """The lower-case address of the bearer token; ApiError 401 without one that holds."""
    wallet = bearer_of(request)
    if wallet is None:
        raise ApiError(401, message="authorization error")
    return wallet


def bearer_of(request: web.Request) -> str | None:
    header = request.headers.get("Authorization", "")
    if not header.startswith("Bearer "):
        return None
    venue = request.app[VENUE]
    return venue.auth.address_of(header[7:], venue.now_ms())


def caller_of(request: web.Request) -> str | None:
    """The API key (all keys are one app), the address of a keyless caller, or None for a bad key."""
    keys = request.app[VENUE].settings.api_keys
    if not keys:
        return request.remote or "unknown"
    given = request.headers.get("x-api-key") or request.query.get("apiKey") or ""
    if any(secrets.compare_digest(given.encode(), key.encode()) for key in keys):
        return "app"
    return None


@web.middleware
async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
    path = request.path
    if path.startswith("/paper/"):
        return await _control(request, handler)
    if not path.startswith("/v1/"):
        return await handler(request)
    venue = request.app[VENUE]
    headers: dict[str, str] = {}
    response: web.StreamResponse
    try:
        caller = caller_of(request)
        if caller is None:
            raise ApiError(401, message="authorization error")
        headers = request.app[LIMITS].check(caller, request.method, path, venue.now_ms())
        response = await (_faulty(request, handler) if venue.faults.rules else handler(request))
    except LimitReached as error:
        headers = error.headers
        response = respond_error(error)
    except ApiError as error:
        response = respond_error(error)
    except web.HTTPException as error:
        response = respond_error(ApiError(error.status, message=error.reason))
    except (ConnectionError, asyncio.CancelledError):
        raise
    except Exception:
        log.exception("paper_request_failed", path=path)
        response = respond_error(ApiError(500))
    response.headers.update(headers)
    return response


async def _control(request: web.Request, handler: Handler) -> web.StreamResponse:
    if request.remote not in _LOOPBACK:
        return respond_error(ApiError(403, message="the control plane answers on loopback only"))
    try:
        return await handler(request)
    except ApiError as error:
        return respond_error(error)


async def _faulty(request: web.Request, handler: Handler) -> web.StreamResponse:
    faults = request.app[VENUE].faults
    wallet, method, path = bearer_of(request), request.method, request.path
    rule = faults.strikes("latency_ms", wallet, method, path)
    if rule is not None:
        await asyncio.sleep(rule.ms / 1000)
    if faults.strikes("http_429", wallet, method, path) is not None:
        raise ApiError(429)
    if faults.strikes("http_5xx", wallet, method, path) is not None:
        raise ApiError(503)
    rule = faults.strikes("timeout_before_accept", wallet, method, path)
    if rule is not None:
        await request.read()
        return await _hang_up(request, rule.ms)
    rule = faults.strikes("timeout_after_accept", wallet, method, path)
    if rule is not None:
        with contextlib.suppress(ApiError):
            await handler(request)
        return await _hang_up(request, rule.ms)
    return await handler(request)


async def _hang_up(request: web.Request, after_ms: int) -> web.StreamResponse:
    """Drop the connection without an answer; the response returned here goes nowhere."""
    await asyncio.sleep(after_ms / 1000)
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)
