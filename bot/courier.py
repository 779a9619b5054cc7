"""Sending to Telegram within its limits: about one message a second in a chat and thirty in all; 429 is obeyed.

A refusal is sorted into what it means for the message: try later, never, the person has gone, or nobody knows.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import structlog
from aiogram import Bot
from aiogram.client.default import DefaultBotProperties
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.enums import ParseMode
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramAPIError,
    TelegramForbiddenError,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
)
from aiogram.types import BufferedInputFile, InlineKeyboardMarkup
from aiohttp import ClientConnectorError
from django.utils import timezone

from bot.callbacks import mint
from bot.hands import Hands, Lane
from bot.replies import Reply

CHAT_SPACING_S = 1.05
SPACING_S = 0.04
BURST = 3
TIMEOUT_S = 20

log = structlog.get_logger()


class NotSent(Exception):
    """The message did not leave."""


class TryLater(NotSent):
    """Telegram is away, or told us to wait."""

    def __init__(self, seconds: float, *, is_flood: bool = False) -> None:
        super().__init__(f"try again in {seconds} s")
        self.seconds = seconds
        self.is_flood = is_flood


class Gone(NotSent):
    """The person blocked the bot or deleted the account."""


class Refused(NotSent):
    """Telegram will never take this message."""


class Uncertain(Exception):
    """No answer came: it may have arrived or not."""


def connect_bot(token: str, api_url: str) -> Bot:
    """aiogram's client. `api_url` is Telegram's own address or the one of a local Bot API server."""
    session = AiohttpSession(api=TelegramAPIServer.from_base(api_url), timeout=TIMEOUT_S)
    properties = DefaultBotProperties(parse_mode=ParseMode.HTML, link_preview_is_disabled=True)
    return Bot(token=token, session=session, default=properties)


class Courier:
    """Hands messages to Telegram, in turn for each chat.

    A chat takes BURST messages at once and then one every `spacing_s`; Telegram allows short bursts over its limit.
    """

    def __init__(self, bot: Bot, hands: Hands, spacing_s: float = CHAT_SPACING_S) -> None:
        self.bot = bot
        self._hands = hands
        self._spacing_s = spacing_s
        self._used_until: dict[int, float] = {}
        self._closed_until: dict[int, float] = {}
        self._next_at = 0.0
        self._locks: dict[int, asyncio.Lock] = {}

    def resting(self) -> list[int]:
        """Chats that may not be written to at this moment."""
        now = time.monotonic()
        self._closed_until = {chat: at for chat, at in self._closed_until.items() if at > now}
        self._used_until = {chat: at for chat, at in self._used_until.items() if at > now}
        full = now + (BURST - 1) * self._spacing_s
        return [*self._closed_until, *(chat for chat, at in self._used_until.items() if at > full)]

    async def send(self, telegram_id: int, reply: Reply, *, silent: bool = False) -> int:
        """Send and give the message's id. Raises NotSent (TryLater, Gone, Refused) or Uncertain.

        An urgent reply waits for no turn; only Telegram's own 429 can hold it.
        """
        reply = reply.shortened()
        reply = reply.cleared() if reply.document is None else await asyncio.to_thread(reply.cleared)
        keyboard = await self._mint(telegram_id, reply)
        lock = self._locks.setdefault(telegram_id, asyncio.Lock())
        if reply.is_urgent:
            return await self._send(telegram_id, reply, keyboard, silent)
        async with lock:
            await self._take_turn(telegram_id)
            return await self._send(telegram_id, reply, keyboard, silent)

    async def edit(self, telegram_id: int, message_id: int, reply: Reply) -> None:
        """Replace a message's text and buttons. Raises as `send` does; an unchanged message is no error."""
        reply = reply.cleared()
        keyboard = await self._mint(telegram_id, reply)
        try:
            await self.bot.edit_message_text(
                text=reply.text, chat_id=telegram_id, message_id=message_id, reply_markup=_markup(keyboard)
            )
        except TelegramAPIError as error:
            if "message is not modified" not in str(error):
                raise self._sorted(error, telegram_id) from None

    async def _mint(self, telegram_id: int, reply: Reply) -> Sequence[Any]:
        if not reply.buttons:
            return []
        return await self._hands.do(Lane.FRONT, mint, reply.buttons, telegram_id, timezone.now())

    async def _take_turn(self, telegram_id: int) -> None:
        now = time.monotonic()
        used = max(now, self._used_until.get(telegram_id, now))
        at = max(now, used - (BURST - 1) * self._spacing_s, self._next_at, self._closed_until.get(telegram_id, now))
        self._used_until[telegram_id] = used + self._spacing_s
        self._next_at = max(now, self._next_at) + SPACING_S
        if at > now:
            await asyncio.sleep(at - now)

    async def _send(self, telegram_id: int, reply: Reply, keyboard: Sequence[Any], silent: bool) -> int:
        markup = _markup(keyboard)
        try:
            if reply.picture is not None:
                picture = BufferedInputFile(reply.picture, "result.png")
                sent = await self.bot.send_photo(
                    telegram_id, picture, caption=reply.text, reply_markup=markup, disable_notification=silent
                )
            elif reply.document is not None:
                document = BufferedInputFile(reply.document, reply.document_name or "hedgerow.txt")
                sent = await self.bot.send_document(
                    telegram_id, document, caption=reply.text, reply_markup=markup, disable_notification=silent
                )
            else:
                sent = await self.bot.send_message(
                    telegram_id, reply.text, reply_markup=markup, disable_notification=silent
                )
        except (TelegramAPIError, ClientDecodeError) as error:
            raise self._sorted(error, telegram_id) from None
        return sent.message_id

    def _sorted(self, error: Exception, telegram_id: int) -> Exception:
        """What the error means. Its own text is not kept: a request's address holds the token."""
        if isinstance(error, TelegramRetryAfter):
            self._closed_until[telegram_id] = time.monotonic() + error.retry_after
            log.warning("telegram_flood", retry_after=error.retry_after)
            return TryLater(error.retry_after, is_flood=True)
        if isinstance(error, TelegramForbiddenError):
            return Gone("the person blocked the bot")
        if isinstance(error, TelegramServerError):
            return TryLater(2.0)
        if isinstance(error, TelegramNetworkError):
            return TryLater(2.0) if isinstance(error.__cause__, ClientConnectorError) else Uncertain("no answer")
        if isinstance(error, ClientDecodeError):
            return TryLater(2.0)
        return Refused(getattr(error, "message", type(error).__name__)[:200])


def _markup(keyboard: Sequence[Any]) -> InlineKeyboardMarkup | None:
    return InlineKeyboardMarkup(inline_keyboard=list(keyboard)) if keyboard else None
