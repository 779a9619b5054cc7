"""From events and rows to messages: told once, to who asked for it, when they want to hear it."""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from uuid import uuid4

import msgspec
import pytest
from django.utils import timezone

from accounts.models import EquityPoint
from accounts.registration import change_account_state
from accounts.stop import pull_stop
from alerts.kinds import AlertKind
from alerts.models import Alert
from alerts.raising import raise_alert
from bot.access import Speaker
from bot.commands.alerting import change_wishes, mute_for
from bot.commands.registry import Request
from bot.models import Kind, OutboxMessage, TelegramChat
from bot.notices import due_at, handle_event, kind_of, quiet_end, wants
from bot.outbox import record_notices
from bot.watch import missed_notices, record_owed, record_summary
from identity.models import AuditEntry, User
from strategies.control import Actor, stop_strategy
from tests.bot.conftest import BotThread, Person, wait_for
from tests.desk_rows import DeskRows, make_fill
from trading.enums import Action, OrderStatus, Outcome, Platform, Severity
from trading.events import (
    ACCOUNT_EVENTS,
    FILL_EVENTS,
    TRADE_EVENTS,
    AccountChanged,
    Event,
    Fill,
    FillFailed,
    TradeExecuted,
)

Link = Callable[..., Person]
Publish = Callable[[str, Event], None]


def fill(desk: DeskRows, shares: int = 10, *, account: int = 0, at: datetime | None = None) -> Event:
    who = desk.pairs[account].primary
    data = Fill(
        account_id=str(who.pk),
        account_name=who.name,
        market_id="100",
        side=Outcome.YES,
        action=Action.BUY,
        price=Decimal("0.55"),
        shares=Decimal(shares),
        order_hash="0x" + "1" * 64,
        trade_id=str(uuid4()),
    )
    return Event(id=uuid4(), timestamp=at or datetime.now(UTC), platform=Platform.PREDICT, data=data)


def refused(desk: DeskRows, status: OrderStatus, origin: str = "strategy") -> Event:
    who = desk.pairs[0].hedge
    data = TradeExecuted(
        account_id=str(who.pk),
        account_name=who.name,
        market_id="100",
        side=Outcome.NO,
        action=Action.BUY,
        price=Decimal("0.45"),
        shares=Decimal(10),
        order_hash="0x" + "2" * 64,
        client_order_id=str(uuid4()),
        status=status,
        origin=origin,
        reason="max_order: 10 <shares>",
    )
    return Event(id=uuid4(), timestamp=datetime.now(UTC), platform=Platform.PREDICT, data=data)


def leave_at_once() -> None:
    OutboxMessage.objects.filter(status="waiting").update(due_at=timezone.now())


def test_fills_are_grouped_and_told_once(
    bot: BotThread, link: Link, viewer: User, desk: DeskRows, publish: Publish
) -> None:
    person = link(viewer)
    events = [fill(desk, shares) for shares in range(10, 31)]
    for event in [*events, *events[:5]]:
        publish(FILL_EVENTS, event)
    wait_for(lambda: OutboxMessage.objects.count() == 21)
    leave_at_once()
    said = wait_for(person.texts)
    assert said[0].startswith("21 × fills")
    assert said[0].endswith("… and 6 more.")
    assert "buy 10 yes @ 0.55 · predict-01 · Will BTC close above 120,000 on Friday?" in said[0]
    wait_for(lambda: not OutboxMessage.objects.exclude(status="sent").exists())
    assert len(person.texts()) == 1


def test_refused_and_unknown_orders_are_told(
    bot: BotThread, link: Link, trader: User, desk: DeskRows, publish: Publish
) -> None:
    person = link(trader)
    publish(TRADE_EVENTS, refused(desk, OrderStatus.DENIED, origin="quoter"))
    publish(TRADE_EVENTS, refused(desk, OrderStatus.ACCEPTED))
    publish(TRADE_EVENTS, refused(desk, OrderStatus.DENIED))
    publish(TRADE_EVENTS, refused(desk, OrderStatus.UNKNOWN))
    wait_for(lambda: OutboxMessage.objects.count() == 2)
    leave_at_once()
    wait_for(lambda: len(person.texts()) == 2)
    denied, unknown = sorted(person.texts())
    assert "max_order: 10 <shares>" in denied
    assert "Order unknown: it may trade" in unknown
    message = next(m for m in person.heard() if "unknown" in m["plain"])
    asked = person.press(message, "Halt account")
    assert "Halt predict-02?" in asked["plain"]
    assert next(m for m in person.heard() if m["message_id"] == message["message_id"])["plain"] == unknown


