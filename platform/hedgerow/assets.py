"""Serves the vendored assets, our CSS and JavaScript, and the admin's, from the web process itself.

A desk has a handful of people; a proxy in front may serve `STATIC_ROOT` instead (`manage.py collectstatic`).
"""

import mimetypes
from pathlib import Path

from django.contrib.staticfiles import finders
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified
from django.http.response import HttpResponseBase
from django.utils.http import http_date
from django.views.decorators.http import require_safe
from django.views.static import was_modified_since

MAX_AGE_S = 300


@require_safe
def serve_asset(request: HttpRequest, path: str) -> HttpResponseBase:
    """One static file, found the way `{% static %}` names it; 304 when the browser has it already."""
    found = finders.find(path)
    if not found:
        raise Http404(path)
    file = Path(str(found))
    modified = file.stat().st_mtime
    if not was_modified_since(request.headers.get("If-Modified-Since"), modified):
        return HttpResponseNotModified()
    kind, encoding = mimetypes.guess_type(file.name)
    response = HttpResponse(file.read_bytes(), content_type=kind or "application/octet-stream")
    response.headers["Last-Modified"] = http_date(modified)
    response.headers["Cache-Control"] = f"public, max-age={MAX_AGE_S}"
    if encoding:
        response.headers["Content-Encoding"] = encoding
    return response
