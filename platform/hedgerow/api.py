"""The REST API under `/api/`: one router per app, one form of refusal, one OpenAPI document at `/api/openapi.json`.

`urls.py` mounts it; `/api/docs` shows it to people.
"""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema

from accounts.api.accounts import router as accounts
from accounts.api.connection import router as connection
from accounts.api.desk import router as desk
from accounts.api.fills import router as fills
from accounts.api.orders import router as orders
from alerts.api import router as alerts
from hedgerow.log_api import router as record
from identity.api import router as identity
from markets.api import router as markets
from strategies.api.exposures import router as exposures
from strategies.api.strategies import router as strategies
from web.fields import ExactParser, ExactRenderer
from web.problems import MEDIA_TYPE, Problem, ProblemAnswer, answer_exception, answer_problem
from web.validators import answer_unchanged

DESCRIPTION = """
Everything a desk's programs need. Sign in with a session, or send `Authorization: Bearer hdg_…`.

* **Amounts** are decimal strings, exact to the last digit; requests may give them as JSON numbers too.
* **Lists** come in pages: ask again with `cursor` set to `next`. They carry an `ETag`; send it as `If-None-Match`.
* **Refusals** are `application/problem+json` with a stable `code`, a `detail` that says what to do, and a `request_id`.
* **Orders**: a `POST /api/trade` without `confirm` is a dry run. With an `Idempotency-Key` it is one order, however
  often it is sent.
* **Live**: `/ws` carries every message of the bus; docs/api.md tells how.
"""

PROBLEMS = {
    400: "The body cannot be read.",
    401: "Not signed in, or the token is not valid.",
    403: "The role, the CSRF token or the sight of an account is missing.",
    404: "There is nothing there that the caller may see.",
    409: "It stands in the way of something else.",
    422: "A field cannot be used.",
    429: "Too many requests.",
    503: "An engine is away.",
}


class DeskAPI(NinjaAPI):
    """django-ninja with our validators on lists and our problems in the document."""

    def create_response(
        self, request: HttpRequest, data: Any, *, status: int | None = None, temporal_response: Any = None
    ) -> HttpResponse:
        response = super().create_response(request, data, status=status, temporal_response=temporal_response)
        for name, value in getattr(request, "rate_limit", {}).items():
            response.headers[name] = value
        return answer_unchanged(request, response)

    def get_openapi_schema(self, *args: Any, **kwargs: Any) -> OpenAPISchema:
        document = super().get_openapi_schema(*args, **kwargs)
        problem = ProblemAnswer.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas = document["components"]["schemas"]
        schemas.update(problem.pop("$defs", {}))
        schemas["ProblemAnswer"] = problem
        content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemAnswer"}}}
        for path in document["paths"].values():
            for method, operation in path.items():
                answers = operation["responses"]
                for status, text in PROBLEMS.items():
                    answers[status] = {"description": text, "content": content}
                if method == "get":
                    answers[304] = {"description": "Unchanged since the ETag sent as If-None-Match."}
        return document


api = DeskAPI(
    title="Hedgerow",
    version="1",
    description=DESCRIPTION,
    urls_namespace="api",
    parser=ExactParser(),
    renderer=ExactRenderer(),
    servers=[{"url": settings.PUBLIC_URL}],
)
api.add_exception_handler(Exception, answer_exception)
for known in list(api._exception_handlers):
    api.add_exception_handler(known, answer_exception)

for prefix, router in (
    ("", identity),
    ("/accounts", accounts),
    ("/accounts", connection),
    ("", desk),
    ("", orders),
    ("", fills),
    ("/markets", markets),
    ("/strategies", strategies),
    ("/strategies", exposures),
    ("/alerts", alerts),
    ("", record),
):
    api.add_router(prefix, router)


def refuse_unknown(request: HttpRequest, path: str = "") -> HttpResponse:
    """An address under `/api/` that does not exist."""
    return answer_problem(Problem(404, "not_found", "There is no such address here: see /api/docs."))
