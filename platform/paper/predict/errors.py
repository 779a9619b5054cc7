"""Predict.fun's error envelope. Raised by the API handlers, written by the gate."""

import secrets
import time
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

_STATUS_SLUGS = {
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    429: "too_many_requests",
    500: "internal_server_error",
    502: "bad_gateway",
    503: "service_unavailable",
}
encode = msgspec.json.Encoder().encode


class ApiError(Exception):
    """An answer other than success. Clients match on `slug`, never on the message."""

    def __init__(self, status: int, slug: str | None = None, message: str = "") -> None:
        self.status = status
        self.slug = slug or _STATUS_SLUGS.get(status, "bad_request")
        self.message = message or self.slug.replace("_", " ")
        super().__init__(f"{status} {self.slug}: {self.message}")


def respond(data: Any, status: int = 200) -> web.Response:
    return web.Response(body=encode(data), status=status, content_type="application/json")


def respond_error(error: ApiError) -> web.Response:
    now = time.time_ns()
    seconds = datetime.fromtimestamp(now // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return respond(
        {
            "success": False,
            "code": error.status,
            "error": error.slug,
            "message": error.message,
            "timestamp": f"{seconds}.{now % 10**9:09d}Z",
            "trace": secrets.token_hex(16),
        },
        error.status,
    )
