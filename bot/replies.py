"""What the bot answers with: text in Telegram's HTML, buttons, a picture or a file; and how figures are written.

Everything from the database goes through `esc`: a market's title must not be able to say anything in markup.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from html import escape, unescape
from typing import Any

from trading.redaction import scrub

MOST_CAPTION = 1000
"""Of 1024 under a picture or a file."""
MOST_TEXT = 3800
"""Telegram takes 4096 characters; the rest is for what is added around."""
ROWS_PER_PAGE = 8
_TAG = re.compile(r"(</?[a-z]+>)")
NEW = "new"
"""The argument of a button whose answer is a message of its own instead of replacing what it stands under."""


@dataclass(frozen=True)
class Button:
    """A button and what it does; `life` is how long it can be pressed."""

    label: str
    action: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    is_once: bool = False
    life: timedelta | None = None
    inline: str | None = None
    """Set, the button opens inline search with this text instead."""


@dataclass(frozen=True)
class Reply:
    """An answer. A long text goes out as a file instead, with its beginning as the caption."""

    text: str
    buttons: Sequence[Sequence[Button]] = ()
    picture: bytes | None = None
    document: bytes | None = None
    document_name: str = ""
    toast: str = ""
    """For a press: what flashes up."""
    is_urgent: bool = False
    """Leaves before everything else."""

    def shortened(self) -> "Reply":
        """Within Telegram's limits, nothing lost: what is too long is attached as a file.

        Only under a picture or a file, which there is one of, a long text ends where a caption must.
        """
        if self.picture is not None or self.document is not None:
            return self if len(self.text) <= MOST_CAPTION else replace(self, text=f"{_head(self.text)}\n…")
        if len(self.text) <= MOST_TEXT:
            return self
        return replace(
            self,
            text=f"{_head(self.text)}\n… all of it is in the file.",
            document=_plain(self.text).encode(),
            document_name=self.document_name or "hedgerow.txt",
        )

    def cleared(self) -> "Reply":
        """Without any secret that some text of the database, a venue's word or a person's note brought along."""
        text, document = _cleared(self.text), self.document
        if document is not None:
            document = scrub(document.decode("utf-8", "replace")).encode()
        buttons = [[replace(button, label=scrub(button.label)) for button in row] for row in self.buttons]
        return replace(self, text=text, document=document, buttons=buttons)


def esc(value: object) -> str:
    """Text that says nothing in markup."""
    return escape(str(value), quote=False)


def bold(value: object) -> str:
    return f"<b>{esc(value)}</b>"


def code(value: object) -> str:
    return f"<code>{esc(value)}</code>"


def amount(value: Decimal | None, places: int = 4) -> str:
    """The decimal without empty digits, at most `places` of them; a dash for nothing."""
    if value is None:
        return "–"
    text = f"{value.quantize(Decimal(1).scaleb(-places)):,f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def signed(value: Decimal, places: int = 2) -> str:
    """With its sign, as money: +12.50."""
    rounded = value.quantize(Decimal(1).scaleb(-places))
    return f"{rounded:+,f}" if rounded else "0"


def age(then: datetime | None, now: datetime) -> str:
    """How long ago, in its largest unit."""
    if then is None:
        return "never"
    seconds = max(0, int((now - then).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def clip(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def table(rows: Iterable[Sequence[str]], right: frozenset[int] = frozenset()) -> str:
    """Columns of equal width in fixed-width type."""
    lines = [list(row) for row in rows]
    if not lines:
        return ""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    padded = (
        "  ".join(
            cell.rjust(w) if i in right else cell.ljust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
    return f"<pre>{esc(chr(10).join(line.rstrip() for line in padded))}</pre>"


def pager(action: str, page: int, total: int, arguments: Mapping[str, Any] | None = None) -> list[Button]:
    """Buttons to the pages before and after; none when there is one page."""
    pages, kept = max(1, -(-total // ROWS_PER_PAGE)), dict(arguments or {})
    if pages == 1:
        return []
    row = [Button("‹", action, {**kept, "page": page - 1})] if page > 0 else []
    row.append(Button(f"{page + 1}/{pages}", action, {**kept, "page": page}))
    if page + 1 < pages:
        row.append(Button("›", action, {**kept, "page": page + 1}))
    return row


def _head(text: str) -> str:
    """Its first lines, with every tag closed."""
    head = text[:700].rpartition("\n")[0] or text[:700].rpartition("<")[0] or text[:700]
    return f"{head}{_unclosed(head)}"


def _cleared(text: str) -> str:
    """Markup stays markup: only what stands between tags is looked at, as a reader sees it."""
    parts = _TAG.split(text)
    return "".join(part if n % 2 else escape(scrub(unescape(part)), quote=False) for n, part in enumerate(parts))


def _unclosed(text: str) -> str:
    """The end tags `text` lacks; our own texts only use these."""
    opened = []
    for tag in ("pre", "b", "i", "code"):
        if text.count(f"<{tag}>") > text.count(f"</{tag}>"):
            opened.append(f"</{tag}>")
    return "".join(opened)


def _plain(text: str) -> str:
    for tag in ("b", "i", "code", "pre"):
        text = text.replace(f"<{tag}>", "").replace(f"</{tag}>", "")
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
