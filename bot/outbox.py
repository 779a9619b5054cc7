"""The outbox: every message is a row before it leaves and says afterwards that it left.

A row is claimed (`sending`) in a transaction of its own before Telegram is asked. A bot that dies in between leaves
it claimed: nobody can know whether it arrived, so the next bot sends it again and says that it may be a repeat.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q

from accounts.models import Account
from bot.hedges import load_hedge_words
from bot.models import Kind, OutboxMessage, TelegramChat
from bot.notices import Notice, due_at, held_until, wants
from bot.replies import MOST_TEXT, NEW, Button, Reply, bold
from identity.roles import Role
from trading.enums import Severity

REPEAT = "a first try had no answer"
LINES = 15
"""Of a group that one message shows; the rest is counted."""
GATHERED = 500
KEEP = timedelta(days=30)
NO_HEDGES: Mapping[str, str] = {}

WAITING, SENDING = OutboxMessage.Status.WAITING, OutboxMessage.Status.SENDING
SENT, FAILED = OutboxMessage.Status.SENT, OutboxMessage.Status.FAILED


@dataclass(frozen=True)
class Parcel:
    """What leaves as one message: one row, or all that waited of one group."""

    ids: tuple[int, ...]
    telegram_id: int
    reply: Reply
    silent: bool


def load_chats() -> list[TelegramChat]:
    """Every chat that may hear anything: linked, not blocked by us or by its person, the person active with a role."""
    people = Q(user__is_superuser=True) | Q(user__groups__name__in=[role.value for role in Role])
    chats = TelegramChat.objects.select_related("user").filter(
        people, is_blocked=False, is_deaf=False, user__is_active=True
    )
    return list(chats.distinct())


def load_sight(chats: Iterable[TelegramChat]) -> dict[int, set[UUID]]:
    """The accounts whose tags a chat's person sees, by chat; people who see every account are not in it."""
    scoped = [chat for chat in chats if chat.user.account_tags]
    return {
        chat.pk: set(Account.objects.filter(tags__overlap=chat.user.account_tags).values_list("pk", flat=True))
        for chat in scoped
    }


def record_notices(notices: Sequence[Notice], now: datetime, chats: Sequence[TelegramChat] | None = None) -> None:
    """A row for every chat that wants to hear, once per fact however often it is recorded."""
    if not notices:
        return
    chats = load_chats() if chats is None else chats
    seen = load_sight(chats)
    rows = [
        OutboxMessage(
            chat=chat,
            key=notice.key[:200],
            kind=notice.kind.value,
            group=notice.group,
            text=notice.text,
            buttons=[[[button.label, button.action, dict(button.arguments)] for button in notice.buttons]],
            silent=notice.severity is Severity.INFO,
            priority=1 if notice.severity is Severity.CRITICAL else 0,
            due_at=due_at(chat, notice.severity, notice.kind, now),
            created_at=now,
        )
        for notice in notices
        for chat in chats
        if wants(chat, notice, seen.get(chat.pk))
    ]
    OutboxMessage.objects.bulk_create(rows, ignore_conflicts=True, batch_size=1000)


def record_reply(chat: TelegramChat, key: str, reply: Reply, now: datetime, kind: Kind = Kind.ALERT) -> bool:
    """An answer or a report as a row; False when it was recorded before."""
    row = OutboxMessage(
        chat=chat,
        key=key[:200],
        kind=kind.value,
        text=reply.text,
        buttons=[[[b.label, b.action, dict(b.arguments)] for b in line if b.action] for line in reply.buttons],
        picture=reply.picture,
        document=reply.document,
        document_name=reply.document_name,
        priority=2 if reply.is_urgent else 0,
        due_at=now,
        created_at=now,
    )
    known = OutboxMessage.objects.filter(chat=chat, key=row.key).exists()
    OutboxMessage.objects.bulk_create([row], ignore_conflicts=True)
    return not known


def release_held(chat: TelegramChat, now: datetime) -> int:
    """The chat's wishes have changed: what was held back leaves when the new ones allow, at once if they do."""
    held = OutboxMessage.objects.filter(chat=chat, status=WAITING, due_at__gt=now, reason="", priority=0)
    return held.update(due_at=held_until(chat, now))


def requeue_uncertain(now: datetime) -> int:
    """What a bot before us had claimed and not answered for waits again, marked. Called once, when we take over."""
    return OutboxMessage.objects.filter(status=SENDING).update(status=WAITING, reason=REPEAT, due_at=now)


