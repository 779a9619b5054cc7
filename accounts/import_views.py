"""Adding many accounts by CSV: a dry run that names every fault, then the import, all or nothing, with its progress.

The file travels with each request and is never kept: without JavaScript it is chosen again for the import.
"""

from uuid import uuid4

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
from trading.errors import InvalidValue
from web.progress import Progress, load_steps

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
            steps = Progress(f"import:{request.POST.get('token', '')}", "checked" if dry_run else "made")
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
    return render(
        request, "accounts/import_progress.html", {"steps": load_steps(f"import:{request.GET.get('token', '')}")}
    )
