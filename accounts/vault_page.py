"""The vault's key in the admin: what is sealed with it, and asking a worker to rotate it, with a reason.

The web tier holds no private key, so nothing here rotates: a worker does (`accounts.tasks.rotate_vault_key`).
"""

import time
from typing import Any
from uuid import uuid4

import structlog
from celery import current_app
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from kombu.exceptions import OperationalError

from accounts.querysets import count_by_vault_key
from accounts.vault import Sealer, VaultError
from identity.admin_actions import ReasonForm
from identity.audit import record_audit
from identity.back_office import ADMIN_SOURCE, person_of
from identity.models import AuditEntry
from identity.roles import Role, has_role
from web.progress import Progress, load_steps

TASK = "accounts.tasks.rotate_vault_key"
QUEUE = "worker"
EXPIRES_S = 60
LOOKED_AT_FOR_S = 120
"""Progress older than this is not waited for any more."""
SHOWN = 20

log = structlog.get_logger()


@never_cache
@require_http_methods(["GET", "POST"])
def show_vault(request: HttpRequest) -> HttpResponse:
    """The keys in use and what became of rotations; an admin's POST with a reason hands one to a worker."""
    if not has_role(request.user, Role.VIEWER):
        raise PermissionDenied("This needs the role viewer.")
    form = ReasonForm(request.POST or None)
    try:
        sealing = Sealer(settings.VAULT_PUBLIC_KEY_FILE).fingerprint
        problem = ""
    except VaultError as error:
        sealing, problem = "", str(error)
    if request.method == "POST":
        if not has_role(request.user, Role.ADMIN):
            raise PermissionDenied("This needs the role admin.")
        if sealing and form.is_valid():
            return ask_worker(request, sealing, form.cleaned_data["reason"])
    steps = load_steps(f"vault:{request.GET.get('token', '')}")
    is_running = steps is not None and not steps.is_over and time.time() - steps.at < LOOKED_AT_FOR_S
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": "The vault's key",
        "sealing": sealing,
        "problem": problem,
        "counted": count_by_vault_key(),
        "steps": steps,
        "is_running": is_running,
        "entries": AuditEntry.objects.filter(action__startswith="vault.").order_by("-id")[:SHOWN],
        "form": form if has_role(request.user, Role.ADMIN) and sealing and not is_running else None,
    }
    answer = TemplateResponse(request, "admin/vault.html", context)
    if is_running:
        answer.headers["Refresh"] = "1"  # Followed without a script.
    return answer


def ask_worker(request: HttpRequest, sealing: str, reason: str) -> HttpResponse:
    """Hand it over. What is asked for is to replace the key shown: asked twice, it is done once."""
    token = uuid4().hex
    Progress(f"vault:{token}", "waiting for a worker").note(0, 1)
    person = person_of(request)
    record_audit("vault.rotation_asked", user=person, before={"vault_key": sealing}, reason=reason, source=ADMIN_SOURCE)
    try:
        current_app.send_task(
            TASK, args=[person.pk, reason, sealing, token], queue=QUEUE, expires=EXPIRES_S, retry=False
        )
    except (OperationalError, OSError) as error:
        log.warning("vault_rotation_not_handed_over", error=type(error).__name__)
        messages.error(request, "Redis is away, so no worker can be asked. Nothing was rotated.")
        return redirect("admin-vault")
    return redirect(f"{reverse('admin-vault')}?token={token}")
