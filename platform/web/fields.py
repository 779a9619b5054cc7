"""The types of the API's fields: exact decimals, texts a database can hold.

An amount is answered as a decimal string ("0.55"), digit for digit. It is taken as a string or as a JSON number, and a
number never becomes a float: `ExactParser` reads it as the Decimal that was written.
"""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, NoReturn

import msgspec
from django.http import HttpRequest
from ninja.errors import HttpError
from ninja.parser import Parser
from ninja.renderers import BaseRenderer
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

from trading.values import text

Amount = Annotated[
    Decimal,
    PlainSerializer(text, return_type=str),
    WithJsonSchema({"type": "string", "format": "decimal", "examples": ["0.55"]}),
]
"""An exact decimal in an answer."""

_GIVEN = re.compile(r"[0-9]{1,20}(\.[0-9]{1,18})?")


def exact_decimal(value: Any) -> Any:
    """A decimal string without exponent, or a JSON number as `ExactParser` read it."""
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        raise ValueError('give a decimal string, like "0.55"')
    if isinstance(value, str) and not _GIVEN.fullmatch(value):
        raise ValueError('give a decimal string without sign or exponent, like "0.55"')
    return value


_EXACT = Field(max_digits=38, decimal_places=18, allow_inf_nan=False)
_NOT_ZERO = {"not": {"pattern": r"^[0.]*$"}}


def _decimal(strings: dict[str, Any], numbers: dict[str, Any], text: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"anyOf": [{"type": "string", **strings}, {"type": "number", **numbers}], "description": text},
        mode="validation",
    )


GivenAmount = Annotated[
    Decimal,
    BeforeValidator(exact_decimal),
    Field(ge=0),
    _EXACT,
    _decimal(
        {"pattern": r"^[0-9]{1,15}(\.[0-9]{1,18})?$"},
        {"minimum": 0, "maximum": 10**15},
        "An exact decimal of zero or more, at most 18 places.",
    ),
]
"""An exact decimal in a request."""
GivenShares = Annotated[
    Decimal,
    BeforeValidator(exact_decimal),
    Field(gt=0),
    _EXACT,
    _decimal(
        {"pattern": r"^[0-9]{1,15}(\.[0-9]{1,18})?$", **_NOT_ZERO},
        {"exclusiveMinimum": 0, "maximum": 10**15},
        "An exact decimal above zero, at most 18 places.",
    ),
]
"""A size in a request."""
GivenPrice = Annotated[
    Decimal,
    BeforeValidator(exact_decimal),
    Field(gt=0, lt=1),
    _EXACT,
    _decimal(
        {"pattern": r"^0\.[0-9]{1,18}$", **_NOT_ZERO},
        {"exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "An exact decimal between 0 and 1, at most 18 places.",
    ),
]
"""A price, or a difference of prices, in a request."""

_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)")


def timestamp(value: Any) -> Any:
    """RFC 3339: a bare number could mean anything."""
    if isinstance(value, str) and not _TIME.fullmatch(value):
        raise ValueError("give a time with its zone, like 2026-02-05T01:00:00Z")
    return value


EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def within_reach(moment: datetime) -> datetime:
    """The moment, or the nearest one that every engine can hold: nothing of ours lies outside."""
    if moment.replace(tzinfo=None) < EARLIEST.replace(tzinfo=None) + timedelta(days=1):
        return EARLIEST
    return min(moment, LATEST)


Instant = Annotated[AwareDatetime, BeforeValidator(timestamp), AfterValidator(within_reach)]
"""A moment in a request, between 1970 and 2200."""

LINE = r"^[^\x00-\x1f\x7f-\x9f]*$"
"""One line, nothing that steers a terminal."""
Word = Annotated[str, StringConstraints(pattern=LINE, max_length=120)]
"""A short text on one line: a filter, an id, a name."""
Tag = Annotated[str, StringConstraints(pattern=LINE, max_length=32)]
"""A tag of accounts."""
Reason = Annotated[
    str,
    StringConstraints(
        pattern=r"^[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f]$",
        min_length=3,
        max_length=255,
    ),
]
"""Why a person does something. It goes to the audit log and onto pages."""
Prose = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=10_000)]
"""Text of several lines."""
Secret = Annotated[str, StringConstraints(pattern=LINE, max_length=2_000)]
"""Something to be sealed at once. No answer ever holds one."""


class Given(BaseModel):
    """What a request's body is made of. A field that does not exist is refused: it may be a mistyped one."""

    model_config = ConfigDict(extra="forbid")


class Because(Given):
    """A reason, kept in the audit log."""

    reason: Reason


class ExactParser(Parser):
    """JSON in which 0.55 is the Decimal 0.55. NaN and infinities are no JSON."""

    def parse_body(self, request: HttpRequest) -> Any:
        try:
            return json.loads(request.body, parse_float=Decimal, parse_constant=_refuse)
        except (ValueError, ArithmeticError, RecursionError):
            raise HttpError(400, "The body must be JSON.") from None


class ExactRenderer(BaseRenderer):
    """Answers in JSON; a Decimal that no schema has turned into text becomes a string, never a float."""

    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> bytes:
        return msgspec.json.encode(data)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
