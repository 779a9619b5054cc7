"""The world of one bot: its chats, the updates it has not confirmed, files. Kept in one JSON file of the state folder.

Only private chats exist: a chat's id is its person's, as in Telegram.
"""

import base64
import time
from pathlib import Path
from typing import Any

import msgspec

MOST_MESSAGES = 400
"""Per chat; older ones are forgotten."""
MOST_FILES = 60


class Person(msgspec.Struct, kw_only=True):
    """Who types."""

    id: int
    first_name: str = "Newcomer"
    username: str = ""

    def json(self) -> dict[str, Any]:
        said: dict[str, Any] = {"id": self.id, "is_bot": False, "first_name": self.first_name}
        return said | ({"username": self.username} if self.username else {})


class Message(msgspec.Struct, kw_only=True):
    """One message of a chat, in either direction. `text` is as sent, with its markup; `plain` as read."""

    message_id: int
    chat_id: int
    date: int
    from_bot: bool
    text: str = ""
    plain: str = ""
    buttons: list[list[dict[str, Any]]] = msgspec.field(default_factory=list)
    kind: str = "text"
    """text, photo or document."""
    file_id: str = ""
    file_name: str = ""
    edited: int = 0
    silent: bool = False


class File(msgspec.Struct, kw_only=True):
    """What a photo or document holds."""

    name: str
    content_type: str
    body: str
    """Base64: the state is JSON."""

    def bytes(self) -> bytes:
        return base64.b64decode(self.body)


class World(msgspec.Struct, kw_only=True):
    """All that is kept."""

    next_update: int
    next_message: int = 1
    people: dict[int, Person] = msgspec.field(default_factory=dict)
    messages: dict[int, list[Message]] = msgspec.field(default_factory=dict)
    updates: list[dict[str, Any]] = msgspec.field(default_factory=list)
    files: dict[str, File] = msgspec.field(default_factory=dict)
    commands: list[dict[str, str]] = msgspec.field(default_factory=list)
    webhook: str = ""
    webhook_secret: str = ""

    def person(self, user_id: int, first_name: str = "", username: str = "") -> Person:
        """The person; made when first met."""
        known = self.people.setdefault(user_id, Person(id=user_id))
        known.first_name = first_name or known.first_name
        known.username = username or known.username
        return known

    def add_message(self, chat_id: int, **fields: Any) -> Message:
        """A new message at the end of a chat."""
        message = Message(message_id=self.next_message, chat_id=chat_id, date=int(time.time()), **fields)
        self.next_message += 1
        chat = self.messages.setdefault(chat_id, [])
        chat.append(message)
        del chat[:-MOST_MESSAGES]
        return message

    def find(self, chat_id: int, message_id: int) -> Message | None:
        return next((m for m in self.messages.get(chat_id, []) if m.message_id == message_id), None)

    def add_update(self, kind: str, value: dict[str, Any]) -> dict[str, Any]:
        """An update to be fetched. Ids only grow, over restarts and lost state folders too."""
        update = {"update_id": self.next_update, kind: value}
        self.next_update += 1
        self.updates.append(update)
        return update

    def add_file(self, name: str, content_type: str, body: bytes) -> str:
        file_id = f"file-{self.next_message}"
        self.files[file_id] = File(name=name, content_type=content_type, body=base64.b64encode(body).decode())
        for old in list(self.files)[:-MOST_FILES]:
            del self.files[old]
        return file_id


def load_world(state_dir: Path) -> World:
    """The kept world, or a new one whose update ids lie above every earlier world's."""
    try:
        return msgspec.json.decode((state_dir / "telegram.json").read_bytes(), type=World)
    except FileNotFoundError:
        return World(next_update=time.time_ns() // 1_000_000)


def store_world(state_dir: Path, world: World) -> None:
    """Replace the file whole."""
    state_dir.mkdir(parents=True, exist_ok=True)
    new = state_dir / "telegram.json.new"
    new.write_bytes(msgspec.json.encode(world))
    new.replace(state_dir / "telegram.json")


def message_json(message: Message, world: World, bot: dict[str, Any]) -> dict[str, Any]:
    """The Bot API's Message."""
    person = world.person(message.chat_id)
    said: dict[str, Any] = {
        "message_id": message.message_id,
        "date": message.date,
        "chat": {"id": message.chat_id, "type": "private", "first_name": person.first_name},
        "from": bot if message.from_bot else person.json(),
    }
    if message.edited:
        said["edit_date"] = message.edited
    if message.buttons:
        said["reply_markup"] = {"inline_keyboard": message.buttons}
    if message.kind == "text":
        return said | {"text": message.plain}
    file = {"file_id": message.file_id, "file_unique_id": message.file_id}
    if message.kind == "photo":
        return said | {"caption": message.plain, "photo": [file | {"width": 800, "height": 420}]}
    return said | {"caption": message.plain, "document": file | {"file_name": message.file_name}}
