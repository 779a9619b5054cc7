"""Cursor pages: `first` and `after` in, a slice and an opaque cursor out. Used by every list."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from paper.predict.errors import ApiError

T = TypeVar("T")
MAX_PAGE = 100


def take_page(rows: Iterable[T], query: Mapping[str, str], key: Callable[[T], int]) -> tuple[list[T], str | None]:
    """A page of `rows`, which must come by falling `key`; the cursor holds the last key handed out.

    A key, not an offset: rows that arrive in front meanwhile shift nothing.
    """
    first = read_int(query, "first", 20)
    if not 1 <= first <= MAX_PAGE:
        raise ApiError(400, "bad_request", f"first must be between 1 and {MAX_PAGE}")
    after = query.get("after")
    last: int | None = None
    if after:
        try:
            last = int(urlsafe_b64decode(after.encode()).decode())
        except ValueError:
            raise ApiError(400, "bad_request", "the cursor could not be read") from None
    page: list[T] = []
    for row in rows:
        if last is not None and key(row) >= last:
            continue
        if len(page) == first:
            return page, urlsafe_b64encode(str(key(page[-1])).encode()).decode()
        page.append(row)
    return page, None


def read_int(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name)
    if text is None or text == "":
        return default
    try:
        return int(text)
    except ValueError:
        raise ApiError(400, "bad_request", f"{name} must be a whole number") from None


def read_flag(query: Mapping[str, str], name: str) -> bool | None:
    text = query.get(name)
    return None if text is None else text.lower() == "true"
