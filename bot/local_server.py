"""The Bot API server of our own, as the page of a paper desk uses it: type as a person, press, read the chat.

Only in paper mode and only on loopback. Raises OSError (URLError) when the server does not answer.
"""

import json
import time
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from html.parser import HTMLParser
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from identity.models import User

FIRST_ID = 7_000_000_000
"""A person of the platform is this plus their number, as a Telegram user of the local server."""
TAGS = frozenset({"b", "i", "u", "s", "code", "pre", "blockquote"})
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Line:
    """One message as the page shows it."""

    message_id: int
    from_bot: bool
    html: SafeString
    at: datetime
    buttons: list[list[dict[str, Any]]]
    kind: str
    file_id: str
    file_name: str
    edited: bool


def is_local() -> bool:
    """True when the bot of this desk speaks to a server of our own."""
    host = urlsplit(settings.TELEGRAM_API_URL).hostname or ""
    if settings.LIVE or not settings.TELEGRAM_BOT_TOKEN:
        return False
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def telegram_id(user: User) -> int:
    return FIRST_ID + user.pk


def say(user: User, text: str) -> None:
    """Type as this person."""
    name = user.get_username()
    _call("/paper/say", {"user_id": telegram_id(user), "text": text[:4000], "first_name": name, "username": name})


def press(user: User, message_id: int, data: str) -> None:
    """Press a button of a message of the bot."""
    _call("/paper/press", {"user_id": telegram_id(user), "message_id": message_id, "data": data[:64]})


def search(user: User, words: str, wait_s: float = 2.0) -> list[dict[str, Any]] | None:
    """What the bot answers to `@bot words`; None when it does not answer in time, as to somebody it does not know."""
    query_id = _call("/paper/inline", {"user_id": telegram_id(user), "query": words[:256]})["query_id"]
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        found: list[dict[str, Any]] | None = _call(f"/paper/answer/{query_id}")["answer"]
        if found is not None:
            return found
        time.sleep(0.05)
    return None


def load_chat(user: User, most: int = 60) -> list[Line]:
    """This person's chat with the bot, oldest first."""
    messages = _call(f"/paper/chat/{telegram_id(user)}")["messages"][-most:]
    return [
        Line(
            message_id=said["message_id"],
            from_bot=said["from_bot"],
            html=safe_html(said["text"]) if said["from_bot"] else mark_safe(escape(said["text"])),  # noqa: S308
            at=datetime.fromtimestamp(said["date"], UTC),
            buttons=said["buttons"],
            kind=said["kind"],
            file_id=said["file_id"],
            file_name=said["file_name"],
            edited=bool(said["edited"]),
        )
        for said in messages
    ]


def load_file(user: User, file_id: str) -> tuple[bytes, str] | None:
    """A file of this person's chat and its name; None for anybody else's."""
    line = next((line for line in load_chat(user, 400) if file_id and line.file_id == file_id), None)
    if line is None:
        return None
    with _direct.open(f"{settings.TELEGRAM_API_URL}/paper/file/{file_id}", timeout=5) as answer:
        return answer.read(), line.file_name


class _Cleaner(HTMLParser):
    """Keeps Telegram's own tags without attributes, and escapes everything else."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.out: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in TAGS:
            self.out.append(f"<{tag}>")

    def handle_endtag(self, tag: str) -> None:
        if tag in TAGS:
            self.out.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self.out.append(escape(data))


def safe_html(text: str) -> SafeString:
    """A message's markup as a page may show it."""
    cleaner = _Cleaner()
    cleaner.feed(text)
    cleaner.close()
    return mark_safe("".join(cleaner.out))  # noqa: S308


def _call(path: str, body: dict[str, Any] | None = None) -> Any:
    request = urllib.request.Request(  # noqa: S310
        settings.TELEGRAM_API_URL + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with _direct.open(request, timeout=5) as answer:
        return json.load(answer)
