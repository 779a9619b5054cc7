"""What is worth telling, and to whom. Pure: an event in, a notice or nothing out; a chat's wishes decide the rest.

A notice's key follows from its fact alone, so that an event read twice is told once.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

from alerts.kinds import AlertKind, advice_of, title_of
from bot.models import Kind, TelegramChat
from bot.replies import Button, amount, bold, clip, esc
from bot.subjects import NOTHING, About, Subjects
from markets.models import market_key
from trading.enums import OrderOrigin, OrderStatus, Severity, TradingState
from trading.events import (
    AccountChanged,
    AlertRaised,
    DeskStopped,
    Event,
    Fill,
    FillFailed,
    StrategyChanged,
    TradeExecuted,
)
from trading.values import price_text

GROUP_S: Mapping[Kind, int] = {
    Kind.FILL: 20,
    Kind.CONNECTION: 5,
    Kind.ORDER_ERROR: 3,
    Kind.ORDER_UNKNOWN: 3,
}
"""How long the first of a kind waits for more, to leave as one message. Others wait a second."""
PROGRAMS = frozenset({OrderOrigin.QUOTER.value, OrderOrigin.REHEARSAL.value})
"""Their refused orders are part of how they work, not a person's concern."""
SIGNS = {Severity.INFO: "·", Severity.WARNING: "⚠️", Severity.CRITICAL: "🛑"}
_KINDS: Mapping[AlertKind, Kind] = {
    AlertKind.ORDER_UNKNOWN: Kind.ORDER_UNKNOWN,
    AlertKind.HEDGE_REJECTED: Kind.ORDER_ERROR,
    AlertKind.SETTLEMENT_FAILED: Kind.RECONCILE,
    AlertKind.SETTLEMENT_SLOW: Kind.RECONCILE,
    AlertKind.RECONCILE_DIFFERENCE: Kind.RECONCILE,
    AlertKind.UNRECONCILED: Kind.RECONCILE,
    AlertKind.VENUE_UNREACHABLE: Kind.RECONCILE,
    AlertKind.DUST_OVERDUE: Kind.UNHEDGED,
    AlertKind.RUNG_STUCK: Kind.UNHEDGED,
    AlertKind.NO_ACCOUNT: Kind.UNHEDGED,
    AlertKind.MARKET_CLOSED: Kind.UNHEDGED,
    AlertKind.LADDER_ALTERNATE: Kind.UNHEDGED,
    AlertKind.LADDER_UNWIND: Kind.UNHEDGED,
    AlertKind.IMBALANCE: Kind.IMBALANCE,
    AlertKind.CONNECTION_LOST: Kind.CONNECTION,
    AlertKind.ENGINE_MISSING: Kind.CONNECTION,
    AlertKind.LADDER_PAUSED: Kind.HALT,
    AlertKind.DESK_STOPPED: Kind.HALT,
    AlertKind.ACCOUNT_HALTED: Kind.HALT,
    AlertKind.STRATEGY_HALTED: Kind.HALT,
}
TOLD_BY_EVENT = frozenset({AlertKind.DESK_STOPPED, AlertKind.SETTLEMENT_FAILED})
"""Alerts of what is told from its own event, so that each fact is told once: a stop is a row too, and a reversed fill
is on the bus before the ledger has it."""
_WORDS = (
    ("unhedged", Kind.UNHEDGED),
    ("imbalance", Kind.IMBALANCE),
    ("settle", Kind.RECONCILE),
    ("reconcil", Kind.RECONCILE),
    ("connect", Kind.CONNECTION),
    ("proxy", Kind.CONNECTION),
    ("unknown", Kind.ORDER_UNKNOWN),
    ("rejected", Kind.ORDER_ERROR),
    ("halted", Kind.HALT),
)
"""For kinds of another build."""


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One thing to tell."""

    key: str
    kind: Kind
    severity: Severity
    text: str
    """One or two lines of Telegram HTML."""
    at: datetime
    account_ids: tuple[UUID, ...] = ()
    """The accounts it concerns; none for what concerns the desk."""
    size: Decimal | None = None
    is_alert: bool = False
    """An alert whose words may name any account."""
    buttons: tuple[Button, ...] = ()

    @property
    def group(self) -> str:
        """Notices of one group may become one message; a critical one stands alone."""
        return "" if self.severity is Severity.CRITICAL else str(self.kind.value)


def kind_of(alert_kind: str) -> Kind:
    """What a chat chooses alerts of this kind by."""
    if alert_kind in AlertKind.__members__.values():
        return _KINDS.get(AlertKind(alert_kind), Kind.ALERT)
    return next((kind for word, kind in _WORDS if word in alert_kind), Kind.ALERT)


def handle_event(event: Event, subjects: Subjects = NOTHING) -> Notice | None:
    """The notice in `event`, if there is one."""
    data = event.data
    if isinstance(data, Fill | FillFailed):
        return _execution(event, data, subjects.titles)
    if isinstance(data, TradeExecuted):
        return _order(event, data, subjects.titles)
    if isinstance(data, AccountChanged):
        return _account(event, data)
    if isinstance(data, StrategyChanged) and data.what in ("started", "reducing"):  # a stop is an alert
        severity = Severity.INFO if data.what == "started" else Severity.WARNING
        return Notice(
            key=f"event:{event.id}",
            kind=Kind.HALT,
            severity=severity,
            text=f"{SIGNS[severity]} Strategy {bold(data.strategy_name)} {esc(data.what)}.",
            at=event.timestamp,
            buttons=(Button("Strategies", "strategies"),),
        )
    if isinstance(data, DeskStopped):
        what = "stopped" if data.level else "trades again"
        severity = Severity.CRITICAL if data.level else Severity.WARNING
        return Notice(
            key=f"desk:{data.generation}",
            kind=Kind.HALT,
            severity=severity,
            text=f"{SIGNS[severity]} {bold(f'The desk {what}')}, by {esc(data.by)}: {esc(data.reason or 'no reason')}",
            at=event.timestamp,
            buttons=(Button("Status", "status"), Button("How far it is", "stop_progress")) if data.level else (),
        )
    if isinstance(data, AlertRaised) and data.kind not in TOLD_BY_EVENT:
        return _alert(event, data, subjects.alerts.get(data.alert_id, About()))
    return None


def wants(chat: TelegramChat, notice: Notice, seen: Collection[UUID] | None = None) -> bool:
    """Whether the chat asked to hear this. Who sees only the accounts `seen` hears of nothing else, and of no alert."""
    if seen is not None and (notice.is_alert or not notice.account_ids or set(notice.account_ids) - set(seen)):
        return False
    if notice.at < chat.linked_at or notice.kind not in chat.kinds:
        return False
    if notice.account_ids and chat.accounts and not set(notice.account_ids) & set(chat.accounts):
        return False
    return not (notice.kind is Kind.FILL and notice.size is not None and notice.size < chat.fill_least)


def due_at(chat: TelegramChat, severity: Severity, kind: Kind, now: datetime) -> datetime:
    """When it may leave: at once if critical, else after its group's wait, and not in quiet hours or while muted."""
    if severity is Severity.CRITICAL:
        return now
    return held_until(chat, now + timedelta(seconds=GROUP_S.get(kind, 1)))