def claim_due(now: datetime, resting: Collection[int] = ()) -> list[Parcel]:
    """Claim the next parcel of each chat that is not in `resting` (Telegram ids)."""
    claimed: list[list[OutboxMessage]] = []
    with transaction.atomic():
        due = OutboxMessage.objects.filter(status=WAITING, due_at__lte=now, chat__is_deaf=False, chat__is_blocked=False)
        heads = due.exclude(chat__telegram_id__in=list(resting)).select_related("chat__user")
        heads = heads.order_by("chat_id", "-priority", "id").distinct("chat_id")
        for head in heads:
            rows = _gather(head)
            OutboxMessage.objects.filter(id__in=[row.id for row in rows]).update(
                status=SENDING, attempts=F("attempts") + 1
            )
            for row in rows:
                row.chat = head.chat
            claimed.append(rows)
        hedges = load_hedge_words({trace for rows in claimed for row in rows if (trace := _traced(row))})
    return [pack(rows, rows[0].chat.telegram_id, hedges) for rows in claimed]


def _gather(head: OutboxMessage) -> list[OutboxMessage]:
    """`head`, and what waits with it in its group, due or not: one message less is one disturbance less."""
    if not head.group or head.reason:
        return [head]
    mates = OutboxMessage.objects.filter(
        chat_id=head.chat_id,
        group=head.group,
        status=WAITING,
        reason="",
        due_at__lte=head.due_at + timedelta(minutes=1),
    )
    return list(mates.order_by("id")[:GATHERED])


def pack(rows: Sequence[OutboxMessage], telegram_id: int, hedges: Mapping[str, str] = NO_HEDGES) -> Parcel:
    """The message of these rows. `hedges` are what to say of a fill whose order was a hedge, by the order's hash."""
    ids = tuple(row.id for row in rows)
    first = rows[0]
    if len(rows) == 1:
        note = f"↻ Perhaps a repeat: {REPEAT}.\n" if first.reason == REPEAT else ""
        reply = Reply(
            note + _told(first, hedges),
            buttons=_buttons(first.buttons),
            picture=None if first.picture is None else bytes(first.picture),
            document=None if first.document is None else bytes(first.document),
            document_name=first.document_name,
        )
        return Parcel(ids, telegram_id, reply, first.silent)
    shown: list[str] = []
    for row in rows[:LINES]:
        told = _told(row, hedges)
        if sum(map(len, shown)) + len(told) > MOST_TEXT - 200:
            break
        shown.append(told)
    lines = [bold(f"{len(rows)} × {Kind(first.kind).label}"), *shown]
    if len(rows) > len(shown):
        lines.append(f"… and {len(rows) - len(shown)} more.")
    return Parcel(ids, telegram_id, Reply("\n".join(lines), buttons=_group_buttons(first.kind)), first.silent)


def _traced(row: OutboxMessage) -> str:
    """The hash of the order a fill's row is about."""
    if row.kind != Kind.FILL or row.chat.user.account_tags:  # who sees only some accounts is not told of others
        return ""
    found = (given.get("hash", "") for line in row.buttons for _, action, given in line if action == "trace")
    return str(next(found, ""))


def _told(row: OutboxMessage, hedges: Mapping[str, str]) -> str:
    """A fill's line says what it hedged. That is looked up as it leaves, when the order's times are known."""
    hedge = hedges.get(_traced(row), "")
    return f"{row.text} · {hedge}" if hedge else row.text


def mark_sent(ids: Iterable[int], message_id: int, now: datetime) -> None:
    OutboxMessage.objects.filter(id__in=list(ids), status=SENDING).update(
        status=SENT, message_id=message_id, sent_at=now, picture=None, document=None
    )


def mark_waiting(ids: Iterable[int], at: datetime, *, uncertain: bool = False) -> None:
    """It did not leave, or nobody knows: it waits until `at`."""
    changes: dict[str, Any] = {"status": WAITING, "due_at": at} | ({"reason": REPEAT} if uncertain else {})
    OutboxMessage.objects.filter(id__in=list(ids), status=SENDING).update(**changes)


def mark_failed(ids: Iterable[int], reason: str) -> None:
    """Telegram will never take it."""
    OutboxMessage.objects.filter(id__in=list(ids), status=SENDING).update(status=FAILED, reason=reason[:255])


def forget_old(now: datetime) -> int:
    """Remove what was settled long ago; its keys are no longer needed, because no event is that late."""
    settled = OutboxMessage.objects.filter(created_at__lt=now - KEEP, status__in=[SENT, FAILED])
    return settled.delete()[0]


def _buttons(rows: list[list[list[Any]]]) -> list[list[Button]]:
    """A press on an alert answers below it: the alert itself stays."""
    return [[Button(label, action, {**arguments, NEW: 1}) for label, action, arguments in row] for row in rows if row]


def _group_buttons(kind: str) -> list[list[Button]]:
    if kind == Kind.FILL:
        return [[Button("Fills", "fills", {NEW: 1}), Button("Settings", "settings", {NEW: 1})]]
    if kind in (Kind.ORDER_ERROR, Kind.ORDER_UNKNOWN):
        return [[Button("Orders", "orders", {NEW: 1}), Button("Settings", "settings", {NEW: 1})]]
    return [[Button("Open alerts", "alerts", {NEW: 1}), Button("Settings", "settings", {NEW: 1})]]
