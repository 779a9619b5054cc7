"""API tokens: made once, shown once, kept as a hash, found by it. Routers, the admin and `/ws` call this.

A token is 256 random bits, so one round of SHA-256 keeps it: there is nothing to guess. Its person's role and tags
bound it at every use; taking the person's role away takes it from their tokens.
"""

import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import sha256

from django.db import transaction
from django.db.models import Q

from identity.audit import record_audit
from identity.models import ApiToken, AuditEntry, User
from identity.roles import RANKS, Role, includes, load_role
from trading.errors import InvalidValue

PREFIX = "hdg_"
SECRET_BYTES = 32
LONGEST = timedelta(days=366)
NOTED_EVERY = timedelta(minutes=1)
"""`last_used_at` is written at most this often."""


def issue_token(
    user: User,
    name: str,
    *,
    role: Role,
    by: User,
    now: datetime,
    expires_at: datetime,
    account_tags: Iterable[str] = (),
    source: str = AuditEntry.Source.API,
) -> tuple[ApiToken, str]:
    """A new token and its secret, which nobody can read again. Raises InvalidValue that says what to change."""
    if not now < expires_at <= now + LONGEST:
        raise InvalidValue(f"a token must expire within {LONGEST.days} days from now: choose an earlier time")
    if not includes(load_role(user), role):
        raise InvalidValue(f"{user} has no role {role.value}: a token cannot have more than its person")
    tags = clean_tags(account_tags)
    if user.account_tags and not set(tags) <= set(user.account_tags):
        raise InvalidValue(f"{user} may only see accounts tagged {', '.join(user.account_tags)}: choose among these")
    secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    with transaction.atomic():
        token = ApiToken.objects.create(
            user=user,
            name=name,
            role=role.value,
            account_tags=tags,
            token_hash=hash_secret(secret),
            created_at=now,
            expires_at=expires_at,
        )
        record_audit("token.issued", user=by, subject=token, after=describe(token), source=source, at=now)
    return token, secret


def revoke_token(
    token: ApiToken, *, by: User, now: datetime, reason: str = "", source: str = AuditEntry.Source.API
) -> bool:
    """End the token at once; False when it had been revoked already."""
    with transaction.atomic():
        changed = ApiToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=now)
        if changed:
            record_audit(
                "token.revoked", user=by, subject=token, before=describe(token), reason=reason, source=source, at=now
            )
    return changed == 1


def load_token(secret: str, now: datetime) -> ApiToken | None:
    """The valid token this is, with its active person; notes that it was used. One query, rarely two."""
    if not secret.startswith(PREFIX):
        return None
    valid = ApiToken.objects.filter(revoked_at__isnull=True, expires_at__gt=now, user__is_active=True)
    token = valid.filter(token_hash=hash_secret(secret)).select_related("user").first()
    if token is None:
        return None
    if token.last_used_at is None or now - token.last_used_at > NOTED_EVERY:
        stale = Q(last_used_at__isnull=True) | Q(last_used_at__lt=now - NOTED_EVERY)
        ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)
    return token


def bound_role(held: Role | None, token: ApiToken) -> Role | None:
    """What the token may do for a person who has `held`: the lower of the two."""
    if held is None:
        return None
    return min(held, Role(token.role), key=lambda role: RANKS[role.value])


def bound_tags(user: User, token: ApiToken) -> frozenset[str] | None:
    """The tags of the accounts the token may see; None for every account, empty for none at all."""
    theirs = frozenset(user.account_tags) or None
    own = frozenset(token.account_tags) or None
    if theirs is None or own is None:
        return own or theirs
    return theirs & own


def hash_secret(secret: str) -> str:
    """What is kept of a token."""
    return sha256(secret.encode()).hexdigest()


def clean_tags(tags: Iterable[str]) -> list[str]:
    """Tags without blanks and repeats."""
    return list(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))


def describe(token: ApiToken) -> dict[str, object]:
    """What the audit log keeps of a token."""
    return {
        "name": token.name,
        "user": token.user.get_username(),
        "role": token.role,
        "account_tags": token.account_tags,
        "expires_at": token.expires_at,
    }
