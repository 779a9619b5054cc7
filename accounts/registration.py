"""Making and changing accounts. Admin, pages, API and commands call this; nothing else writes account rows or secrets.

Secrets come in, are checked, sealed with the vault's public key and gone: no return value, error, audit entry or event
holds them. An account is announced (`account_created`) after its row is durable, and again if that was lost.
"""

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import redis
import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from eth_keys.datatypes import PrivateKey
from eth_utils.address import is_checksum_address, to_checksum_address

from accounts.models import Account, SealedSecret
from accounts.vault import Sealer
from alerts.conditions import key_of, resolve_alerts
from alerts.kinds import KINDS, AlertKind
from alerts.raising import raise_alert
from identity.audit import record_audit
from identity.models import AuditEntry, User
from streams.connection import connect_now
from streams.publisher import publish_now
from trading.enums import Mode, Platform, SignerKind, TradingState
from trading.errors import InvalidValue
from trading.events import ACCOUNT_EVENTS, AccountChanged, AccountCreated, Event
from trading.ids import event_id

SYSTEM = AuditEntry.Source.SYSTEM.value
PROXY_SCHEMES = ("http", "socks4", "socks5", "socks5h")
SIGNERS = {
    Platform.PREDICT: (SignerKind.EOA, SignerKind.PREDICT_ACCOUNT),
    Platform.POLYMARKET: (SignerKind.EOA, SignerKind.POLY_PROXY, SignerKind.POLY_SAFE),
}
LIMITS = ("max_order", "max_position", "max_notional_per_day")
_NAME = re.compile(r"[^\s].{0,62}[^\s]|[^\s]")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")

log = structlog.get_logger()


def register_account(
    *,
    name: str,
    platform: Platform | str,
    private_key: str,
    by: User | str,
    address: str = "",
    signer_kind: SignerKind | str = SignerKind.EOA,
    tags: Iterable[str] = (),
    notes: str = "",
    api_key: str = "",
    proxy_url: str = "",
    max_order: Decimal | None = None,
    max_position: Decimal | None = None,
    max_notional_per_day: Decimal | None = None,
    source: str = SYSTEM,
) -> Account:
    """Make an account and seal its secrets. An EOA's address follows from its key; a smart account's must be given.

    Raises InvalidValue that says what to change and never repeats a secret, VaultError without a vault.
    """
    venue, kind = _platform(platform), SignerKind(signer_kind)
    if kind not in SIGNERS[venue]:
        raise InvalidValue(f"{venue.value} has no accounts of kind {kind.value}")
    owner, secret_key = _check_key(private_key)
    maker = _check_maker(address, owner, kind)
    account = Account(
        name=_check_name(name),
        platform=venue.value,
        mode=Mode(settings.MODE).value,
        address=maker,
        owner_address="" if kind is SignerKind.EOA else owner,
        signer_kind=kind.value,
        tags=_check_tags(tags),
        notes=notes,
        proxy_label=_check_proxy(proxy_url),
        max_order=_check_limit("max_order", max_order),
        max_position=_check_limit("max_position", max_position),
        max_notional_per_day=_check_limit("max_notional_per_day", max_notional_per_day),
    )
    sealer = Sealer(settings.VAULT_PUBLIC_KEY_FILE)
    with transaction.atomic():
        if Account.objects.filter(name=account.name).exists():
            raise InvalidValue(f"there is an account named {account.name} already: choose another name")
        if Account.objects.filter(platform=venue.value, address=maker).exists():
            raise InvalidValue(f"there is an account for {maker} on {venue.value} already")
        account.save(force_insert=True)
        _seal(sealer, account, SealedSecret.Kind.PRIVATE_KEY, secret_key)
        _seal(sealer, account, SealedSecret.Kind.API_KEY, api_key.strip().encode())
        _seal(sealer, account, SealedSecret.Kind.PROXY_URL, proxy_url.strip().encode())
        _audit("account.created", account, by, source, after=_public(account))
        transaction.on_commit(announce_unannounced)
    return account


