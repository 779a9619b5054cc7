"""Looks at the rows every few seconds for what no event says, or said while the bus was away; and the daily summary.

Whatever it finds becomes a notice with a key of its own, so a fact that was told is not told again.
"""

import asyncio
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import DatabaseError
from django.db.models import Q
from django.utils import timezone

from accounts import querysets as ledger
from accounts.models import Account
from alerts.kinds import AlertKind
from alerts.querysets import load_open
from bot.callbacks import forget_expired
from bot.hands import Hands, Lane
from bot.lead import pause
from bot.models import Kind, SeenUpdate, TelegramChat
from bot.notices import Notice, handle_event
from bot.outbox import forget_old, load_chats, record_notices, record_reply
from bot.replies import Button, Reply, age, amount, bold, clip, esc
from bot.results import describe, draw, load_result, money
from bot.subjects import load_subjects
from identity.roles import Role, has_role
from strategies.models import Exposure
from strategies.querysets import OPEN, load_open_shares
from strategies.reasons import Reason
from trading.enums import Severity
from trading.events import AlertRaised, DeskStopped, Event
from trading.ids import event_id
from trading.values import ZERO

LOOK_EVERY_S = 3.0
CLEAN_EVERY = timedelta(hours=1)
STALE_RECONCILE = timedelta(minutes=15)
LOOK_BACK = timedelta(days=2)
DAY = timedelta(hours=24)

log = structlog.get_logger()


class Watch:
    """One for the process that leads."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands
        self._next_clean = datetime.fromtimestamp(0, timezone.get_default_timezone())

    async def run(self, stop: asyncio.Event) -> None:
        """Look until `stop`."""
        while not stop.is_set():
            try:
                await self._hands.do(Lane.WATCH, self._look, timezone.now())
            except DatabaseError as error:
                log.warning("bot_watch_blind", error=type(error).__name__)
            await pause(LOOK_EVERY_S, stop)

    def _look(self, now: datetime) -> None:
        chats = load_chats()
        if chats:
            record_owed(chats, now)
            record_notices([*missed_notices(now), *stale_accounts(now)], now, chats)
            for chat in chats:
                record_summary(chat, now)
        if now >= self._next_clean:
            forget_expired(now)
            forget_old(now)
            SeenUpdate.objects.filter(at__lt=now - timedelta(days=3)).delete()
            self._next_clean = now + CLEAN_EVERY


def record_owed(chats: list[TelegramChat], now: datetime) -> None:
    """Shares unhedged too long, or too many of them, each by the chat's own measure; once while it lasts."""
    shortest = min(chat.unhedged_after_s for chat in chats)
    smallest = min(chat.imbalance_least for chat in chats)
    late = Q(unhedged_since__lte=now - timedelta(seconds=shortest))
    large = Q(need__gte=smallest) | Q(need__lte=-smallest)
    rows = Exposure.objects.filter(OPEN, late | large).defer("lots")
    rows = rows.select_related("strategy", "market", "primary_account", "hedge_account").order_by("id")
    owed = list(rows[:500])
    for chat in chats:
        notices = []
        for row in owed:
            since = row.unhedged_since or row.created_at
            waits = row.reason == Reason.DUST  # less than the venue takes: it waits for more, as it should
            if row.unhedged_since and not waits and (now - since).total_seconds() >= chat.unhedged_after_s:
                notices.append(_owed(Kind.UNHEDGED, row, since, now, f"unhedged for {age(since, now)}"))
            if abs(row.need) >= max(chat.imbalance_least, row.market.lot):
                notices.append(_owed(Kind.IMBALANCE, row, since, now, "out of balance"))
        record_notices(notices, now, [chat])