def held_until(chat: TelegramChat, at: datetime) -> datetime:
    """The first moment from `at` on at which the chat is neither muted nor in its quiet hours."""
    if chat.muted_until is not None:
        at = max(at, chat.muted_until)
    return quiet_end(chat, at) or at


def quiet_end(chat: TelegramChat, at: datetime) -> datetime | None:
    """When the quiet hours that `at` lies in end; None outside them. Hours are UTC and may span midnight."""
    if chat.quiet_from is None or chat.quiet_to is None or chat.quiet_from == chat.quiet_to:
        return None
    clock = at.astimezone(UTC).time().replace(tzinfo=None)
    if not is_between(clock, chat.quiet_from, chat.quiet_to):
        return None
    end = datetime.combine(at.astimezone(UTC).date(), chat.quiet_to, UTC)
    return end if end > at else end + timedelta(days=1)


def is_between(clock: time, start: time, end: time) -> bool:
    return start <= clock < end if start < end else clock >= start or clock < end


def _alert(event: Event, data: AlertRaised, about: About) -> Notice:
    """An alert with what can be done about it: taken note of, traced, its account halted."""
    buttons = [Button("Acknowledge", "acknowledge", {"alert": data.alert_id})]
    if about.order_id is not None:
        buttons.append(Button("Trace", "trace", {"order": str(about.order_id)}))
    if len(about.account_ids) == 1 and data.kind != AlertKind.ACCOUNT_HALTED:
        buttons.append(Button("Halt account…", "halt_account", {"account": str(about.account_ids[0])}))
    advice = f"\n{esc(advice_of(data.kind))}" if advice_of(data.kind) else ""
    return Notice(
        key=f"alert:{data.alert_id}:{data.severity}",
        kind=kind_of(data.kind),
        severity=data.severity,
        text=f"{SIGNS[data.severity]} {bold(title_of(data.kind))} · {bold(data.subject)}: "
        f"{esc(clip(data.text, 600))}{advice}",
        at=event.timestamp,
        account_ids=about.account_ids,
        is_alert=data.kind != AlertKind.ACCOUNT_HALTED,
        buttons=tuple(buttons),
    )


