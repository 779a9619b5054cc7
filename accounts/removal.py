"""Removing an account that was never used. One with orders, fills or pairs stays in the books: it is halted instead."""

from uuid import UUID

import redis
import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import ProtectedError
from django.utils import timezone

from accounts.models import Account
from identity.audit import record_audit
from identity.models import AuditEntry, User
from streams.connection import connect_now
from streams.publisher import publish_now
from trading.enums import Platform
from trading.errors import InvalidValue
from trading.events import ACCOUNT_EVENTS, AccountChanged, Event
from trading.ids import event_id

log = structlog.get_logger()


class AccountInUse(InvalidValue):
    """The account has a history, or a pair names it."""


def remove_account(account_id: UUID, *, by: User, source: str = AuditEntry.Source.SYSTEM) -> None:
    """Remove the account and its sealed secrets for good. Raises AccountInUse, Account.DoesNotExist."""
    with transaction.atomic():
        account = Account.objects.select_for_update().get(pk=account_id)
        before = {"name": account.name, "platform": account.platform, "address": account.address, "tags": account.tags}
        try:
            with transaction.atomic():
                Account.objects.filter(pk=account_id).delete()
        except ProtectedError:
            raise AccountInUse(
                f"{account.name} has orders, fills, positions or pairs, which stay in the books: disable it instead"
            ) from None
        record_audit("account.removed", user=by, subject=account, before=before, source=source)
        now = timezone.now()
        event = Event(
            id=event_id("account_changed", str(account_id), "removed", now.isoformat()),
            platform=Platform(account.platform),
            timestamp=now,
            data=AccountChanged(account_id=str(account_id), account_name=account.name, what="removed"),
        )
        transaction.on_commit(lambda: _announce(event))


def _announce(event: Event) -> None:
    try:
        with connect_now(settings.REDIS_URL) as bus:
            publish_now(bus, ACCOUNT_EVENTS, event)
    except redis.RedisError as error:
        log.warning("account_removal_unannounced", error=type(error).__name__)
