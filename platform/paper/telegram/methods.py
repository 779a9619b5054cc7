"""The Bot API's methods that the bot uses, each a function from the call's fields to its result."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from paper.telegram.chats import Message, message_json
from paper.telegram.errors import BotApiError, respond
from paper.telegram.markup import MOST_CAPTION, MOST_TEXT, check_keyboard, plain_text
from paper.telegram.server import SERVER, Server

BOT_NAME = "hedgerow_paper_bot"
HOLD_S = 3600
_COMMAND = re.compile(r"^[a-z0-9_]{1,32}$")
Fields = Mapping[str, Any]


async def answer(request: web.Request) -> web.StreamResponse:
    """`/bot<token>/<method>`: anything but a token of the right form is nobody's."""
    token, method = request.match_info["token"], request.match_info["method"]
    server = request.app[SERVER]
    if not re.fullmatch(r"\d+:[\w-]{10,}", token):
        raise BotApiError(401, "Unauthorized")
    fields: Fields = await request.post() if request.method == "POST" else request.query
    server.counts[method] += 1
    if server.faults.down:
        server.counts[f"{method}:down"] += 1
        raise BotApiError(502, "Bad Gateway")
    work = METHODS.get(method.lower())
    if work is None:
        raise BotApiError(404, "Not Found: method not found")
    result = await work(server, fields, bot_json(token))
    if method.lower() in SENDING and server.faults.drop_answers > 0:
        server.faults.drop_answers -= 1
        if request.transport is not None:
            request.transport.abort()
    if method.lower() in SENDING and server.faults.hold_answers > 0:
        server.faults.hold_answers -= 1
        server.counts["held"] += 1
        await asyncio.sleep(HOLD_S)
    return respond({"ok": True, "result": result})


def bot_json(token: str) -> dict[str, Any]:
    return {"id": int(token.split(":")[0]), "is_bot": True, "first_name": "Hedgerow paper", "username": BOT_NAME}


async def get_me(server: Server, fields: Fields, bot: dict[str, Any]) -> Any:
    return bot | {
        "can_join_groups": False,
        "can_read_all_group_messages": False,
        "supports_inline_queries": True,
    }


async def get_updates(server: Server, fields: Fields, bot: dict[str, Any]) -> Any:
    """Long polling: what lies at or above `offset`, or nothing after `timeout` seconds."""
    world = server.world
    if world.webhook:
        raise BotApiError(409, "Conflict: can't use getUpdates method while webhook is active")
    if server.poller is not None and not server.poller.done():
        server.poller.set_result(None)
    mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    server.poller = mine
    offset, deadline = int(fields.get("offset") or 0), time.monotonic() + int(fields.get("timeout") or 0)
    again: list[dict[str, Any]] = []
    if offset > 0:
        confirmed = [update for update in world.updates if update["update_id"] < offset]
        again = confirmed if server.faults.duplicate else []
        world.updates = [update for update in world.updates if update["update_id"] >= offset]
    limit = int(fields.get("limit") or 100)
    while True:
        if mine.done():
            server.counts["conflicts"] += 1
            raise BotApiError(409, "Conflict: terminated by other getUpdates request")
        found = [*again, *world.updates][:limit]
        if found or time.monotonic() >= deadline:
            return found
        server.news.clear()
        await server.wait_news(min(0.25, max(0.0, deadline - time.monotonic())))


async def send_message(server: Server, fields: Fields, bot: dict[str, Any]) -> Any:
    chat_id = _chat(server, fields)
    text = str(fields.get("text") or "")
    plain = plain_text(text, str(fields.get("parse_mode") or ""), MOST_TEXT)
    if not plain.strip():
        raise BotApiError(400, "Bad Request: message text is empty")
    buttons = check_keyboard(str(fields.get("reply_markup") or ""))
    server.check_flood(chat_id)
    message = server.world.add_message(
        chat_id, from_bot=True, text=text, plain=plain, buttons=buttons, silent=_flag(fields, "disable_notification")
    )
    return _sent(server, message, bot)


async def send_photo(server: Server, fields: Fields, bot: dict[str, Any]) -> Any:
    return _send_file(server, fields, bot, "photo")


async def send_document(server: Server, fields: Fields, bot: dict[str, Any]) -> Any:
    return _send_file(server, fields, bot, "document")


def _send_file(server: Server, fields: Fields, bot: dict[str, Any], kind: str) -> Any:
    chat_id = _chat(server, fields)
    caption = str(fields.get("caption") or "")
    plain = plain_text(caption, str(fields.get("parse_mode") or ""), MOST_CAPTION)
    buttons = check_keyboard(str(fields.get("reply_markup") or ""))
    given = str(fields.get(kind) or "")
    upload = fields.get(given.removeprefix("attach://"))
    if not given.startswith("attach://") or not isinstance(upload, web.FileField):
        raise BotApiError(400, f"Bad Request: there is no {kind} in the request")
    server.check_flood(chat_id)
    body = upload.file.read()
    if kind == "photo" and not body.startswith((b"\x89PNG", b"\xff\xd8\xff")):
        raise BotApiError(400, "Bad Request: IMAGE_PROCESS_FAILED")
    content_type = "image/png" if kind == "photo" else "text/plain"
    file_id = server.world.add_file(upload.filename, content_type, body)
    message = server.world.add_message(
        chat_id,
        from_bot=True,
        text=caption,
        plain=plain,
        buttons=buttons,
        kind=kind,
        file_id=file_id,
        file_name=upload.filename,
    )
    return _sent(server, message, bot)


