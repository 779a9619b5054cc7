"""Linking a chat to a person by a one-time code from the web, and ending the link. Every step is audited."""

import hashlib
import secrets
from datetime import datetime, timedelta

from django.db import transaction

from bot.models import LinkCode, TelegramChat
from identity.audit import record_audit
from identity.models import AuditEntry, User
from identity.roles import Role, has_role
from trading.errors import InvalidValue

CODE_LIFE = timedelta(minutes=10)
ALPHABET = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
CODE_LENGTH = 12
"""12 letters of 30: 58 bits, for ten minutes, and few guesses are let through."""


def make_code(user: User, by: User, now: datetime, *, source: str = AuditEntry.Source.PAGE, reason: str = "") -> str:
    """A new code for `user`; earlier unused ones end. Raises InvalidValue for a person without a role."""
    if not has_role(user, Role.VIEWER):
        raise InvalidValue(f"{user} has no role, so the bot would not answer: give the role first")
    code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
    with transaction.atomic():
        LinkCode.objects.filter(user=user, used_at__isnull=True).delete()
        LinkCode.objects.create(user=user, digest=_digest(code), made_by=str(by), expires_at=now + CODE_LIFE)
        record_audit("telegram.code_made", user=by, subject=user, reason=reason, source=source, at=now)
    return code


def redeem_code(code: str, telegram_id: int, name: str, now: datetime) -> TelegramChat | None:
    """Link the chat to the code's person; None for a wrong, used or late code and for a blocked chat.

    A chat linked to somebody else changes hands: whoever holds it holds the code as well.
    """
    with transaction.atomic():
        found = LinkCode.objects.select_for_update().filter(
            digest=_digest(code.strip().upper()), used_at__isnull=True, expires_at__gt=now
        )
        row = found.select_related("user").first()
        if row is None or not has_role(row.user, Role.VIEWER):
            return None
        known = TelegramChat.objects.select_for_update().filter(telegram_id=telegram_id).first()
        if known is not None and known.is_blocked:
            return None
        row.used_at = now
        row.save(update_fields=["used_at"])
        chat = known or TelegramChat(telegram_id=telegram_id)
        chat.user, chat.name, chat.linked_at, chat.is_deaf = row.user, name[:128], now, False
        chat.save()
        record_audit(
            "telegram.linked",
            user=row.user,
            subject=chat,
            after={"telegram_id": telegram_id, "name": name},
            source=AuditEntry.Source.BOT,
            at=now,
        )
    return chat


def unlink(chat: TelegramChat, by: User, now: datetime, *, source: str = AuditEntry.Source.PAGE) -> None:
    """End the link; what waits for that chat is gone with it."""
    with transaction.atomic():
        record_audit(
            "telegram.unlinked", user=by, subject=chat, before={"telegram_id": chat.telegram_id}, source=source, at=now
        )
        chat.delete()


def set_blocked(chat: TelegramChat, blocked: bool, by: User, reason: str, *, source: str) -> None:
    """Shut a chat out, or let it in again."""
    with transaction.atomic():
        chat.is_blocked = blocked
        chat.save(update_fields=["is_blocked"])
        record_audit(
            "telegram.blocked" if blocked else "telegram.unblocked",
            user=by,
            subject=chat,
            reason=reason,
            source=source,
        )


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