def _execution(event: Event, data: Fill | FillFailed, titles: Mapping[str, str]) -> Notice:
    what = f"{data.action} {amount(data.shares)} {data.side} @ {price_text(data.price)}"
    where = f"{esc(data.account_name)} · {_title(event, data.market_id, titles)}"
    failed = isinstance(data, FillFailed)
    text = f"⚠️ {bold('Settlement failed')}: {what} · {where}" if failed else f"{bold(what)} · {where}"
    return Notice(
        key=f"event:{event.id}",
        kind=Kind.RECONCILE if failed else Kind.FILL,
        severity=Severity.WARNING if failed else Severity.INFO,
        text=text,
        at=event.timestamp,
        account_ids=_ids(data.account_id),
        size=data.shares,
        buttons=(
            Button("Trace", "trace", {"hash": data.order_hash}),
            *((Button("Open alerts", "alerts"),) if failed else ()),
        ),
    )


def _order(event: Event, data: TradeExecuted, titles: Mapping[str, str]) -> Notice | None:
    noun = "Hedge" if data.exposure_id else "Order"
    if data.status is OrderStatus.UNKNOWN:
        kind, head = Kind.ORDER_UNKNOWN, f"{noun} unknown: it may trade"
    elif data.status in (OrderStatus.DENIED, OrderStatus.REJECTED) and data.origin not in PROGRAMS:
        kind, head = Kind.ORDER_ERROR, f"{noun} {data.status}"
    else:
        return None
    what = f"{data.action} {amount(data.shares)} {data.side} @ {price_text(data.price)}"
    reason = f"\n{esc(clip(data.reason, 300))}" if data.reason else ""
    return Notice(
        key=f"order:{data.client_order_id}:{data.status}",
        kind=kind,
        severity=Severity.WARNING,
        text=f"⚠️ {bold(head)}: {what} · {esc(data.account_name)} · {_title(event, data.market_id, titles)}{reason}",
        at=event.timestamp,
        account_ids=_ids(data.account_id),
        size=data.shares,
        buttons=(
            Button("Trace", "trace", {"order": data.client_order_id}),
            Button("Halt account…", "halt_account", {"account": data.account_id}),
        ),
    )


def _account(event: Event, data: AccountChanged) -> Notice | None:
    if data.what == "state" and data.value != TradingState.HALTED:  # a halt is an alert, which says by whom and why
        kind, severity = Kind.HALT, Severity.INFO if data.value == "active" else Severity.WARNING
        text = f"{SIGNS[severity]} Account {bold(data.account_name)} is {esc(data.value)}."
    elif data.what == "connection" and data.value in ("connected", "unavailable", "offline"):
        kind, severity = Kind.CONNECTION, Severity.INFO if data.value == "connected" else Severity.WARNING
        text = f"{SIGNS[severity]} {bold(data.account_name)}: {esc(data.value)}"
    else:
        return None
    return Notice(
        key=f"event:{event.id}",
        kind=kind,
        severity=severity,
        text=text,
        at=event.timestamp,
        account_ids=_ids(data.account_id),
        buttons=(Button("Account", "account", {"account": data.account_id}),),
    )


def _title(event: Event, market_id: str, titles: Mapping[str, str]) -> str:
    key = market_key(event.platform.value if event.platform else "", market_id)
    return esc(clip(titles.get(key, market_id), 60))


def _ids(text: str) -> tuple[UUID, ...]:
    try:
        return (UUID(text),)
    except ValueError:
        return ()
