"""The local Bot API server keeps Telegram's own rules, as aiogram's client sees them."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from aiogram import Bot
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramConflictError,
    TelegramForbiddenError,
    TelegramRetryAfter,
    TelegramServerError,
)
from aiogram.types import BotCommand, BufferedInputFile, InlineKeyboardButton, InlineKeyboardMarkup

from bot.courier import connect_bot
from tests.bot.conftest import Person, Telegram


@pytest.fixture
async def client(telegram: Telegram) -> AsyncIterator[Bot]:
    bot = connect_bot("99:obviously-a-fake-token", telegram.url)
    yield bot
    await bot.session.close()


@pytest.fixture
def somebody(person: Callable[[], Person]) -> Person:
    known = person()
    known.say("hello", group_id=-1)
    return known


def keys(data: str) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(inline_keyboard=[[InlineKeyboardButton(text="a", callback_data=data)]])


@pytest.mark.parametrize(
    "text", ["<b>open", "<script>x</script>", "</b>", "<b><i>x</b></i>", "", " ", "x" * 4097, "<b></b>"]
)
async def test_message_telegram_refuses_is_refused(text: str, client: Bot, somebody: Person) -> None:
    with pytest.raises(TelegramBadRequest):
        await client.send_message(somebody.id, text)
    assert somebody.heard() == []


async def test_limits_are_counted_without_markup(client: Bot, somebody: Person) -> None:
    sent = await client.send_message(somebody.id, f"<b>{'x' * 4096}</b>", reply_markup=keys("x" * 64))
    assert sent.text == "x" * 4096
    with pytest.raises(TelegramBadRequest, match="BUTTON_DATA_INVALID"):
        await client.send_message(somebody.id, "x", reply_markup=keys("я" * 33))


async def test_edit_picture_and_delete(client: Bot, somebody: Person) -> None:
    sent = await client.send_message(somebody.id, "one")
    await client.edit_message_text("two", chat_id=somebody.id, message_id=sent.message_id)
    with pytest.raises(TelegramBadRequest, match="not modified"):
        await client.edit_message_text("two", chat_id=somebody.id, message_id=sent.message_id)
    with pytest.raises(TelegramBadRequest, match="IMAGE_PROCESS_FAILED"):
        await client.send_photo(somebody.id, BufferedInputFile(b"no picture", "a.png"))
    assert somebody.texts() == ["two"]
    await client.delete_message(somebody.id, sent.message_id)
    assert somebody.texts() == []


async def test_second_poller_ends_the_first(client: Bot, telegram: Telegram) -> None:
    await client.get_updates(offset=-1, timeout=0)
    first = asyncio.create_task(client.get_updates(offset=2**50, timeout=10))
    await asyncio.sleep(0.3)
    await client.get_updates(offset=2**50, timeout=0)
    with pytest.raises(TelegramConflictError):
        await first


async def test_update_is_handed_out_until_confirmed(client: Bot, telegram: Telegram, somebody: Person) -> None:
    old = await client.get_updates(timeout=0)
    offset = old[-1].update_id + 1 if old else 0
    somebody.say("/status")
    for _ in range(2):
        (update,) = await client.get_updates(offset=offset, timeout=1)
    assert update.message is not None
    assert (update.message.text, update.message.chat.id) == ("/status", somebody.id)
    assert await client.get_updates(offset=update.update_id + 1, timeout=0) == []


async def test_faults_answer_as_telegram_does(client: Bot, telegram: Telegram, somebody: Person) -> None:
    telegram.faults(flood=1, retry_after=7)
    with pytest.raises(TelegramRetryAfter) as flood:
        await client.send_message(somebody.id, "x")
    assert flood.value.retry_after == 7
    telegram.faults(blocked=[somebody.id])
    with pytest.raises(TelegramForbiddenError):
        await client.send_message(somebody.id, "x")
    telegram.faults(down=True)
    with pytest.raises(TelegramServerError):
        await client.get_me()
    telegram.faults()
    assert (await client.get_me()).is_bot
    with pytest.raises(TelegramBadRequest):
        await client.set_my_commands([BotCommand(command="Bad-Name", description="x")])
