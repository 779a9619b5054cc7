"""`/accounts`: seeing, making, changing, disabling and removing accounts. Secrets come in and never go out."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from django.db.models import Q
from django.http import HttpRequest
from ninja import Query, Router, Schema, Status
from pydantic import Field

from accounts.models import Account
from accounts.registration import change_account_state, register_account, update_account
from accounts.removal import AccountInUse, remove_account
from accounts.scope import in_scope, load_account
from accounts.vault import VaultError
from identity.callers import Caller, caller_of, may
from identity.models import AuditEntry
from identity.roles import Role
from trading.enums import Mode, Platform, SignerKind, TradingState
from trading.errors import InvalidValue
from web.fields import Amount, Because, Given, GivenAmount, Prose, Secret, Tag, Word
from web.paging import Page, PageQuery, Sorting, load_page, order_named
from web.problems import Problem

router = Router(tags=["accounts"])
API = AuditEntry.Source.API.value
ORDERS = {"name": Sorting(("name",)), "created_at": Sorting(("created_at", "id"))}


class AccountAnswer(Schema):
    """An account as everybody may see it: no secret, not even masked."""

    id: UUID
    name: str
    platform: Platform
    mode: Mode
    address: str
    owner_address: str
    signer_kind: SignerKind
    tags: list[str]
    notes: str
    proxy_label: str
    state: TradingState
    state_reason: str
    max_order: Amount | None
    max_position: Amount | None
    max_notional_per_day: Amount | None
    connection: Account.Connection
    connection_at: datetime | None
    reconciled_at: datetime | None
    collateral: Amount
    reserved: Amount
    balance_at: datetime | None
    created_at: datetime
    updated_at: datetime


class Limits(Given):
    """An account's own limits, in shares and collateral; null is no limit."""

    max_order: GivenAmount | None = None
    max_position: GivenAmount | None = None
    max_notional_per_day: GivenAmount | None = None


class NewAccount(Limits):
    """What makes an account. A wallet's address follows from its key; a smart account's must be given."""

    name: Annotated[Word, Field(min_length=1, max_length=64)]
    platform: Platform
    private_key: Annotated[Secret, Field(description="64 hex digits; sealed at once.")]
    address: Annotated[Word, Field(max_length=42)] = ""
    signer_kind: SignerKind = SignerKind.EOA
    tags: list[Tag] = []
    notes: Prose = ""
    api_key: Secret = ""
    proxy_url: Secret = ""


class AccountChange(Limits):
    """What is left out stays. A secret given empty is removed; a new private key must be of the same address."""

    name: Annotated[Word, Field(min_length=1, max_length=64)] | None = None
    private_key: Secret | None = None
    tags: list[Tag] | None = None
    notes: Prose | None = None
    api_key: Secret | None = None
    proxy_url: Secret | None = None


class AccountQuery(PageQuery):
    """Which accounts."""

    platform: Platform | None = None
    state: TradingState | None = None
    connection: Account.Connection | None = None
    tag: Tag = ""
    search: Annotated[Word, Field(description="Part of a name, or an address.")] = ""
    sort: Literal["name", "-name", "created_at", "-created_at"] = "name"


class Enabling(Because):
    """How the account shall trade again."""

    reducing: Annotated[bool, Field(description="Only orders that lower its exposure.")] = False


@router.get("", auth=may(Role.VIEWER), response=Page[AccountAnswer], summary="List accounts")
def list_accounts(request: HttpRequest, asked: Query[AccountQuery]) -> Any:
    """Accounts of every platform, by name."""
    rows = in_scope(Account.objects.all(), caller_of(request), "")
    for name in ("platform", "state", "connection"):
        if value := getattr(asked, name):
            rows = rows.filter(**{name: value})
    if asked.tag:
        rows = rows.filter(tags__contains=[asked.tag])
    if asked.search:
        rows = rows.filter(Q(name__icontains=asked.search) | Q(address__iexact=asked.search))
    items, following = load_page(rows, order_named(asked.sort, ORDERS), asked)
    return {"items": items, "next": following}


@router.post("", auth=may(Role.ADMIN), response={201: AccountAnswer}, summary="Make an account")
def create_account(request: HttpRequest, given: NewAccount) -> Any:
    """Make an account and seal its secrets."""
    caller = caller_of(request)
    check_tags(caller, given.tags)
    try:
        account = register_account(by=caller.user, source=API, **given.model_dump())
    except VaultError as error:
        raise no_vault() from error
    return Status(201, account)


@router.get("/{account_id}", auth=may(Role.VIEWER), response=AccountAnswer, summary="See one account")
def read_account(request: HttpRequest, account_id: Word) -> Any:
    """One account, by id or name."""
    return load_account(account_id, caller_of(request))


@router.put("/{account_id}", auth=may(Role.ADMIN), response=AccountAnswer, summary="Change an account")
def change_account(request: HttpRequest, account_id: Word, given: AccountChange) -> Any:
    """Change what is given and leave the rest."""
    caller = caller_of(request)
    account = load_account(account_id, caller)
    fields = given.model_dump(exclude_unset=True)
    limits: dict[str, Decimal | None] = {name: fields.pop(name) for name in list(Limits.model_fields) if name in fields}
    if fields.get("tags") is not None:
        check_tags(caller, fields["tags"])
    try:
        return update_account(account.pk, by=caller.user, limits=limits, source=API, **fields)
    except VaultError as error:
        raise no_vault() from error


@router.delete("/{account_id}", auth=may(Role.ADMIN), response={204: None}, summary="Remove an unused account")
def delete_account(request: HttpRequest, account_id: Word) -> Any:
    """Remove an account that was never used; one with a history is disabled instead."""
    caller = caller_of(request)
    try:
        remove_account(load_account(account_id, caller).pk, by=caller.user, source=API)
    except AccountInUse as error:
        raise Problem(409, "account_in_use", f"{error}.") from error
    return Status(204, None)


@router.post("/{account_id}/disable", auth=may(Role.TRADER), response=AccountAnswer, summary="Halt an account")
def disable_account(request: HttpRequest, account_id: Word, given: Because) -> Any:
    """The account sends nothing from the next order on. Its orders at the venue stay there."""
    return change_state(request, account_id, TradingState.HALTED, given.reason)


@router.post("/{account_id}/enable", auth=may(Role.TRADER), response=AccountAnswer, summary="Let an account trade")
def enable_account(request: HttpRequest, account_id: Word, given: Enabling) -> Any:
    """The account trades again, or with `reducing` only lowers its exposure."""
    state = TradingState.REDUCING if given.reducing else TradingState.ACTIVE
    return change_state(request, account_id, state, given.reason)


def change_state(request: HttpRequest, named: str, state: TradingState, reason: str) -> Account:
    """Halt, reduce or activate an account the caller may see."""
    caller = caller_of(request)
    account = load_account(named, caller)
    return change_account_state(account.pk, state, by=caller.user, reason=reason, source=API)


def check_tags(caller: Caller, tags: list[str]) -> None:
    """A caller who sees only some accounts must not make or move one out of their own sight."""
    if caller.tags is not None and not caller.tags & {tag.strip() for tag in tags}:
        raise InvalidValue(f"give it one of your own tags: {', '.join(sorted(caller.tags))}")


def no_vault() -> Problem:
    """503: this installation has no vault to seal secrets with."""
    return Problem(503, "vault_missing", "Secrets cannot be sealed here: run `manage.py setup`, then ask again.")
