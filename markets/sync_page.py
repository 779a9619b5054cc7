"""Reading the venues' markets now: a person asks, a worker does it, the page follows it."""

from uuid import uuid4

import structlog
from celery import current_app
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from kombu.exceptions import OperationalError

from identity.access import is_fragment, page_for
from identity.roles import Role
from web.progress import Progress, load_steps

TASK = "markets.tasks.sync_all_markets"
QUEUE = "worker"
EXPIRES_S = 60

log = structlog.get_logger()


@never_cache
@require_http_methods(["GET", "POST"])
@page_for(Role.TRADER)
def sync_now(request: HttpRequest) -> HttpResponse:
    """Ask for a sync on POST, then follow it under its token; for HTMX the progress alone."""
    if request.method == "POST":
        token = uuid4().hex
        try:
            Progress(f"sync:{token}", "venues read: waiting for a worker").note(0, 1)
            current_app.send_task(TASK, args=[token], queue=QUEUE, expires=EXPIRES_S, retry=False)
        except (OperationalError, OSError) as error:
            log.warning("sync_not_handed_over", error=type(error).__name__)
            messages.error(request, "Redis is away, so no worker can be asked. Nothing was read.")
            return redirect("markets")
        return redirect(f"{reverse('markets-sync')}?token={token}")
    token = request.GET.get("token", "")
    context = {"steps": load_steps(f"sync:{token}"), "token": token}
    return render(request, "markets/sync_progress.html" if is_fragment(request) else "markets/sync.html", context)