def update_account(
    account_id: UUID,
    *,
    by: User | str,
    name: str | None = None,
    tags: Iterable[str] | None = None,
    notes: str | None = None,
    private_key: str | None = None,
    api_key: str | None = None,
    proxy_url: str | None = None,
    limits: dict[str, Decimal | None] | None = None,
    reason: str = "",
    source: str = SYSTEM,
) -> Account:
    """Change what is given and leave the rest. A secret given empty is removed (a private key cannot be).

    A new private key must belong to the same address: another address is another account.
    """
    with transaction.atomic():
        account = Account.objects.select_for_update().get(pk=account_id)
        before = _public(account)
        if name is not None:
            account.name = _check_name(name)
            if Account.objects.filter(name=account.name).exclude(pk=account.pk).exists():
                raise InvalidValue(f"there is an account named {account.name} already: choose another name")
        if tags is not None:
            account.tags = _check_tags(tags)
        if notes is not None:
            account.notes = notes
        for limit, value in (limits or {}).items():
            if limit not in LIMITS:
                raise InvalidValue(f"there is no limit {limit!r}: known are {', '.join(LIMITS)}")
            setattr(account, limit, _check_limit(limit, value))
        if private_key is not None:
            owner, secret_key = _check_key(private_key)
            if owner != (account.owner_address or account.address):
                raise InvalidValue(f"this key belongs to {owner}, not to this account: register another account")
            _seal(Sealer(settings.VAULT_PUBLIC_KEY_FILE), account, SealedSecret.Kind.PRIVATE_KEY, secret_key)
        if api_key is not None:
            _replace(account, SealedSecret.Kind.API_KEY, api_key.strip())
        if proxy_url is not None:
            account.proxy_label = _check_proxy(proxy_url)
            _replace(account, SealedSecret.Kind.PROXY_URL, proxy_url.strip())
        account.save()
        secrets = [
            kind
            for kind, given in (("private_key", private_key), ("api_key", api_key), ("proxy_url", proxy_url))
            if given is not None
        ]
        after = _public(account) | ({"replaced": ", ".join(secrets)} if secrets else {})
        _audit("account.changed", account, by, source, before=before, after=after, reason=reason)
        _publish_change_after_commit(account, "configuration", "")
    return account


def change_account_state(
    account_id: UUID, state: TradingState | str, *, by: User | str, reason: str, source: str = SYSTEM
) -> Account:
    """Halt, reduce or activate one account, with a reason. Holds from the next order on."""
    wanted = TradingState(state)
    with transaction.atomic():
        account = Account.objects.select_for_update().get(pk=account_id)
        before = {"state": account.state, "reason": account.state_reason}
        account.state, account.state_reason = wanted.value, reason[:255]
        account.save(update_fields=["state", "state_reason", "updated_at"])
        _audit(
            "account.state_changed",
            account,
            by,
            source,
            before=before,
            after={"state": wanted.value, "reason": reason},
            reason=reason,
        )
        kind, platform = AlertKind.ACCOUNT_HALTED, Platform(account.platform)
        key = key_of(kind, str(account.pk))
        if wanted is TradingState.HALTED:
            told = f"{by} halted it: {reason}"
            raise_alert(KINDS[kind].severity, kind, account.name, told, dedup_key=key, platform=platform)
        else:
            resolve_alerts([key], timezone.now())
        _publish_change_after_commit(account, "state", wanted.value)
    return account


def announce_unannounced() -> int:
    """Publish `account_created` of every account not announced yet; returns how many. Called after each creation,
    and every minute, for those whose creator died between the commit and the publish."""
    waiting = list(Account.objects.filter(announced_at__isnull=True).order_by("created_at")[:500])
    if not waiting:
        return 0
    try:
        with connect_now(settings.REDIS_URL) as bus:
            for account in waiting:
                publish_now(bus, ACCOUNT_EVENTS, created_event(account))
                # Not through save(): it would look like a change of the account.
                Account.objects.filter(pk=account.pk).update(announced_at=timezone.now())
    except redis.RedisError as error:
        log.warning("accounts_unannounced", accounts=len(waiting), error=type(error).__name__)
        return 0
    return len(waiting)


def created_event(account: Account) -> Event:
    """The account's `account_created`; the same event however often it is made."""
    return Event(
        id=event_id("account_created", str(account.pk)),
        platform=Platform(account.platform),
        timestamp=account.created_at,
        data=AccountCreated(
            account_id=str(account.pk),
            account_name=account.name,
            address=account.address,
            tags=tuple(account.tags),
        ),
    )


