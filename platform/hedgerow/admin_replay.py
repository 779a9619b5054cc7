"""One replay of dead letters in the admin: how far it is, live, and without a script as well."""

import time
from typing import Any

import redis
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from identity.access import is_fragment
from identity.roles import Role, has_role
from streams.connection import connect_now
from streams.replays import Replay, load_replay
from web.progress import Steps

LOOKED_AT_FOR_S = 30
"""A replay that has not moved for so long is said to be without a worker."""


@require_safe
@never_cache
def show_replay(request: HttpRequest, token: str) -> HttpResponse:
    """Who asked for it, why, and how far it is; for HTMX the progress alone."""
    if not has_role(request.user, Role.VIEWER):
        raise PermissionDenied("This needs the role viewer.")
    context: dict[str, Any] = {"token": token, "is_bus_away": False}
    try:
        with connect_now(settings.REDIS_URL) as bus:
            replay = load_replay(bus, token)
    except (redis.RedisError, OSError):
        replay, context["is_bus_away"] = None, True
    if replay is not None:
        silent_s = int(time.time()) - replay.at
        context |= {
            "replay": replay,
            "steps": steps_of(replay),
            "silent_s": silent_s if silent_s >= LOOKED_AT_FOR_S and not replay.is_over else 0,
        }
    if is_fragment(request):
        return TemplateResponse(request, "admin/replay_progress.html", context)
    context |= {**admin.site.each_context(request), "title": "Replay of dead letters"}
    return TemplateResponse(request, "admin/replay.html", context)


def steps_of(replay: Replay) -> Steps:
    """Its progress as every long work's is shown. What is gone is no step of it any more."""
    where = replay.plan.stream or "their streams"
    return Steps(replay.done, replay.plan.total - replay.gone, f"put back on {where}", replay.at)
