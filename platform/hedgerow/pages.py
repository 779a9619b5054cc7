"""The desk page and its fragments. A fragment has the page's own address: HTMX asks for `/?part=fills`, gets that part.

Without JavaScript the same address gives the whole page, which then reloads itself.
"""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from hedgerow.access import is_fragment, page_for
from hedgerow.charts import RANGES, range_of
from hedgerow.desk import PARTS, load_page, load_part
from identity.roles import Role, has_role


@require_safe
@never_cache
@page_for(Role.VIEWER)
def show_desk(request: HttpRequest) -> HttpResponse:
    """The whole desk, or one part of it for HTMX."""
    now = timezone.now()
    part = request.GET.get("part", "")
    if is_fragment(request) and part in PARTS:
        context = load_part(part, now)
        return render(request, f"hedgerow/desk/{part}.html", context | (rights(request) if part == "state" else {}))
    context = rights(request) | {"range": range_of(request), "ranges": list(RANGES)}
    return render(request, "hedgerow/desk/page.html", context | load_page(now))


def rights(request: HttpRequest) -> dict[str, object]:
    """What this person may do to the desk: a trader may stop it, only an admin may lift a stop."""
    return {
        "may_stop": has_role(request.user, Role.TRADER),
        "may_lift": has_role(request.user, Role.ADMIN),
    }