def test_chat_hears_only_what_it_asked_for(
    bot: BotThread, link: Link, viewer: User, trader: User, operator: User, desk: DeskRows, publish: Publish
) -> None:
    wanted = desk.pairs[0].primary.pk
    link(viewer, fill_least=Decimal(50))
    link(trader, accounts=[wanted])
    link(operator, kinds=[Kind.HALT.value])
    publish(FILL_EVENTS, fill(desk, 10))
    publish(FILL_EVENTS, fill(desk, 60, account=1))
    data = AccountChanged(account_id=str(wanted), account_name="predict-01", what="state", value="reducing")
    publish(ACCOUNT_EVENTS, Event(id=uuid4(), timestamp=datetime.now(UTC), platform=Platform.PREDICT, data=data))
    wait_for(lambda: OutboxMessage.objects.count() == 5)
    told = sorted(OutboxMessage.objects.values_list("chat__user__username", "kind"))
    assert told == [
        ("operator", "halt"), ("trader", "fill"), ("trader", "halt"), ("viewer", "fill"), ("viewer", "halt"),
    ]  # fmt: skip


def test_events_from_before_the_link_are_not_told(
    bot: BotThread, link: Link, viewer: User, desk: DeskRows, publish: Publish
) -> None:
    link(viewer)
    publish(FILL_EVENTS, fill(desk, 10, at=datetime.now(UTC) - timedelta(hours=2)))
    publish(FILL_EVENTS, fill(desk, 20))
    wait_for(lambda: OutboxMessage.objects.exists())
    assert "buy 20" in OutboxMessage.objects.get().text


def test_alert_is_acknowledged_by_its_button(bot: BotThread, link: Link, trader: User, viewer: User) -> None:
    person, other = link(trader), link(viewer)
    alert_id = raise_alert(Severity.CRITICAL, "proxy_down", "predict-01", "The <proxy> does not answer")
    message = wait_for(person.heard)[0]
    assert "The <proxy> does not answer" in message["plain"]
    theirs = wait_for(other.heard)[0]
    assert "needs the role trader" in other.press(theirs, "Acknowledge")["plain"]
    assert "Acknowledged by you" in person.press(message, "Acknowledge")["plain"]
    assert Alert.objects.get(pk=alert_id).acknowledged_by == trader
    assert AuditEntry.objects.filter(action="alert.acknowledged", user=trader, source="bot").exists()
    assert OutboxMessage.objects.count() == 2


def test_dust_that_waits_for_more_is_not_told(database_url: str, viewer: User, desk: DeskRows) -> None:
    chat = TelegramChat.objects.create(user=viewer, telegram_id=5, linked_at=timezone.now())
    exposure = desk.exposures[0]
    exposure.need, exposure.unhedged_since = Decimal("0.4"), timezone.now() - timedelta(hours=2)
    exposure.reason = "dust"
    exposure.save()
    record_owed([chat], timezone.now())
    assert not OutboxMessage.objects.exists()
    exposure.reason = "dust_overdue"
    exposure.save()
    record_owed([chat], timezone.now())
    assert OutboxMessage.objects.get().kind == "unhedged"


