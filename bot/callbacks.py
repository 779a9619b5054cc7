"""Buttons: callback data is an id and a signature (38 bytes of Telegram's 64); the meaning lies in our database.

A press counts when the signature is right, the presser is who the button was made for, it has not expired, and, for
what may happen only once, nobody pressed it before: that is settled by one conditional update.
"""

import base64
import binascii
import hashlib
import hmac
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.db.models import Q

from bot.models import Callback
from bot.replies import Button

MOST_BYTES = 64
_SIGNATURE_BYTES = 12


class Press(StrEnum):
    """What became of a press that did not count."""

    FORGED = "forged"
    EXPIRED = "expired"
    USED = "used"


def encode_data(callback_id: uuid.UUID, telegram_id: int) -> str:
    """What Telegram carries for us."""
    return _text(callback_id.bytes + _sign(callback_id, telegram_id))


def mint(rows: Sequence[Sequence[Button]], telegram_id: int, now: datetime) -> list[list[dict[str, str]]]:
    """Record the buttons for this chat and give their keyboard."""
    made: list[Callback] = []
    keyboard: list[list[dict[str, str]]] = []
    for row in rows:
        line = []
        for button in row:
            if button.inline is not None:
                line.append({"text": button.label, "switch_inline_query_current_chat": button.inline})
                continue
            callback = Callback(
                telegram_id=telegram_id,
                action=button.action,
                arguments=dict(button.arguments),
                is_once=button.is_once,
                expires_at=now + (button.life or Callback.LIFE),
            )
            made.append(callback)
            line.append({"text": button.label, "callback_data": encode_data(callback.id, telegram_id)})
        if line:
            keyboard.append(line)
    Callback.objects.bulk_create(made)
    return keyboard


def press(data: str, telegram_id: int, now: datetime) -> tuple[str, Mapping[str, Any]] | Press:
    """(action, arguments) of a press that counts, or why it does not."""
    callback_id = _decode(data, telegram_id)
    if callback_id is None:
        return Press.FORGED
    found = Callback.objects.filter(id=callback_id, telegram_id=telegram_id).first()
    if found is None or found.expires_at <= now:
        return Press.EXPIRED
    fresh = Callback.objects.filter(Q(is_once=False) | Q(used_at__isnull=True), id=callback_id, expires_at__gt=now)
    if fresh.update(used_at=now) != 1:
        return Press.USED
    return found.action, found.arguments


def forget_expired(now: datetime) -> int:
    """Remove buttons a while after their end, so that a late press still hears `expired`."""
    return Callback.objects.filter(expires_at__lt=now - timedelta(days=1)).delete()[0]


def _decode(data: str, telegram_id: int) -> uuid.UUID | None:
    try:
        raw = base64.urlsafe_b64decode(data + "=" * (-len(data) % 4))
    except (binascii.Error, ValueError):
        return None
    if len(raw) != 16 + _SIGNATURE_BYTES:
        return None
    callback_id = uuid.UUID(bytes=raw[:16])
    return callback_id if hmac.compare_digest(raw[16:], _sign(callback_id, telegram_id)) else None


def _sign(callback_id: uuid.UUID, telegram_id: int) -> bytes:
    key = hashlib.sha256(b"telegram callbacks:" + settings.SECRET_KEY.encode()).digest()
    return hmac.new(key, callback_id.bytes + str(telegram_id).encode(), hashlib.sha256).digest()[:_SIGNATURE_BYTES]


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
