"""Adding many accounts by CSV: a dry run that names every fault, then the import, all or nothing, with its progress.

The file travels with each request and is never kept: without JavaScript it is chosen again for the import.
"""

import json
import re
from uuid import uuid4

import redis
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts.csv_import import MOST_BYTES, OPTIONAL, REQUIRED, import_accounts
from accounts.forms import ImportForm
from accounts.vault import VaultError
from identity.access import is_fragment, page_for
from identity.back_office import person_of
from identity.roles import Role
from streams.connection import connect_now
from trading.errors import InvalidValue

TOKEN = re.compile(r"[0-9a-f]{32}")
KEPT_S = 300
EXAMPLE = ",".join((*REQUIRED, *OPTIONAL))


@never_cache
@require_http_methods(["GET", "POST"])
@page_for(Role.ADMIN)
def import_many(request: HttpRequest) -> HttpResponse:
    """The file's form; on POST its dry run (`check`) or the import itself (`import`)."""
    form = ImportForm(request.POST or None, request.FILES or None)
    context: dict[str, object] = {"form": form, "required": REQUIRED, "example": EXAMPLE, "token": uuid4().hex}
    if request.method == "POST" and form.is_valid():
        dry_run = "import" not in request.POST
        try:
            data = form.cleaned_data["file"].read(MOST_BYTES + 1)
            steps = Steps(request.POST.get("token", ""), "checked" if dry_run else "made")
            done = import_accounts(data, person_of(request), dry_run=dry_run, progress=steps.note)
        except (InvalidValue, VaultError) as error:
            context["refused"] = str(error)
        else:
            context |= {"done": done, "dry_run": dry_run}
            if done.made:
                messages.success(request, f"{done.made} accounts are made. The engine connects them within seconds.")
    if is_fragment(request):
        return render(request, "accounts/import_result.html", context)
    return render(request, "accounts/import.html", context)


@require_safe
@never_cache
@page_for(Role.ADMIN)
def show_progress(request: HttpRequest) -> HttpResponse:
    """How far the import with this token is; empty before it begins."""
    return render(request, "accounts/import_progress.html", {"steps": load_steps(request.GET.get("token", ""))})


class Steps:
    """Writes down how far an import is, at most every tenth of it. Redis away: nothing is shown, all else goes on."""

    def __init__(self, token: str, word: str) -> None:
        self.key = f"import:{token}" if TOKEN.fullmatch(token) else ""
        self.word = word

    def note(self, done: int, total: int) -> None:
        if not self.key or (done < total and done % max(1, total // 20)):
            return
        try:
            with connect_now(settings.REDIS_URL) as bus:
                bus.set(self.key, json.dumps({"done": done, "total": total, "word": self.word}), ex=KEPT_S)
        except redis.RedisError:
            self.key = ""


def load_steps(token: str) -> dict[str, object] | None:
    """What `Steps` wrote down last."""
    if not TOKEN.fullmatch(token):
        return None
    try:
        with connect_now(settings.REDIS_URL) as bus:
            found = bus.get(f"import:{token}")
    except redis.RedisError:
        return None
    return json.loads(found) if isinstance(found, bytes | str) else None
