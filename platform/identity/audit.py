"""Writing the audit log. Whoever changes something on a person's word calls `record_audit` in the same transaction."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.http import HttpRequest
from django.utils import timezone

from identity.models import AuditEntry, User
from web.requests import request_address

SECRET_WORDS = ("password", "secret", "private_key", "api_key", "proxy_url", "token_hash", "sealed", "signature")
HIDDEN = "[hidden]"


def record_audit(
    action: str,
    *,
    user: User | AnonymousUser | None = None,
    who: str = "",
    subject: models.Model | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
    source: str = AuditEntry.Source.SYSTEM,
    address: str | None = None,
    at: datetime | None = None,
) -> AuditEntry:
    """Add one entry. `who` names a process when no person acted. Values under secret names are hidden.

    `address` defaults to the one of the request being answered, if one is.
    """
    person = user if isinstance(user, User) else None
    return AuditEntry.objects.create(
        user=person,
        who=(who or (person.get_username() if person else "") or "nobody")[:150],
        action=action,
        object_type=subject._meta.label_lower if subject is not None else "",
        object_id=str(subject.pk) if subject is not None else "",
        object_name=str(subject)[:255] if subject is not None else "",
        before=hide_secrets(before),
        after=hide_secrets(after),
        reason=reason[:255],
        source=source,
        address=address or request_address(),
        at=at or timezone.now(),
    )


def record_request_audit(request: HttpRequest, action: str, **fields: Any) -> AuditEntry:
    """`record_audit` for what a signed-in person did in a browser: their name and address come from the request."""
    fields.setdefault("source", AuditEntry.Source.PAGE)
    return record_audit(action, user=request.user, address=request.META.get("REMOTE_ADDR"), **fields)


def hide_secrets(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A copy in which no value stands under a secret's name, at any depth."""
    if values is None:
        return None
    return {name: _hide(name, value) for name, value in values.items()}


def _hide(name: str, value: Any) -> Any:
    if any(word in name.lower() for word in SECRET_WORDS):
        return HIDDEN
    if isinstance(value, Mapping):
        return hide_secrets(value)
    if isinstance(value, list | tuple):
        return [_hide("", item) for item in value]
    return value
