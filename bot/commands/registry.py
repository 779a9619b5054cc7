"""The one table of what the bot understands. What is not in it, or not for this person's role, is refused.

A command is typed; an action is a button's. Both are plain functions from a Request to a Reply, run in a thread.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bot.access import Speaker
from bot.hands import Lane
from bot.replies import Button, Reply, esc
from identity.roles import Role

CONFIRM_LIFE = timedelta(seconds=60)
"""How long a question about something dangerous stands."""


@dataclass(frozen=True)
class Request:
    """What somebody asked. `words` were typed after the command; `arguments` are the pressed button's."""

    speaker: Speaker
    now: datetime
    words: tuple[str, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rest(self) -> str:
        return " ".join(self.words)

    @property
    def page(self) -> int:
        """The page asked for by a button; 0 for a typed command."""
        return max(0, int(self.arguments.get("page", 0)))


Handler = Callable[[Request], Reply]


@dataclass(frozen=True)
class Command:
    """One entry."""

    name: str
    role: Role
    handler: Handler
    about: str = ""
    usage: str = ""
    topic: str = ""
    lane: Lane = Lane.USUAL
    keeps_scope: bool = False
    """It shows and changes only accounts its speaker may see. Everything else is refused to who sees only some."""

    @property
    def is_urgent(self) -> bool:
        """Urgent work has threads of its own and is not throttled."""
        return self.lane in (Lane.URGENT, Lane.STOP)


COMMANDS: dict[str, Command] = {}
ACTIONS: dict[str, Command] = {}


def command(
    name: str,
    role: Role,
    about: str,
    *,
    usage: str = "",
    topic: str = "Desk",
    lane: Lane = Lane.USUAL,
    keeps_scope: bool = False,
) -> Callable[[Handler], Handler]:
    """Register a typed command; a button of the same name does the same."""

    def register(handler: Handler) -> Handler:
        COMMANDS[name] = Command(name, role, handler, about, usage or f"/{name}", topic, lane, keeps_scope)
        ACTIONS[name] = COMMANDS[name]
        return handler

    return register


def action(
    name: str, role: Role, *, lane: Lane = Lane.USUAL, keeps_scope: bool = False
) -> Callable[[Handler], Handler]:
    """Register what a button does."""

    def register(handler: Handler) -> Handler:
        ACTIONS[name] = Command(name, role, handler, lane=lane, keeps_scope=keeps_scope)
        return handler

    return register


def ask_twice(
    text: str, label: str, action_name: str, arguments: Mapping[str, Any], *, is_urgent: bool = False
) -> Reply:
    """The first question about something dangerous. Its button asks again; only that answer acts. Each expires."""
    again = {"text": text, "label": label, "action": action_name, "arguments": dict(arguments), "urgent": is_urgent}
    buttons = [[Button(f"{label}…", "ask_again", again, is_once=True, life=CONFIRM_LIFE), Button("No", "dismiss")]]
    return Reply(text, buttons=buttons, is_urgent=is_urgent)


@action("ask_again", Role.VIEWER, lane=Lane.URGENT, keeps_scope=True)
def ask_again(request: Request) -> Reply:
    """The second question. Whether the person may is asked again when the last button is pressed."""
    asked = request.arguments
    button = Button(f"Yes: {asked['label']}", asked["action"], asked["arguments"], is_once=True, life=CONFIRM_LIFE)
    text = f"{asked['text']}\n\n<b>Are you sure?</b> This question ends in {CONFIRM_LIFE.seconds} s."
    return Reply(text, buttons=[[button, Button("No", "dismiss")]], is_urgent=bool(asked["urgent"]))


@action("dismiss", Role.VIEWER, keeps_scope=True)
def dismiss(request: Request) -> Reply:
    """No."""
    return Reply("Nothing was done.")


def refuse_words(request: Request, name: str, why: str) -> Reply:
    """What was typed cannot be understood; how it is typed."""
    return Reply(f"{esc(why)}\nUsage: <code>{esc(COMMANDS[name].usage)}</code>")
