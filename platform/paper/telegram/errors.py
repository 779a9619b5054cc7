"""The one error of the Bot API, as its JSON says it."""

from typing import Any

import msgspec
from aiohttp import web


class BotApiError(Exception):
    """A refusal: HTTP status, description, and after how many seconds to try again when the status is 429."""

    def __init__(self, status: int, description: str, retry_after: int = 0) -> None:
        super().__init__(description)
        self.status = status
        self.description = description
        self.retry_after = retry_after


def respond(value: Any, status: int = 200) -> web.Response:
    """Any JSON."""
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


def refuse(error: BotApiError) -> web.Response:
    """The error in the Bot API's own form."""
    body: dict[str, Any] = {"ok": False, "error_code": error.status, "description": error.description}
    if error.retry_after:
        body["parameters"] = {"retry_after": error.retry_after}
    return respond(body, error.status)
