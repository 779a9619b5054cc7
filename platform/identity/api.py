"""`/me` and `/tokens`: who one is, and the tokens of one's programs. `hedgerow.api` mounts it."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router, Schema, Status
from pydantic import Field

from identity.callers import Caller, caller_of, may
from identity.models import ApiToken
from identity.roles import Role, includes
from identity.tokens import issue_token, revoke_token
from trading.errors import InvalidValue
from web.fields import Given, Instant, Tag, Word
from web.paging import Page, PageQuery, Sorting, load_page
from web.problems import not_found

router = Router(tags=["identity"])


class CallerAnswer(Schema):
    """Who calls. `account_tags` null sees every account; empty sees none."""

    username: str
    role: Role
    account_tags: list[str] | None
    token: str | None


class TokenAnswer(Schema):
    """A token, without its secret."""

    id: UUID
    name: str
    username: str
    role: Role
    account_tags: list[str]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None

    @staticmethod
    def resolve_username(row: ApiToken) -> str:
        return row.user.get_username()


class NewToken(Given):
    """What a program gets. Never more than its person has."""

    name: Annotated[Word, Field(min_length=1, max_length=64)]
    role: Role = Role.VIEWER
    account_tags: Annotated[list[Tag], Field(max_length=50)] = []
    expires_at: Instant


class IssuedToken(Schema):
    """A new token and its secret, shown this once."""

    token: TokenAnswer
    secret: str


@router.get("/me", auth=may(Role.VIEWER), response=CallerAnswer, summary="Who am I?")
def read_me(request: HttpRequest) -> Any:
    """Whom the API takes the caller for."""
    caller = caller_of(request)
    return {
        "username": caller.user.get_username(),
        "role": caller.role,
        "account_tags": None if caller.tags is None else sorted(caller.tags),
        "token": caller.token.name if caller.token else None,
    }


@router.get("/tokens", auth=may(Role.VIEWER), response=Page[TokenAnswer], summary="List one's tokens")
def list_tokens(request: HttpRequest, asked: Query[PageQuery]) -> Any:
    """One's own tokens, newest first; an admin sees everybody's."""
    rows = tokens_of(caller_of(request)).select_related("user")
    items, following = load_page(rows, Sorting(("created_at", "id"), falling=True), asked)
    return {"items": items, "next": following}


@router.post("/tokens", auth=may(Role.VIEWER), response={201: IssuedToken}, summary="Make a token for oneself")
def create_token(request: HttpRequest, given: NewToken) -> Any:
    """A token in one's own name. A token makes none above itself."""
    caller = caller_of(request)
    if not includes(caller.role, given.role):
        raise InvalidValue(f"you call with less than the role {given.role.value}: choose a lower one")
    if caller.tags is not None and (not given.account_tags or not set(given.account_tags) <= caller.tags):
        raise InvalidValue(f"name some of the tags you see: {', '.join(sorted(caller.tags)) or 'none'}")
    token, secret = issue_token(
        caller.user,
        given.name,
        role=given.role,
        by=caller.user,
        now=timezone.now(),
        expires_at=given.expires_at,
        account_tags=given.account_tags,
    )
    return Status(201, {"token": token, "secret": secret})


@router.delete("/tokens/{token_id}", auth=may(Role.VIEWER), response={204: None}, summary="Revoke a token")
def delete_token(request: HttpRequest, token_id: UUID) -> Any:
    """End a token at once. One's own; an admin anybody's. Twice is once."""
    caller = caller_of(request)
    token = tokens_of(caller).select_related("user").filter(pk=token_id).first()
    if token is None:
        raise not_found("token", token_id)
    revoke_token(token, by=caller.user, now=timezone.now())
    return Status(204, None)


def tokens_of(caller: Caller) -> Any:
    """The tokens a caller may see."""
    if includes(caller.role, Role.ADMIN) and not caller.is_scoped:
        return ApiToken.objects.all()
    return ApiToken.objects.filter(user=caller.user)
