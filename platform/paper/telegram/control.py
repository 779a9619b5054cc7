"""The control plane `/paper/*`: type as a person, press buttons, read the chat, switch faults. Loopback only."""

from typing import Any, TypeVar
from uuid import uuid4

import msgspec
from aiohttp import web

from paper.telegram.chats import message_json
from paper.telegram.errors import BotApiError, respond
from paper.telegram.methods import bot_json
from paper.telegram.server import SERVER, Faults

T = TypeVar("T")
_BOT = bot_json("1:paper")


class Said(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A person types. In a chat of several with `group_id`; the same update `copies` times."""

    user_id: int
    text: str
    first_name: str = ""
    username: str = ""
    group_id: int = 0
    copies: int = 1


class Pressed(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A person presses a button of a message: by its callback data, which may also be made up."""

    user_id: int
    message_id: int
    data: str
    copies: int = 1


class Asked(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A person types `@bot query` into any chat."""

    user_id: int
    query: str


async def _read(request: web.Request, kind: type[T]) -> T:
    return msgspec.json.decode(await request.read(), type=kind)


async def get_health(request: web.Request) -> web.Response:
    server = request.app[SERVER]
    return respond({"ok": True, "updates": len(server.world.updates), "calls": dict(server.counts)})


async def say(request: web.Request) -> web.Response:
    server, said = request.app[SERVER], await _read(request, Said)
    world = server.world
    world.person(said.user_id, said.first_name, said.username)
    message = world.add_message(said.user_id, from_bot=False, text=said.text, plain=said.text)
    body = message_json(message, world, _BOT)
    if said.text.startswith("/"):
        body["entities"] = [{"type": "bot_command", "offset": 0, "length": len(said.text.split()[0])}]
    if said.group_id:
        body["chat"] = {"id": said.group_id, "type": "group", "title": "a group"}
    update = world.add_update("message", body)
    server.deliver(update, said.copies)
    return respond({"update_id": update["update_id"], "message_id": message.message_id})


async def press(request: web.Request) -> web.Response:
    server, pressed = request.app[SERVER], await _read(request, Pressed)
    world = server.world
    message = next(
        (m for chat in world.messages.values() for m in chat if m.message_id == pressed.message_id and m.from_bot), None
    )
    if message is None:
        raise BotApiError(404, "no such message of the bot")
    query_id = uuid4().hex
    query = {
        "id": query_id,
        "from": world.person(pressed.user_id).json(),
        "chat_instance": str(message.chat_id),
        "message": message_json(message, world, _BOT),
        "data": pressed.data,
    }
    server.deliver(world.add_update("callback_query", query), pressed.copies)
    return respond({"query_id": query_id})


async def ask_inline(request: web.Request) -> web.Response:
    server, asked = request.app[SERVER], await _read(request, Asked)
    query_id = uuid4().hex
    query = {"id": query_id, "from": server.world.person(asked.user_id).json(), "query": asked.query, "offset": ""}
    server.deliver(server.world.add_update("inline_query", query))
    return respond({"query_id": query_id})


async def get_answer(request: web.Request) -> web.Response:
    """What the bot answered to a press or an inline query; null while it has not."""
    server, query_id = request.app[SERVER], request.match_info["id"]
    found: Any = server.callback_answers.get(query_id)
    return respond({"answer": found if found is not None else server.inline_answers.get(query_id)})


async def get_chat(request: web.Request) -> web.Response:
    world = request.app[SERVER].world
    messages = world.messages.get(int(request.match_info["id"]), [])
    return respond({"messages": messages, "commands": world.commands})


async def get_file(request: web.Request) -> web.Response:
    file = request.app[SERVER].world.files.get(request.match_info["id"])
    if file is None:
        raise BotApiError(404, "no such file")
    return web.Response(body=file.bytes(), content_type=file.content_type)


async def set_faults(request: web.Request) -> web.Response:
    server = request.app[SERVER]
    server.faults = await _read(request, Faults)
    server.news.set()
    return respond(server.faults)