def test_unhedged_too_long_is_told_once_while_it_lasts(
    bot: BotThread, link: Link, viewer: User, trader: User, desk: DeskRows
) -> None:
    patient, person = link(trader, unhedged_after_s=3600), link(viewer, unhedged_after_s=30)
    exposure = desk.exposures[0]
    exposure.need, exposure.unhedged_since = Decimal("-12.5"), timezone.now() - timedelta(minutes=2)
    exposure.save()
    wait_for(lambda: OutboxMessage.objects.filter(kind="unhedged").exists())
    leave_at_once()
    wait_for(lambda: any("12.5 shares unhedged for 2 min · predict-01 → predict-02" in t for t in person.texts()))
    exposure.need = Decimal("-250")
    exposure.save()
    wait_for(lambda: OutboxMessage.objects.filter(kind="imbalance").count() == 2)
    assert OutboxMessage.objects.filter(kind="unhedged").count() == 1
    assert not any("unhedged" in text for text in patient.texts())


@pytest.mark.parametrize(
    ("at", "end"),
    [
        ("2026-03-01T23:30+00:00", "2026-03-02T07:00+00:00"),
        ("2026-03-02T06:59+00:00", "2026-03-02T07:00+00:00"),
        ("2026-03-02T07:00+00:00", None),
        ("2026-03-02T12:00+00:00", None),
    ],
)
def test_quiet_hours_span_midnight(at: str, end: str | None) -> None:
    chat = TelegramChat(quiet_from=time(22), quiet_to=time(7))
    assert quiet_end(chat, datetime.fromisoformat(at)) == (datetime.fromisoformat(end) if end else None)


def test_quiet_and_muted_chats_hear_critical_at_once() -> None:
    now = datetime(2026, 3, 1, 23, tzinfo=UTC)
    chat = TelegramChat(quiet_from=time(22), quiet_to=time(7), muted_until=now + timedelta(hours=20))
    assert due_at(chat, Severity.CRITICAL, Kind.ALERT, now) == now
    assert due_at(chat, Severity.WARNING, Kind.ALERT, now) == now + timedelta(hours=20)
    chat.muted_until = None
    assert due_at(chat, Severity.WARNING, Kind.ALERT, now) == datetime(2026, 3, 2, 7, tzinfo=UTC)


def test_muted_chat_hears_afterwards(
    bot: BotThread, link: Link, viewer: User, desk: DeskRows, publish: Publish
) -> None:
    person = link(viewer)
    assert "Muted until" in person.ask("/mute 2h")["plain"]
    publish(TRADE_EVENTS, refused(desk, OrderStatus.REJECTED))
    wait_for(lambda: OutboxMessage.objects.filter(due_at__gt=timezone.now() + timedelta(hours=1)).exists())
    person.ask("/mute off")
    wait_for(lambda: any("Order rejected" in text for text in person.texts()))


def test_wishes_are_changed_by_words_and_buttons(bot: BotThread, link: Link, viewer: User, desk: DeskRows) -> None:
    person = link(viewer)
    for words in ("quiet 22:00-07:30", "fills 25", "accounts predict-01,predict-03", "unhedged 45", "imbalance 7"):
        assert "What this chat hears of" in person.ask(f"/alerts {words}")["plain"]
    assert "Usage" in person.ask("/alerts quiet 25:00-07:00")["plain"]
    assert "no account nobody" in person.ask("/alerts accounts nobody")["plain"]
    person.press(person.ask("/alerts summary 9"), "✅ fills")
    chat = TelegramChat.objects.get()
    assert (chat.quiet_from, chat.quiet_to, chat.fill_least) == (time(22), time(7, 30), Decimal(25))
    assert (chat.unhedged_after_s, chat.imbalance_least, chat.summary_hour) == (45, Decimal(7), 9)
    assert len(chat.accounts) == 2
    assert Kind.FILL not in chat.kinds


def test_summary_comes_once_a_day_with_a_picture(bot: BotThread, link: Link, viewer: User, desk: DeskRows) -> None:
    now = timezone.now()
    for at, realized in ((now - timedelta(hours=25), "-1.5"), (now, "2")):
        EquityPoint.objects.create(at=at, collateral=100, value=0, cost=0, realized=Decimal(realized), accounts=2)
    person = link(viewer)
    chat = TelegramChat.objects.get()
    chat.linked_at, chat.summary_hour = now - timedelta(days=2), 0
    chat.save()
    said = wait_for(person.heard)[0]
    assert said["kind"] == "photo"
    assert "24 hours: +3.50 USDT" in said["plain"]
    chat.refresh_from_db()
    assert record_summary(chat, timezone.now()) is False
    assert len(person.heard()) == 1


