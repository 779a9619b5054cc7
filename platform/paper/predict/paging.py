"""Cursor pages: `first` and `after` in, a slice and an opaque cursor out. Used by every list."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import TypeVar

from multidict import MultiMapping

from paper.predict.errors import ApiError

T = TypeVar("T")
MAX_PAGE = 100


def take_page(rows: Sequence[T], query: MultiMapping[str], key: Callable[[T], int]) -> tuple[Sequence[T], str | None]:
    """A page of `rows`, which must be sorted by falling `key`; the cursor holds the last key handed out.

    A key, not an offset: rows that arrive in front meanwhile shift nothing.
    """
    first = read_int(query, "first", 20)
    if not 1 <= first <= MAX_PAGE:
        raise ApiError(400, "bad_request", f"first must be between 1 and {MAX_PAGE}")
    after = query.get("after")
    if after:
        try:
            last = int(urlsafe_b64decode(after.encode()).decode())
        except ValueError:
            raise ApiError(400, "bad_request", "the cursor could not be read") from None
        rows = [row for row in rows if key(row) < last]
    page = rows[:first]
    cursor = None
    if len(rows) > first:
        cursor = urlsafe_b64encode(str(key(page[-1])).encode()).decode()
    return page, cursor


def read_int(query: MultiMapping[str], name: str, default: int) -> int:
    text = query.get(name)
    if text is None or text == "":
        return default
    try:
        return int(text)
    except ValueError:
        raise ApiError(400, "bad_request", f"{name} must be a whole number") from None


def read_flag(query: MultiMapping[str], name: str) -> bool | None:
    text = query.get(name)
    return None if text is None else text.lower() == "true"
