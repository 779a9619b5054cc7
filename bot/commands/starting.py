"""Greeting and help: what this person may say."""

from django.conf import settings

from bot.commands.registry import COMMANDS, Request, command
from bot.replies import Button, Reply, bold, esc
from identity.roles import Role


def menu() -> list[list[Button]]:
    """The first buttons of every conversation."""
    return [
        [Button("Status", "status"), Button("Exposure", "exposure"), Button("Result", "pnl")],
        [Button("Accounts", "accounts"), Button("Orders", "orders"), Button("Fills", "fills")],
        [Button("Strategies", "strategies"), Button("Alerts", "alerts"), Button("Search…", inline="")],
    ]


@command("start", Role.VIEWER, "greeting and menu", topic="Here", keeps_scope=True)
def start(request: Request) -> Reply:
    """The link itself is made before this is asked; see `dispatch`."""
    user = request.speaker.user
    roles = ", ".join(user.groups.values_list("name", flat=True)) or ("superuser" if user.is_superuser else "none")
    text = (
        f"Hello {bold(user.get_username())}. This is the {bold(settings.MODE.value.upper())} desk.\n"
        f"Your role here is the same as on the web: {esc(roles)}.\n/help lists what you may say."
    )
    return Reply(text, buttons=menu())


@command("help", Role.VIEWER, "what you may say", topic="Here", keeps_scope=True)
def show_help(request: Request) -> Reply:
    """The commands of this person's role, by topic."""
    topics: dict[str, list[str]] = {}
    for entry in COMMANDS.values():
        if request.speaker.may(entry.role) and (entry.keeps_scope or not request.speaker.caller.is_scoped):
            topics.setdefault(entry.topic, []).append(f"<code>{esc(entry.usage)}</code> – {esc(entry.about)}")
    text = "\n\n".join(f"{bold(topic)}\n" + "\n".join(lines) for topic, lines in topics.items())
    return Reply(text, buttons=menu())
