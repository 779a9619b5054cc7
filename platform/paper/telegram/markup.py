"""What Telegram checks in a message before it takes it: the HTML of `parse_mode`, the sizes, the buttons.

The rules are the Bot API's (core.telegram.org/bots/api#html-style, #sendmessage, #inlinekeyboardbutton).
"""

from html.parser import HTMLParser
from typing import Any

import msgspec

from paper.telegram.errors import BotApiError

TAGS = frozenset({"b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "code", "pre", "a", "blockquote"})
MOST_TEXT = 4096
MOST_CAPTION = 1024
MOST_CALLBACK_BYTES = 64
MOST_BUTTONS = 100


class _Checker(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.plain: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS:
            raise BotApiError(400, f'Bad Request: can\'t parse entities: Unsupported start tag "{tag}"')
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            raise BotApiError(400, f'Bad Request: can\'t parse entities: Unexpected end tag "{tag}"')

    def handle_data(self, data: str) -> None:
        self.plain.append(data)


def plain_text(text: str, parse_mode: str, most: int) -> str:
    """The text as a reader sees it; raises BotApiError for what Telegram refuses."""
    if parse_mode.upper() == "HTML":
        checker = _Checker()
        checker.feed(text)
        checker.close()
        if checker.open:
            raise BotApiError(400, "Bad Request: can't parse entities: Can't find end tag")
        plain = "".join(checker.plain)
    elif parse_mode:
        raise BotApiError(400, "Bad Request: unsupported parse_mode")
    else:
        plain = text
    if len(plain) > most:
        raise BotApiError(400, "Bad Request: message is too long")
    return plain


def check_keyboard(markup: str) -> list[list[dict[str, Any]]]:
    """The rows of buttons of an inline keyboard."""
    if not markup:
        return []
    try:
        rows: list[list[dict[str, Any]]] = msgspec.json.decode(markup, type=dict[str, Any]).get("inline_keyboard", [])
    except msgspec.DecodeError:
        raise BotApiError(400, "Bad Request: can't parse reply keyboard markup JSON object") from None
    if sum(map(len, rows)) > MOST_BUTTONS:
        raise BotApiError(400, "Bad Request: reply markup is too long")
    for button in (button for row in rows for button in row):
        if not button.get("text"):
            raise BotApiError(400, "Bad Request: inline keyboard button text is empty")
        data = button.get("callback_data")
        if data is not None and not 1 <= len(data.encode()) <= MOST_CALLBACK_BYTES:
            raise BotApiError(400, "Bad Request: BUTTON_DATA_INVALID")
    return rows
