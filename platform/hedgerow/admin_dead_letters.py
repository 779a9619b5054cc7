"""Dead letters in the admin: what no reader could handle, why, and asking for it to be replayed, with a reason.

They live on the bus, not in a table, so this is a page of its own below /admin/. A worker replays them
(`hedgerow.replaying`), and the replay's own page follows it.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

import redis
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from hedgerow.replaying import ask_for_replay
from identity.admin_actions import ReasonForm
from identity.audit import hide_secrets
from identity.back_office import person_of
from identity.roles import Role, has_role
from streams.connection import connect_now
from streams.deadletters import DeadLetter, count_dead_letters, get_dead_letter, load_dead_letters, load_oldest
from streams.names import ALL_STREAMS
from streams.positions import split
from streams.replays import count_until, load_open

SHOWN = 100
EXAMPLES = 5
"""Of all of a stream, how many the confirmation shows."""
MOST_BODY = 1_500
ENTRY = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")


@never_cache
@require_http_methods(["GET", "POST"])
def show_dead_letters(request: HttpRequest) -> HttpResponse:
    """A page of them; a trader marks some, or takes all of a stream, which first shows what is replayed."""
    if not has_role(request.user, Role.VIEWER):
        raise PermissionDenied("This needs the role viewer.")
    context: dict[str, Any] = {**admin.site.each_context(request), "title": "Dead letters"}
    try:
        with connect_now(settings.REDIS_URL) as bus:
            if request.method == "POST":
                return answer_replay(request, bus, context)
            context |= look_at(bus, request.GET.get("stream", ""), request.GET.get("before", ""))
    except (redis.RedisError, OSError):
        return TemplateResponse(request, "admin/dead_letters.html", context | {"is_bus_away": True}, status=503)
    context["may_replay"] = has_role(request.user, Role.TRADER)
    return TemplateResponse(request, "admin/dead_letters.html", context)


def look_at(bus: redis.Redis, stream: str, before: str) -> dict[str, Any]:
    """A page of one stream's dead letters, or the newest of all streams, and what is being replayed."""
    stream = stream if stream in ALL_STREAMS else ""
    before = before if stream and ENTRY.fullmatch(before) else ""
    letters = load_dead_letters(bus, stream or None, SHOWN + 1, before)
    shown, counted = letters[:SHOWN], count_dead_letters(bus)
    newest = load_dead_letters(bus, stream, 1) if stream else []
    return {
        "letters": written(shown),
        "streams": [(name, counted.get(name, 0)) for name in ALL_STREAMS],
        "stream": stream,
        "before": before,
        "following": shown[-1].entry_id if stream and len(letters) > SHOWN else "",
        "all": name_of(newest[0]) if newest else "",
        "total": counted.get(stream, 0),
        "replays": load_open(bus),
        "most": SHOWN,
    }


def answer_replay(request: HttpRequest, bus: redis.Redis, context: dict[str, Any]) -> HttpResponse:
    """The confirmation page; with a reason it is asked for, and followed on its own page."""
    if not has_role(request.user, Role.TRADER):
        raise PermissionDenied("This needs the role trader.")
    every = request.POST.get("all", "")
    stream, until = read_name(every)
    letters = load_oldest(bus, stream, until, EXAMPLES) if stream else load_chosen(bus, request.POST.getlist("letter"))
    if not letters:
        messages.error(request, "Mark at least one that is still there.")
        return redirect("admin-dead-letters")
    form = ReasonForm(request.POST if "confirmed" in request.POST else None)
    if form.is_valid():
        person, reason = person_of(request), form.cleaned_data["reason"]
        names = () if stream else tuple(map(name_of, letters))
        return redirect("admin-replay", ask_for_replay(bus, person, reason, stream=stream, until=until, letters=names))
    page = context | {
        "title": "Replay dead letters",
        "form": form,
        "letters": written(letters),
        "all": every if stream else "",
        "stream": stream,
        "total": count_until(bus, stream, until) if stream else len(letters),
    }
    return TemplateResponse(request, "admin/dead_letters_replay.html", page)


def load_chosen(bus: redis.Redis, names: Iterable[str]) -> list[DeadLetter]:
    """Those that are still there, oldest first, so that what is replayed keeps its order."""
    found = []
    for name in dict.fromkeys(names):
        stream, entry_id = read_name(name)
        if stream and (letter := get_dead_letter(bus, stream, entry_id)) is not None:
            found.append(letter)
    return sorted(found, key=lambda letter: split(letter.entry_id))


def name_of(letter: DeadLetter) -> str:
    """What a form names it by."""
    return f"{letter.stream} {letter.entry_id}"


def read_name(name: str) -> tuple[str, str]:
    """The stream and the entry that `name_of` wrote; both empty for anything else."""
    stream, _, entry_id = name.partition(" ")
    return (stream, entry_id) if stream in ALL_STREAMS and ENTRY.fullmatch(entry_id) else ("", "")


def written(letters: Iterable[DeadLetter]) -> list[tuple[DeadLetter, str, str]]:
    """Each with its name and its message as a person reads it, cut; nothing under a secret's name."""
    return [(letter, name_of(letter), write_body(letter.body)) for letter in letters]


def write_body(body: bytes) -> str:
    """A message for the eye."""
    try:
        told = json.loads(body)
    except ValueError:
        return f"{len(body)} bytes that are not JSON"
    text = json.dumps(hide_secrets(told) if isinstance(told, dict) else told, indent=1, ensure_ascii=False)
    return text if len(text) <= MOST_BODY else f"{text[:MOST_BODY]}…"