def _publish_change_after_commit(account: Account, what: str, value: str) -> None:
    now = timezone.now()
    event = Event(
        id=event_id("account_changed", str(account.pk), what, now.isoformat()),
        platform=Platform(account.platform),
        timestamp=now,
        data=AccountChanged(account_id=str(account.pk), account_name=account.name, what=what, value=value),
    )

    def publish() -> None:
        try:
            with connect_now(settings.REDIS_URL) as bus:
                publish_now(bus, ACCOUNT_EVENTS, event)
        except redis.RedisError as error:
            log.warning("account_change_unannounced", account=account.name, error=type(error).__name__)

    transaction.on_commit(publish)


def _seal(sealer: Sealer, account: Account, kind: SealedSecret.Kind, secret: bytes) -> None:
    if secret:
        SealedSecret.objects.update_or_create(
            account=account, kind=kind, defaults={"sealed": sealer.seal(secret), "vault_key": sealer.fingerprint}
        )


def _replace(account: Account, kind: SealedSecret.Kind, secret: str) -> None:
    if secret:
        _seal(Sealer(settings.VAULT_PUBLIC_KEY_FILE), account, kind, secret.encode())
    else:
        SealedSecret.objects.filter(account=account, kind=kind).delete()


def _check_key(private_key: str) -> tuple[str, bytes]:
    """(its address, its 32 bytes). The error never repeats what was given."""
    digits = private_key.strip().removeprefix("0x").removeprefix("0X")
    try:
        secret = bytes.fromhex(digits)
        if len(secret) != 32:
            raise ValueError
        return PrivateKey(secret).public_key.to_checksum_address(), secret
    except Exception:
        # From None: the cause's text may hold the key.
        raise InvalidValue("the private key must be 64 hex digits, with or without 0x") from None


def _check_maker(address: str, owner: str, kind: SignerKind) -> str:
    given = address.strip()
    if not given:
        if kind is SignerKind.EOA:
            return owner
        raise InvalidValue("give the smart account's own (deposit) address: it does not follow from the key")
    if not _ADDRESS.fullmatch(given):
        raise InvalidValue("the address must be 0x and 40 hex digits")
    digits = given[2:]
    if digits not in (digits.lower(), digits.upper()) and not is_checksum_address(given):
        raise InvalidValue(f"the checksum of {given} is wrong: a letter was mistyped")
    maker = str(to_checksum_address(given))
    if kind is SignerKind.EOA and maker != owner:
        raise InvalidValue(f"the key belongs to {owner}, not to {maker}: for a smart account choose its signer kind")
    if kind is not SignerKind.EOA and maker == owner:
        raise InvalidValue(f"{maker} is the key's own address: give the smart account's (deposit) address")
    return maker


def _check_proxy(proxy_url: str) -> str:
    """The proxy's host:port, for show; empty without a proxy. The error never repeats the URL: it holds a password."""
    given = proxy_url.strip()
    if not given:
        return ""
    try:
        parts = urlsplit(given)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme not in PROXY_SCHEMES or not host or not port:
        raise InvalidValue(f"the proxy must be {', '.join(f'{s}://' for s in PROXY_SCHEMES)} with a host and a port")
    return f"{host}:{port}"


def _check_name(name: str) -> str:
    given = name.strip()
    if not _NAME.fullmatch(given):
        raise InvalidValue("the name must have 1 to 64 characters on one line")
    try:
        UUID(given)
    except ValueError:
        return given
    raise InvalidValue("the name must not look like an account id")


def _check_tags(tags: Iterable[str]) -> list[str]:
    cleaned = list(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))
    if any(len(tag) > 32 for tag in cleaned):
        raise InvalidValue("a tag has at most 32 characters")
    return cleaned


def _check_limit(name: str, value: Decimal | None) -> Decimal | None:
    if value is not None and (not value.is_finite() or value < 0):
        raise InvalidValue(f"{name} must be zero or more, or empty for no limit")
    return value


def _platform(platform: Platform | str) -> Platform:
    try:
        return Platform(platform)
    except ValueError:
        raise InvalidValue(f"there is no platform {platform!r}: known are {', '.join(Platform)}") from None


def _public(account: Account) -> dict[str, Any]:
    return {
        "name": account.name,
        "platform": account.platform,
        "address": account.address,
        "signer_kind": account.signer_kind,
        "tags": list(account.tags),
        "notes": account.notes,
        "proxy": account.proxy_label,
        **{limit: None if (value := getattr(account, limit)) is None else str(value) for limit in LIMITS},
    }


def _audit(action: str, account: Account, by: User | str, source: str, **fields: Any) -> None:
    record_audit(
        action, user=by if isinstance(by, User) else None, who=str(by), subject=account, source=source, **fields
    )
