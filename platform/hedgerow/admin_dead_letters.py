"""Dead letters in the admin: what no reader could handle, why, and putting it back on its stream, with a reason.

They live on the bus, not in a table, so this is a page of its own below /admin/. Replaying twice is harmless: every
effect counts once by the event's id.
"""

import json
from collections.abc import Iterable
from typing import Any

import redis
from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from identity.admin_actions import ReasonForm
from identity.audit import hide_secrets, record_audit
from identity.back_office import ADMIN_SOURCE, person_of
from identity.roles import Role, has_role
from streams.connection import connect_now
from streams.deadletters import DeadLetter, get_dead_letter, load_dead_letters, replay
from streams.names import ALL_STREAMS
from streams.positions import split

SHOWN = 100
MOST_BODY = 1_500


class ReplayForm(ReasonForm):
    """Which dead letters, each as `stream entry`."""

    letter = forms.MultipleChoiceField(widget=forms.MultipleHiddenInput)

    def __init__(self, letters: Iterable[str], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["letter"].choices = [(name, name) for name in letters]  # type: ignore[attr-defined]


@never_cache
@require_http_methods(["GET", "POST"])
def show_dead_letters(request: HttpRequest) -> HttpResponse:
    """The newest of them; a trader marks some and gives a reason, which first shows what is replayed."""
    if not has_role(request.user, Role.VIEWER):
        raise PermissionDenied("This needs the role viewer.")
    context: dict[str, Any] = {**admin.site.each_context(request), "title": "Dead letters"}
    try:
        with connect_now(settings.REDIS_URL) as bus:
            if request.method == "POST":
                return answer_replay(request, bus, context)
            stream = request.GET.get("stream", "")
            letters = load_dead_letters(bus, stream if stream in ALL_STREAMS else None, SHOWN)
    except (redis.RedisError, OSError):
        return TemplateResponse(request, "admin/dead_letters.html", context | {"is_bus_away": True}, status=503)
    context |= {
        "letters": [(letter, name_of(letter), written(letter)) for letter in letters],
        "streams": ALL_STREAMS,
        "stream": stream,
        "may_replay": has_role(request.user, Role.TRADER),
        "most": SHOWN,
    }
    return TemplateResponse(request, "admin/dead_letters.html", context)


def answer_replay(request: HttpRequest, bus: redis.Redis, context: dict[str, Any]) -> HttpResponse:
    """The confirmation page; with a reason, the replay itself."""
    if not has_role(request.user, Role.TRADER):
        raise PermissionDenied("This needs the role trader.")
    letters = load_chosen(bus, request.POST.getlist("letter"))
    if not letters:
        messages.error(request, "Mark at least one that is still there.")
        return redirect("admin-dead-letters")
    names = [name_of(letter) for letter in letters]
    form = ReplayForm(names, request.POST if "confirmed" in request.POST else None, initial={"letter": names})
    if not form.is_valid():
        told = [(letter, name_of(letter), written(letter)) for letter in letters]
        page = context | {"title": "Replay dead letters", "form": form, "letters": told}
        return TemplateResponse(request, "admin/dead_letters_replay.html", page)
    done = sum(replay_one(request, bus, letter, form.cleaned_data["reason"]) for letter in letters)
    messages.success(request, f"{done} of {len(letters)} are back on their streams, to be handled again.")
    return redirect("admin-dead-letters")


def load_chosen(bus: redis.Redis, names: Iterable[str]) -> list[DeadLetter]:
    """Those that are still there, oldest first, so that what is replayed keeps its order."""
    found = []
    for name in dict.fromkeys(names):
        stream, _, entry_id = name.partition(" ")
        if stream not in ALL_STREAMS or not entry_id.replace("-", "", 1).isdecimal():
            continue
        if (letter := get_dead_letter(bus, stream, entry_id)) is not None:
            found.append(letter)
    return sorted(found[:SHOWN], key=lambda letter: split(letter.entry_id))


def replay_one(request: HttpRequest, bus: redis.Redis, letter: DeadLetter, reason: str) -> bool:
    """Replay it; the audit entry is only kept when it was there to replay, and nothing is replayed unaudited."""
    with transaction.atomic():
        record_audit(
            "dead_letter.replayed",
            user=person_of(request),
            after={"stream": letter.stream, "entry": letter.entry_id, "group": letter.group, "why": letter.reason},
            reason=reason,
            source=ADMIN_SOURCE,
        )
        if replay(bus, letter) is None:
            transaction.set_rollback(True)
            return False
    return True


def name_of(letter: DeadLetter) -> str:
    """What a form names it by."""
    return f"{letter.stream} {letter.entry_id}"


def written(letter: DeadLetter) -> str:
    """The message as a person reads it, cut; nothing under a secret's name."""
    try:
        told = json.loads(letter.body)
    except ValueError:
        return f"{len(letter.body)} bytes that are not JSON"
    text = json.dumps(hide_secrets(told) if isinstance(told, dict) else told, indent=1, ensure_ascii=False)
    return text if len(text) <= MOST_BODY else f"{text[:MOST_BODY]}…"
