"""The types of the API's fields: exact decimals, texts a database can hold.

An amount is answered as a decimal string ("0.55"), digit for digit. It is taken as a string or as a JSON number, and a
number never becomes a float: `ExactParser` reads it as the Decimal that was written.
"""

import json
from decimal import Decimal
from typing import Annotated, Any, NoReturn

import msgspec
from django.http import HttpRequest
from ninja.errors import HttpError
from ninja.parser import Parser
from ninja.renderers import BaseRenderer
from pydantic import Field, PlainSerializer, StringConstraints, WithJsonSchema

from trading.values import text

DECIMAL = r"^-?[0-9]{1,20}(\.[0-9]{1,18})?$"
"""At most 18 places, as the columns hold them."""

Amount = Annotated[
    Decimal,
    PlainSerializer(text, return_type=str),
    WithJsonSchema({"type": "string", "format": "decimal", "examples": ["0.55"]}),
]
"""An exact decimal in an answer."""

GivenAmount = Annotated[
    Decimal,
    Field(ge=0, max_digits=38, decimal_places=18, allow_inf_nan=False),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^[0-9]{1,15}(\.[0-9]{1,18})?$"},
                {"type": "number", "minimum": 0, "maximum": 10**15},
            ],
            "description": "An exact decimal of zero or more, at most 18 places.",
        }
    ),
]
"""An exact decimal in a request: zero or more."""

_LINE = r"^[^\x00-\x1f\x7f]*$"
Word = Annotated[str, StringConstraints(pattern=_LINE, max_length=120)]
"""A short text on one line: a filter, an id, a name."""
Reason = Annotated[str, StringConstraints(pattern=_LINE, min_length=3, max_length=255, strip_whitespace=True)]
"""Why a person does something. It goes to the audit log and onto pages."""
Prose = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=10_000)]
"""Text of several lines."""
Secret = Annotated[str, StringConstraints(pattern=_LINE, max_length=2_000)]
"""Something to be sealed at once. No answer ever holds one."""


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