def test_fill_of_a_hedge_says_what_it_hedges(
    bot: BotThread, link: Link, viewer: User, desk: DeskRows, publish: Publish
) -> None:
    person = link(viewer)
    primary, order = make_fill(desk.exposures[0], timezone.now(), 1, latency_us=17_340)
    order.save()
    hedge = Fill(
        account_id=str(order.account_id),
        account_name=order.account.name,
        market_id="100",
        side=Outcome.NO,
        action=Action.BUY,
        price=Decimal("0.45"),
        shares=Decimal(20),
        order_hash=order.order_hash,
        trade_id="hedge-1",
    )
    publish(FILL_EVENTS, fill(desk, 20))
    publish(FILL_EVENTS, Event(id=uuid4(), timestamp=datetime.now(UTC), platform=Platform.PREDICT, data=hedge))
    wait_for(lambda: OutboxMessage.objects.count() == 2)
    leave_at_once()
    said = wait_for(person.texts)[0].splitlines()
    assert said[0] == "2 × fills"
    assert sorted(said[1:]) == [
        "buy 20 no @ 0.45 · predict-02 · Will BTC close above 120,000 on Friday? · hedge of predict-01, 17.3 ms",
        "buy 20 yes @ 0.55 · predict-01 · Will BTC close above 120,000 on Friday?",
    ]
    row = primary
    row.pk, row.account, row.order_hash, row.exposure_id = None, order.account, order.order_hash, order.exposure_id
    row.save()
    assert "predict-02 · hedge of predict-01, 17.3 ms · matched" in person.ask("/fills")["plain"]


def test_refused_hedge_is_called_a_hedge(desk: DeskRows) -> None:
    event = refused(desk, OrderStatus.REJECTED)
    hedge = msgspec.structs.replace(event.data, exposure_id=str(desk.exposures[0].pk))
    told = handle_event(msgspec.structs.replace(event, data=hedge))
    assert told is not None
    assert "Hedge rejected" in told.text


def test_every_kind_of_alert_has_a_switch() -> None:
    """Only what concerns no trading may stand under `every other alert`."""
    assert {kind for kind in AlertKind if kind_of(kind) is Kind.ALERT} == {AlertKind.DEAD_LETTERS}
    assert kind_of("proxy_down") is Kind.CONNECTION
    assert kind_of("nothing_known") is Kind.ALERT


@pytest.mark.parametrize(
    ("dedup_key", "subject", "accounts", "traced"),
    [
        ("unreconciled:{account}", "predict-01", 1, False),
        ("hedge_rejected:{exposure}", "delta neutral: predict-01 in predict:100", 2, False),
        ("hedge_rejected:{exposure}", "delta neutral: predict-01 in Who wins: predict-05, or not?", 2, False),
        ("order_unknown:{order}", "an order", 1, True),
        ("imbalance:x", "predict-01 in predict:100", 1, False),
        ("engine_missing:engine", "the desk", 0, False),
    ],
)
def test_alert_knows_its_accounts_and_its_order(
    dedup_key: str, subject: str, accounts: int, traced: bool, desk: DeskRows
) -> None:
    _, order = make_fill(desk.exposures[0], timezone.now(), 1)
    order.save()
    pair = desk.pairs[0]
    key = dedup_key.format(account=pair.primary_id, exposure=desk.exposures[0].pk, order=order.pk)
    kind = dedup_key.partition(":")[0]
    raise_alert(Severity.WARNING, kind, subject, "words", dedup_key=key)
    (notice,) = missed_notices(timezone.now())
    assert len(notice.account_ids) == accounts
    labels = [button.label for button in notice.buttons]
    assert labels[0] == "Acknowledge"
    assert ("Trace" in labels) is traced
    assert ("Halt account…" in labels) is (accounts == 1)
    other = TelegramChat(kinds=list(Kind.values), linked_at=timezone.now() - timedelta(1), accounts=[uuid4()])
    assert wants(other, notice) is (accounts == 0)
    other.accounts.append(pair.primary_id if accounts != 1 or not traced else order.account_id)
    assert wants(other, notice)


