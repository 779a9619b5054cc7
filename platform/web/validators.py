"""ETags: a list that is polled travels only when it has changed."""

from hashlib import blake2b

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified


def answer_unchanged(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """`response` with its ETag, or 304 when the asker has exactly this already. Only for a GET that went well."""
    if request.method not in ("GET", "HEAD") or response.status_code != 200:
        return response
    tag = f'"{blake2b(response.content, digest_size=12).hexdigest()}"'
    known = {part.strip().removeprefix("W/") for part in request.headers.get("If-None-Match", "").split(",")}
    same = tag in known
    answer: HttpResponse = HttpResponseNotModified() if same else response
    answer.headers["ETag"] = tag
    answer.headers["Cache-Control"] = "private, no-cache"
    return answer
