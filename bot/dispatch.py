"""From an update to an answer: who speaks, whether they may, what they asked. Everybody else gets nothing.

1. Only private chats, only linked, unblocked, active people with a role. `/start <code>` alone is heard from others.
2. A command or button outside the registry, or above the person's role, is refused and audited.
3. Too many at once are refused; the stop never is.
4. An answer that Telegram does not take now goes to the outbox and comes later.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog
from aiogram import Dispatcher, Router
from aiogram.exceptions import ClientDecodeError, TelegramAPIError
from aiogram.types import (
    CallbackQuery,
    InlineQuery,
    InlineQueryResultArticle,
    InputTextMessageContent,
    Message,
)
from aiogram.types import User as TelegramUser
from django.utils import timezone

from bot.access import Speaker, Throttle, load_speaker
from bot.callbacks import Press, press
from bot.commands.catalogue import find_hits
from bot.commands.registry import ACTIONS, COMMANDS, Command, Request
from bot.commands.starting import start
from bot.courier import Courier, NotSent, Refused, Uncertain
from bot.hands import Hands, Lane
from bot.linking import redeem_code
from bot.models import TelegramChat
from bot.outbox import record_reply
from bot.replies import NEW, Reply
from identity.audit import record_audit
from identity.models import AuditEntry
from identity.roles import Role
from trading.redaction import scrub

BOT = AuditEntry.Source.BOT.value
TOASTS = {
    Press.FORGED: "This button is not for you.",
    Press.EXPIRED: "This button has expired: ask again.",
    Press.USED: "This was answered already.",
}
FAILED = Reply("That failed, and the log says why. Nothing more is known; look before you ask again.")

log = structlog.get_logger()


class Conversation:
    """Answers updates. One for the process that leads."""

    def __init__(self, courier: Courier, hands: Hands) -> None:
        self._courier = courier
        self._hands = hands
        self._pace = Throttle(most=30, seconds=20)
        self._guesses = Throttle(most=5, seconds=600)
        self._strangers = Throttle(most=3, seconds=30)

    def dispatcher(self) -> Dispatcher:
        """aiogram's dispatcher with our three kinds of updates."""
        router = Router()
        router.message.register(self.on_message)
        router.callback_query.register(self.on_press)
        router.inline_query.register(self.on_inline)
        dispatcher = Dispatcher()
        dispatcher.include_router(router)
        return dispatcher

    async def on_message(self, message: Message) -> None:
        """A typed command."""
        person = message.from_user
        if person is None or message.chat.type != "private" or message.chat.id != person.id or not message.text:
            return
        text = scrub(message.text)  # what a person pastes by mistake is kept nowhere
        name, words = parse_command(text)
        if name == "start" and words:
            await self._link(person, words[0], f"{message.message_id}")
            return
        entry = COMMANDS.get(name)
        speaker = await self._speaker(person.id)
        if speaker is None:
            return
        key = f"reply:{message.message_id}"
        if entry is None:
            await self._answer(speaker, Reply("/help lists what you may say."), key)
            return
        request = Request(speaker, timezone.now(), tuple(words))
        reply = await self._do(entry, request, {"text": text[:300]})
        await self._answer(speaker, reply, key)

    async def on_press(self, query: CallbackQuery) -> None:
        """A pressed button. It answers by replacing the message it stands under, or below it."""
        found = await self._hands.do(Lane.FRONT, press, query.data or "", query.from_user.id, timezone.now())
        entry = None if isinstance(found, Press) else ACTIONS.get(found[0])
        speaker = await self._speaker(query.from_user.id)
        if speaker is None:
            return
        if isinstance(found, Press) or entry is None:
            await self._toast(query, TOASTS[found] if isinstance(found, Press) else "This button means nothing now.")
            return
        toast = asyncio.create_task(self._toast(query, ""))  # what was asked for does not wait for Telegram
        try:
            await self._carry_press(query, speaker, entry, found)
        finally:
            await toast

    async def _carry_press(
        self, query: CallbackQuery, speaker: Speaker, entry: Command, found: tuple[str, Mapping[str, Any]]
    ) -> None:
        arguments = dict(found[1])
        is_new = bool(arguments.pop(NEW, 0)) or not isinstance(query.message, Message) or query.message.text is None
        request = Request(speaker, timezone.now(), arguments=arguments)
        told = {"action": found[0], "arguments": arguments} if entry.role is not Role.VIEWER else None
        reply = (await self._do(entry, request, told)).shortened()
        if is_new or reply.picture or reply.document or query.message is None:
            await self._answer(speaker, reply, f"press:{query.id}")
            return
        try:
            await self._courier.edit(query.from_user.id, query.message.message_id, reply)
        except (NotSent, Uncertain):
            await self._answer(speaker, reply, f"press:{query.id}")

    async def on_inline(self, query: InlineQuery) -> None:
        """`@bot words` in any chat: accounts, strategies and markets, for linked people only."""
        if not self._pace.allows(query.from_user.id):
            return
        speaker = await self._speaker(query.from_user.id)
        if speaker is None:
            return
        results = [
            InlineQueryResultArticle(
                id=hit.key,
                title=scrub(hit.title),
                description=scrub(hit.about),
                input_message_content=InputTextMessageContent(message_text=scrub(hit.says), parse_mode=None),
            )
            for hit in await self._hands.do(Lane.USUAL, find_hits, query.query[:100], speaker)
        ]
        try:
            await self._courier.bot.answer_inline_query(query.id, list(results), cache_time=0, is_personal=True)
        except (TelegramAPIError, ClientDecodeError) as error:
            log.info("bot_inline_unanswered", error=type(error).__name__)

    async def _speaker(self, telegram_id: int) -> Speaker | None:
        if not self._strangers.is_open(telegram_id):
            return None
        speaker = await self._hands.do(Lane.FRONT, load_speaker, telegram_id)
        if speaker is None:
            self._strangers.allows(telegram_id)
            log.info("bot_stranger_ignored", telegram_id=telegram_id)
        return speaker

    async def _link(self, person: TelegramUser, code: str, key: str) -> None:
        """Redeem a code. A wrong one gets no answer: strangers learn nothing here."""
        if not self._guesses.allows(person.id):
            log.warning("bot_code_guessing", telegram_id=person.id)
            return
        name = person.username or person.first_name
        chat: TelegramChat | None = await self._hands.do(Lane.FRONT, redeem_code, code, person.id, name, timezone.now())
        if chat is None:
            log.info("bot_code_refused", telegram_id=person.id)
            return
        self._strangers.forget(person.id)
        self._guesses.forget(person.id)
        speaker = await self._hands.do(Lane.FRONT, load_speaker, person.id)
        if speaker is not None:
            reply = await self._hands.do(Lane.USUAL, start, Request(speaker, timezone.now()))
            await self._answer(speaker, reply, f"reply:{key}")

    async def _do(self, entry: Command, request: Request, told: Mapping[str, Any] | None) -> Reply:
        if not entry.is_urgent and not self._pace.allows(request.speaker.chat.telegram_id):
            return Reply("Too many at once: wait a few seconds.")
        try:
            return await self._hands.do(entry.lane, carry_out, entry, request, told)
        except Exception as error:
            log.exception("bot_command_failed", command=entry.name, error=type(error).__name__)
            return FAILED

    async def _answer(self, speaker: Speaker, reply: Reply, key: str) -> None:
        try:
            await self._courier.send(speaker.chat.telegram_id, reply)
        except Refused as refused:
            log.error("bot_answer_refused", reason=str(refused))
        except (NotSent, Uncertain) as error:
            log.info("bot_answer_waits", reason=type(error).__name__)
            await self._hands.do(Lane.OUT, record_reply, speaker.chat, key, reply.shortened(), timezone.now())

    async def _toast(self, query: CallbackQuery, text: str) -> None:
        """Best effort: it only ends the button's little clock."""
        try:
            await self._courier.bot.answer_callback_query(query.id, text=text or None, show_alert=bool(text))
        except (TelegramAPIError, ClientDecodeError) as error:
            log.info("bot_press_unanswered", error=type(error).__name__)


def carry_out(entry: Command, request: Request, told: Mapping[str, Any] | None) -> Reply:
    """Check the role, note what was asked, do it. Runs in a thread."""
    user, chat = request.speaker.user, request.speaker.chat
    if not request.speaker.may(entry.role):
        record_audit("telegram.denied", user=user, subject=chat, after=told or {"action": entry.name}, source=BOT)
        return Reply(f"This needs the role {entry.role.value}.", is_urgent=entry.is_urgent)
    if request.speaker.caller.is_scoped and not entry.keeps_scope:
        record_audit("telegram.denied", user=user, subject=chat, after=told or {"action": entry.name}, source=BOT)
        return Reply("This tells of every account, and you may see only some: ask an admin.", is_urgent=entry.is_urgent)
    if told is not None:
        record_audit("telegram.asked", user=user, subject=chat, after=told, source=BOT)
    return entry.handler(request)


def parse_command(text: str) -> tuple[str, list[str]]:
    """("trade", its words) of `/trade@the_bot …`; an empty name for anything else."""
    words = text.split()
    if not words or not words[0].startswith("/"):
        return "", words
    return words[0][1:].partition("@")[0].lower(), words[1:]
