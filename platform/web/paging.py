"""Pages of a list: by cursor, so that a page costs the same wherever it is and rows that arrive shift nothing.

A cursor is the last row's place in the sort order. The primary key ends every order, so no row is shown twice or lost.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from ninja import Schema
from pydantic import Field

from web.problems import Problem

LEAST, USUAL, MOST = 1, 50, 200

Item = TypeVar("Item")
Row = TypeVar("Row", bound=Model)


class Page(Schema, Generic[Item]):
    """Some of a list. Ask again with `cursor` set to `next` for what follows; None ends it."""

    items: list[Item]
    next: str | None = None


class PageQuery(Schema):
    """What every list takes."""

    cursor: Annotated[str, Field(max_length=500, description="`next` of the page before.")] = ""
    limit: Annotated[int, Field(ge=LEAST, le=MOST)] = USUAL


@dataclass(frozen=True)
class Sorting:
    """A stable order: fields of the row itself, none nullable, unique together; all rise, or all fall."""

    fields: tuple[str, ...]
    falling: bool = False

    def columns(self) -> list[str]:
        return [f"-{field}" for field in self.fields] if self.falling else list(self.fields)


def order_named(name: str, orders: Mapping[str, Sorting]) -> Sorting:
    """The order a caller asked for; "-name" is "name" backwards."""
    order = orders.get(name.removeprefix("-"))
    if order is None:
        known = ", ".join(orders)
        raise Problem(422, "sort_unknown", f"There is no order {name[:40]!r}: choose {known}, or one of them with '-'.")
    return Sorting(order.fields, falling=order.falling != name.startswith("-"))


def load_page(rows: QuerySet[Row], order: Sorting, asked: PageQuery) -> tuple[list[Row], str | None]:
    """One page and the cursor of the next: one query."""
    if asked.cursor:
        rows = rows.filter(beyond(order, read_cursor(asked.cursor, rows.model, order)))
    found = list(rows.order_by(*order.columns())[: asked.limit + 1])
    if len(found) <= asked.limit:
        return found, None
    found.pop()
    return found, write_cursor([_kind(rows.model, order), *(_value(found[-1], field) for field in order.fields)])


def beyond(order: Sorting, place: Sequence[Any]) -> Q:
    """The rows after `place`. The first field is bounded by itself too, so that an index serves it."""
    step, reach = ("lt", "lte") if order.falling else ("gt", "gte")
    after = Q()
    for index, field in enumerate(order.fields):
        same = {name: place[at] for at, name in enumerate(order.fields[:index])}
        after |= Q(**same, **{f"{field}__{step}": place[index]})
    return after & Q(**{f"{order.fields[0]}__{reach}": place[0]})


def write_cursor(place: Sequence[Any]) -> str:
    """The place as an opaque word; times keep every microsecond, decimals every digit."""
    return base64.urlsafe_b64encode(msgspec.json.encode([str(value) for value in place])).decode().rstrip("=")


def read_words(cursor: str, count: int) -> list[str]:
    """The cursor's words; a Problem for anything we did not write."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        words = msgspec.json.decode(raw, type=list[str])
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise bad_cursor() from None
    if len(words) != count or any("\x00" in word for word in words):
        raise bad_cursor()
    return words


def read_cursor(cursor: str, model: type[Model], order: Sorting) -> list[Any]:
    """The place in the model's own types; a Problem for a cursor of another list or order."""
    kind, *words = read_words(cursor, 1 + len(order.fields))
    if kind != _kind(model, order):
        raise bad_cursor()
    try:
        return [_field(model, name).to_python(word) for name, word in zip(order.fields, words, strict=True)]
    except (ValidationError, ArithmeticError, ValueError):
        raise bad_cursor() from None


def bad_cursor() -> Problem:
    """422: a cursor that is not from this list."""
    return Problem(422, "cursor_invalid", "The cursor is not one this list gave: leave it out to begin anew.")


def _kind(model: type[Model], order: Sorting) -> str:
    """What a cursor is good for: this list, in this order."""
    return f"{model._meta.model_name} {' '.join(order.columns())}"


def _field(model: type[Model], name: str) -> Any:
    field: Any = model._meta.get_field(name)
    return field.target_field if field.is_relation else field


def _value(row: Any, field: str) -> Any:
    return row[field] if isinstance(row, dict) else getattr(row, field)