def test_alert_is_traced_and_its_account_halted_by_its_buttons(
    bot: BotThread, link: Link, trader: User, viewer: User, desk: DeskRows
) -> None:
    person, other = link(trader), link(viewer)
    _, order = make_fill(desk.exposures[0], timezone.now(), 1)
    order.save()
    key = f"order_unknown:{order.pk}"
    raise_alert(Severity.CRITICAL, AlertKind.ORDER_UNKNOWN, "predict-02 in predict:100", "five minutes", dedup_key=key)
    message = wait_for(person.heard)[0]
    assert "Order of unknown outcome" in message["plain"]
    assert "Recovery keeps asking." in message["plain"]
    assert "hedge of predict-01" in person.press(message, "Trace")["plain"]
    asked = person.press(message, "Halt account")
    assert "is halted" in person.press(person.press(asked, "Halt"), "Yes")["plain"]
    order.account.refresh_from_db()
    assert order.account.state == "halted"
    entry = AuditEntry.objects.get(action="account.state_changed")
    assert (entry.user, entry.who, entry.source) == (trader, "trader", "bot")
    theirs = wait_for(other.heard)[0]
    assert "needs the role trader" in other.press(theirs, "Halt account")["plain"]


def test_each_stop_and_halt_is_told_once(
    bot: BotThread, link: Link, viewer: User, trader: User, desk: DeskRows, publish: Publish
) -> None:
    """Each is an event and an alert."""
    link(viewer)
    change_account_state(desk.pairs[0].primary_id, "halted", by=trader, reason="looks <odd>")
    stop_strategy(desk.strategy.pk, by=Actor(trader, "bot"), reason="no book")
    pull_stop("no_new", trader, "all of it")
    failed = fill(desk, 10)
    lost = FillFailed(**msgspec.structs.asdict(failed.data))
    publish(FILL_EVENTS, msgspec.structs.replace(failed, data=lost))
    raise_alert(Severity.WARNING, AlertKind.SETTLEMENT_FAILED, "predict-01 in predict:100", "the same")
    raise_alert(Severity.WARNING, AlertKind.DEAD_LETTERS, "fill_events", "the last")
    wait_for(lambda: OutboxMessage.objects.filter(kind="alert").exists())
    wait_for(lambda: OutboxMessage.objects.filter(kind="reconcile").exists())
    record_notices(missed_notices(timezone.now()), timezone.now())
    halts = sorted(OutboxMessage.objects.filter(kind="halt").values_list("text", flat=True))
    assert len(halts) == 3, halts
    assert "<b>predict-01</b>: trader halted it: looks &lt;odd&gt;" in "".join(halts)
    assert "<b>delta neutral</b>: trader stopped it: no book" in "".join(halts)
    assert "The desk stopped</b>, by trader: all of it" in "".join(halts)
    assert OutboxMessage.objects.filter(kind="reconcile").count() == 1


def test_unmuted_chat_still_keeps_its_quiet_hours(database_url: str, viewer: User) -> None:
    now = datetime(2026, 3, 1, 23, tzinfo=UTC)
    chat = TelegramChat.objects.create(
        user=viewer, telegram_id=5, linked_at=now, quiet_from=time(22), quiet_to=time(7), muted_until=now + timedelta(2)
    )
    request = Request(Speaker(viewer, chat), now, arguments={"minutes": 0})
    morning = datetime(2026, 3, 2, 7, tzinfo=UTC)
    for key, priority, due in (("held", 0, chat.muted_until), ("critical", 1, now)):
        OutboxMessage.objects.create(chat=chat, key=key, text=key, due_at=due or now, created_at=now, priority=priority)
    assert "after the quiet hours" in mute_for(request).text
    assert dict(OutboxMessage.objects.values_list("key", "due_at")) == {"held": morning, "critical": now}
    change_wishes(Request(Speaker(viewer, chat), now, words=("quiet", "off")))
    assert OutboxMessage.objects.get(key="held").due_at == now