async def edit_text(server: Server, fields: Fields, bot: dict[str, Any]) -> Any:
    message = _own(server, fields)
    text = str(fields.get("text") or "")
    plain = plain_text(text, str(fields.get("parse_mode") or ""), MOST_TEXT)
    buttons = check_keyboard(str(fields.get("reply_markup") or ""))
    if message.kind != "text":
        raise BotApiError(400, "Bad Request: there is no text in the message to edit")
    if (message.text, message.buttons) == (text, buttons):
        raise BotApiError(400, "Bad Request: message is not modified")
    message.text, message.plain, message.buttons, message.edited = text, plain, buttons, int(time.time())
    return _sent(server, message, bot)


async def edit_markup(server: Server, fields: Fields, bot: dict[str, Any]) -> Any:
    message = _own(server, fields)
    buttons = check_keyboard(str(fields.get("reply_markup") or ""))
    if message.buttons == buttons:
        raise BotApiError(400, "Bad Request: message is not modified")
    message.buttons, message.edited = buttons, int(time.time())
    return _sent(server, message, bot)


async def delete_message(server: Server, fields: Fields, bot: dict[str, Any]) -> Any:
    chat_id, message_id = int(fields.get("chat_id") or 0), int(fields.get("message_id") or 0)
    message = server.world.find(chat_id, message_id)
    if message is None:
        raise BotApiError(400, "Bad Request: message to delete not found")
    server.world.messages[chat_id].remove(message)
    server.changed()
    return True


async def answer_callback(server: Server, fields: Fields, bot: dict[str, Any]) -> Any:
    text = str(fields.get("text") or "")
    if len(text) > 200:
        raise BotApiError(400, "Bad Request: MESSAGE_TOO_LONG")
    query_id = str(fields.get("callback_query_id") or "")
    server.callback_answers[query_id] = {"text": text, "show_alert": _flag(fields, "show_alert")}
    server.changed()
    return True


async def answer_inline(server: Server, fields: Fields, bot: dict[str, Any]) -> Any:
    results = msgspec.json.decode(str(fields.get("results") or "[]"), type=list[dict[str, Any]])
    if len(results) > 50:
        raise BotApiError(400, "Bad Request: RESULTS_TOO_MUCH")
    server.inline_answers[str(fields.get("inline_query_id") or "")] = results
    server.changed()
    return True


async def set_commands(server: Server, fields: Fields, bot: dict[str, Any]) -> Any:
    commands = msgspec.json.decode(str(fields.get("commands") or "[]"), type=list[dict[str, str]])
    if len(commands) > 100 or not all(_COMMAND.match(c["command"]) and c["description"] for c in commands):
        raise BotApiError(400, "Bad Request: BOT_COMMAND_INVALID")
    server.world.commands = commands
    server.changed()
    return True


async def set_webhook(server: Server, fields: Fields, bot: dict[str, Any]) -> Any:
    server.world.webhook = str(fields.get("url") or "")
    server.world.webhook_secret = str(fields.get("secret_token") or "")
    for update in list(server.world.updates) if server.world.webhook else []:
        server.deliver(update)
    server.changed()
    return True


async def webhook_info(server: Server, fields: Fields, bot: dict[str, Any]) -> Any:
    world = server.world
    return {"url": world.webhook, "has_custom_certificate": False, "pending_update_count": len(world.updates)}


async def accept(server: Server, fields: Fields, bot: dict[str, Any]) -> Any:
    """What changes nothing here: chat actions and the like."""
    return True


Method = Callable[[Server, Fields, dict[str, Any]], Awaitable[Any]]
METHODS: dict[str, Method] = {
    "getme": get_me,
    "getupdates": get_updates,
    "sendmessage": send_message,
    "sendphoto": send_photo,
    "senddocument": send_document,
    "editmessagetext": edit_text,
    "editmessagereplymarkup": edit_markup,
    "deletemessage": delete_message,
    "answercallbackquery": answer_callback,
    "answerinlinequery": answer_inline,
    "setmycommands": set_commands,
    "setwebhook": set_webhook,
    "deletewebhook": set_webhook,
    "getwebhookinfo": webhook_info,
    "sendchataction": accept,
}
SENDING = frozenset({"sendmessage", "sendphoto", "senddocument"})


def _chat(server: Server, fields: Fields) -> int:
    chat_id = int(fields.get("chat_id") or 0)
    if chat_id in server.faults.blocked:
        raise BotApiError(403, "Forbidden: bot was blocked by the user")
    if chat_id not in server.world.people:
        raise BotApiError(400, "Bad Request: chat not found")
    return chat_id


def _own(server: Server, fields: Fields) -> Message:
    chat_id = _chat(server, fields)
    message = server.world.find(chat_id, int(fields.get("message_id") or 0))
    if message is None or not message.from_bot:
        raise BotApiError(400, "Bad Request: message to edit not found")
    return message


def _sent(server: Server, message: Message, bot: dict[str, Any]) -> Any:
    server.changed()
    return message_json(message, server.world, bot)


def _flag(fields: Fields, name: str) -> bool:
    return str(fields.get(name) or "").lower() in ("true", "1")