def _owed(kind: Kind, row: Exposure, since: datetime, now: datetime, what: str) -> Notice:
    reason = f"\n{esc(clip(row.reason, 120))}" if row.reason else ""
    return Notice(
        key=f"{kind.value}:{row.pk}:{since.isoformat()}",
        kind=kind,
        severity=Severity.WARNING,
        text=f"⚠️ {bold(f'{amount(abs(row.need))} shares {what}')} · {esc(row.primary_account.name)} → "
        f"{esc(row.hedge_account.name)} · {esc(clip(row.market.title, 48))}{reason}",
        at=now,
        account_ids=(row.primary_account.pk, row.hedge_account.pk),
        buttons=(
            Button("Exposure", "exposure"),
            Button("Halt account…", "halt_account", {"account": str(row.primary_account.pk)}),
        ),
    )


def missed_notices(now: datetime) -> list[Notice]:
    """Alerts and stops as their rows tell them, with the keys their events would have had."""
    events = [
        Event(
            id=event_id("alert", str(alert.pk), alert.severity),
            timestamp=alert.raised_at,
            data=AlertRaised(
                alert_id=str(alert.pk),
                severity=Severity(alert.severity),
                kind=alert.kind,
                subject=alert.subject,
                text=alert.text,
            ),
        )
        for alert in load_open().filter(raised_at__gte=now - LOOK_BACK)[:200]
    ]
    desk = ledger.load_desk()
    if desk.changed_at and desk.changed_at >= now - LOOK_BACK:
        level = desk.level if desk.stopped else ""
        stopped = DeskStopped(generation=desk.generation, level=level, by=desk.changed_by, reason=desk.reason)
        events.append(Event(id=event_id("desk", str(desk.generation)), timestamp=desk.changed_at, data=stopped))
    subjects = load_subjects(events)
    found = (handle_event(event, subjects) for event in events)
    return [notice for notice in found if notice is not None]


def stale_accounts(now: datetime) -> list[Notice]:
    """Accounts whose books nobody has compared with the venue for a while, and no alert of the reconcile says why."""
    told = load_open().filter(kind__in=[AlertKind.VENUE_UNREACHABLE, AlertKind.UNRECONCILED]).values("subject")
    rows = Account.objects.filter(reconciled_at__lt=now - STALE_RECONCILE, connection=Account.Connection.CONNECTED)
    rows = rows.exclude(name__in=told)
    return [
        Notice(
            key=f"reconcile:{row.pk}:{row.reconciled_at:%F %T}",
            kind=Kind.RECONCILE,
            severity=Severity.WARNING,
            text=f"⚠️ {bold(row.name)} was last reconciled {age(row.reconciled_at, now)} ago.",
            at=now,
            account_ids=(row.pk,),
            buttons=(Button("Account", "account", {"account": str(row.pk)}),),
        )
        for row in rows[:100]
    ]


def record_summary(chat: TelegramChat, now: datetime) -> bool:
    """The day's summary, once a day, from the chat's hour on; late if the bot was away. True when it was recorded."""
    at = now.replace(hour=chat.summary_hour, minute=0, second=0, microsecond=0)
    if now < at or chat.linked_at >= at or chat.summarized_on == now.date() or Kind.SUMMARY not in chat.kinds:
        return False
    if not has_role(chat.user, Role.VIEWER) or chat.user.account_tags:  # it tells of every account
        return False
    recorded = record_reply(chat, f"summary:{now:%F}", draw_summary(now), now, Kind.SUMMARY)
    TelegramChat.objects.filter(pk=chat.pk).update(summarized_on=now.date())
    return recorded


def draw_summary(now: datetime) -> Reply:
    """The last 24 hours in words and as a picture."""
    result = load_result(now)
    fills = sum(ledger.load_fill_counts(now - DAY).values())
    open_shares = sum(load_open_shares().values(), ZERO)
    text = (
        f"{bold(f'Daily summary, {now:%F}')} ({settings.MODE.value})\n"
        f"24 hours: {bold(money(result.day))} USDT, {fills} fills\n"
        f"{describe(result, now)}\nUnhedged now: {amount(open_shares)} shares"
    )
    buttons = [[Button("Status", "status"), Button("Exposure", "exposure")]]
    return Reply(text, picture=draw(result, now), buttons=buttons)
