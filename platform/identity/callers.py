"""Who calls the API, and what they may do: a person by their session, or a program by its token.

`may(role)` goes on every operation: it lets in, counts, or refuses with a problem before anything else happens.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from ninja.security import APIKeyCookie, HttpBearer
from ninja.utils import check_csrf

from identity.models import ApiToken, User
from identity.roles import Role, includes, load_role
from identity.tokens import bound_role, bound_tags, load_token
from web.problems import Problem
from web.throttle import take


@dataclass(frozen=True)
class Caller:
    """Somebody let in. `tags` None sees every account; otherwise those with one of the tags."""

    user: User
    role: Role | None
    tags: frozenset[str] | None
    token: ApiToken | None = None

    @property
    def is_scoped(self) -> bool:
        """True when some accounts are out of sight."""
        return self.tags is not None

    @property
    def key(self) -> str:
        """Whom to count requests under."""
        return f"token:{self.token.pk}" if self.token else f"user:{self.user.pk}"


def load_person(user: object) -> Caller | None:
    """The caller behind a session; None without an active person."""
    if not isinstance(user, User) or not user.is_active:
        return None
    return Caller(user, load_role(user), frozenset(user.account_tags) or None)


def load_program(secret: str) -> Caller | None:
    """The caller behind a token; None when it is unknown, expired, revoked or its person is gone."""
    token = load_token(secret, timezone.now())
    if token is None:
        return None
    return Caller(token.user, bound_role(load_role(token.user), token), bound_tags(token.user, token), token)


def caller_of(request: HttpRequest) -> Caller:
    """Who was let in; only for operations behind `may`."""
    caller: Any = getattr(request, "auth", None)
    if not isinstance(caller, Caller):
        raise Problem(401, "not_signed_in", "Sign in, or send a token as 'Authorization: Bearer …'.")
    return caller


class TokenAccess(HttpBearer):
    """`Authorization: Bearer hdg_…`. A token that is not valid is refused, whatever session is beside it."""

    openapi_name = "token"

    def __init__(self, role: Role, *, is_counted: bool = True) -> None:
        self.role = role
        self.is_counted = is_counted
        super().__init__()

    def authenticate(self, request: HttpRequest, token: str) -> Caller:
        caller = load_program(token)
        if caller is None:
            count(request, f"address:{request.META.get('REMOTE_ADDR', '')}", settings.API_REFUSALS_PER_MINUTE)
            raise Problem(401, "token_invalid", "This token is unknown, expired or revoked: get a new one.")
        return admit(request, caller, self.role, is_counted=self.is_counted)


class SessionAccess(APIKeyCookie):
    """The session of somebody signed in. A change needs the CSRF token too, as on our own pages."""

    openapi_name = "session"
    param_name = "sessionid"

    def __init__(self, role: Role, *, is_counted: bool = True) -> None:
        self.role = role
        self.is_counted = is_counted
        super().__init__(csrf=False)

    def authenticate(self, request: HttpRequest, key: str | None) -> Caller | None:
        caller = load_person(request.user)
        if caller is None:
            return None
        if check_csrf(request):
            raise Problem(403, "csrf_missing", "Send the csrftoken cookie's value as X-CSRFToken, or use a token.")
        return admit(request, caller, self.role, is_counted=self.is_counted)


def may(role: Role, *, is_counted: bool = True) -> list[Callable[[HttpRequest], Any]]:
    """The `auth` of an operation that needs `role`. Not counted: what must work in a storm of requests (the stop)."""
    return [TokenAccess(role, is_counted=is_counted), SessionAccess(role, is_counted=is_counted)]


def admit(request: HttpRequest, caller: Caller, role: Role, *, is_counted: bool) -> Caller:
    """`caller` when they have the role and requests left; else a Problem, and nothing has happened."""
    if is_counted:
        count(request, caller.key, settings.API_REQUESTS_PER_MINUTE)
    if not includes(caller.role, role):
        raise Problem(403, "role_missing", f"This needs the role {role.value}: ask an admin.")
    return caller


def count(request: HttpRequest, key: str, limit: int) -> None:
    """Count one request; raises a 429 Problem that says when to come back."""
    allowance = take(key, limit)
    headers: Mapping[str, str] = {
        "RateLimit-Limit": str(allowance.limit),
        "RateLimit-Remaining": str(allowance.remaining),
        "RateLimit-Reset": str(allowance.after_s),
    }
    request.rate_limit = headers  # type: ignore[attr-defined]
    if not allowance.allowed:
        raise Problem(
            429,
            "too_many_requests",
            f"More than {limit} requests in a minute: wait {allowance.after_s} s.",
            headers={**headers, "Retry-After": str(allowance.after_s)},
        )


def need_whole_desk(caller: Caller) -> None:
    """Refuse a caller for whom some accounts are out of sight: the answer would tell of them."""
    if caller.is_scoped:
        raise Problem(403, "desk_out_of_scope", "This tells of every account, and you may see only some: ask an admin.")
