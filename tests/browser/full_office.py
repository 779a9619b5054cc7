"""What happens around a trading desk, so that no list of the admin is empty: people and their tokens, chats and what
they were told, tests of connections, reconciles, limits, alerts, the audit log, dead letters.

Wherever the product has a function for it, the row is that function's.
"""

from datetime import datetime, timedelta
from decimal import Decimal

import redis
from django.contrib.auth.models import Group
from django.utils import timezone

from accounts.connection_test import STEPS
from accounts.models import Account, ConnectionTest, Order, Reconciliation
from accounts.registration import change_account_state, update_account
from accounts.states import change_market_limit, change_venue_state
from accounts.watching import watch_desk
from alerts.conditions import key_of
from alerts.kinds import AlertKind
from alerts.models import Alert
from alerts.raising import acknowledge, raise_alert
from bot.linking import make_code, redeem_code, set_blocked
from bot.models import Callback, OutboxMessage, SeenUpdate, TelegramChat
from identity.models import User
from identity.roles import Role
from identity.tokens import issue_token, revoke_token
from markets.models import Market
from strategies.models import Imbalance
from streams.names import ALL_STREAMS, FIELD, dead_letter_stream, groups_of
from streams.replays import Plan, carry_out, record_replay
from trading.enums import Platform, Severity, TradingState
from trading.events import FILL_EVENTS, TRADE_EVENTS
from trading.values import text

REPLAY = "0" * 32
"""The token of a replay that is under way."""
CHAT, BLOCKED = 7_001, 7_002
"""Two people's Telegram ids, obviously nobody's."""


def make_office(redis_url: str) -> None:
    """Everything; the desk and the person `operator` are there already."""
    now = timezone.now()
    operator = User.objects.get(username="operator")
    trader = make_person("quinn", "trader", now)
    make_person("vera", "viewer", now)
    add_tokens(operator, trader, now)
    change_limits(operator)
    add_looks(now)
    with redis.Redis.from_url(redis_url) as bus:
        plant_dead_letters(bus)
        raise_alerts(operator, trader, now)
        add_chats(operator, trader, now)
        for stream in ALL_STREAMS:  # Whoever reads has read everything.
            for group in groups_of(stream):
                bus.xgroup_create(stream, group.name, "$", mkstream=True)


def make_person(name: str, role: str, now: datetime) -> User:
    """Somebody of the desk."""
    person = User.objects.create_user(name, f"{name}@desk.invalid", first_name=name.title(), is_staff=True)
    person.last_login = now - timedelta(hours=1)
    person.save()
    person.groups.add(Group.objects.get(name=role))
    return person


def add_tokens(operator: User, trader: User, now: datetime) -> None:
    """Three programs' keys: one in use, one of a trader's, one revoked."""
    month = now + timedelta(days=30)
    used, _ = issue_token(operator, "grafana", role=Role.VIEWER, by=operator, now=now, expires_at=month)
    used.last_used_at = now
    used.save()
    issue_token(trader, "own quoter", role=Role.TRADER, by=trader, now=now, expires_at=month, account_tags=["maker"])
    old, _ = issue_token(operator, "a script of last week", role=Role.ADMIN, by=operator, now=now, expires_at=month)
    revoke_token(old, by=operator, now=now, reason="it is not run any more")


def change_limits(operator: User) -> None:
    """What a person set: accounts, venues, markets."""
    halted, tagged = Account.objects.get(name="predict-03"), Account.objects.get(name="predict-02")
    change_account_state(halted.pk, TradingState.HALTED, by=operator, reason="venue drill", source="page")
    update_account(tagged.pk, by=operator, limits={"max_order": Decimal(500)}, reason="its first week", source="admin")
    change_venue_state(
        Platform.POLYMARKET, TradingState.HALTED, by=operator, reason="no account there yet", source="admin"
    )
    change_venue_state(Platform.PREDICT, TradingState.ACTIVE, by=operator, reason="the drill is over", source="admin")
    change_market_limit(
        None, max_position=Decimal(5_000), price_band=Decimal("0.2"), by=operator, reason="first week", source="admin"
    )
    owing = Market.objects.get(market_id="102")
    held = sum(position.size for position in owing.positions.filter(outcome="no"))
    change_market_limit(
        owing.pk, max_position=held, price_band=None, by=operator, reason="the bill is uncertain", source="admin"
    )


def add_looks(now: datetime) -> None:
    """Connection tests, reconciles, and one venue that holds more than the ledger says."""
    fine, away = Account.objects.get(name="predict-02"), Account.objects.get(name="predict-04")
    told = ("the vault opened its key", "the venue answered", "the venue took the login", "5,000.00 USDT", "1 holding",
            "the stream spoke")  # fmt: skip
    steps = [
        {"name": name, "state": "ok", "text": words, "took_ms": 20 + 9 * n}
        for n, (name, words) in enumerate(zip(STEPS, told, strict=True))
    ]
    problem = "The proxy did not answer within 12 s: look whether it runs, then test again."
    lost: list[dict[str, object]] = [{"name": name, "state": "skipped", "text": "", "took_ms": None} for name in STEPS]
    lost[0] = steps[0]
    lost[1] = {"name": STEPS[1], "state": "failed", "text": problem, "took_ms": 12_000}
    for account, found, said, minutes in ((fine, steps, "", 50), (away, lost, problem, 12)):
        at = now - timedelta(minutes=minutes)
        ConnectionTest.objects.create(
            account=account, status="failed" if said else "passed", steps=found, problem=said, asked_by="quinn",
            asked_at=at, started_at=at + timedelta(seconds=1), finished_at=at + timedelta(seconds=14),
        )  # fmt: skip
    looked = now - timedelta(seconds=14)
    Reconciliation.objects.bulk_create(
        Reconciliation(account=account, checked_at=looked, agreed_at=looked) for account in Account.objects.all()
    )
    market = Market.objects.get(market_id="103")
    apart = Account.objects.get(name="predict-08")
    held = apart.positions.get(market=market, outcome="no").size
    row = Imbalance.objects.create(
        account=apart, market_key=market.pk, outcome="no", at_venue=held + 4, in_ledger=held, difference=4, believed=4,
        reads=3, first_seen_at=now - timedelta(minutes=2), read_at=looked,
    )  # fmt: skip
    said = f"{market.pk} no: the venue holds {text(row.at_venue)}, the ledger says {text(held)}."
    apart.reconciliation.agreed_at = apart.reconciliation.failing_since = row.first_seen_at
    apart.reconciliation.tries, apart.reconciliation.positions_apart = 3, 1
    apart.reconciliation.explanations = [said]
    apart.reconciliation.save()
    gone = Account.objects.get(name="predict-04")
    gone.reconciliation.agreed_at = gone.reconciliation.unreachable_since = now - timedelta(minutes=4)
    gone.reconciliation.explanations = ["The proxy did not answer."]
    gone.reconciliation.save()
    Account.objects.filter(pk=gone.pk).update(reconciled_at=now - timedelta(minutes=4))


def raise_alerts(operator: User, trader: User, now: datetime) -> None:
    """What the desk's own look finds, the difference at the venue, and two that are over."""
    market = Market.objects.get(market_id="103")
    row = Imbalance.objects.get()
    raise_alert(
        Severity.WARNING, AlertKind.IMBALANCE, f"{row.account.name} in {market}",
        f"The venue holds {text(row.at_venue)} no, the ledger says {text(row.in_ledger)}: 4 shares apart in 3 reads.",
        dedup_key=key_of(AlertKind.IMBALANCE, f"{row.account_id}:{market.pk}:no"), now=now,
    )  # fmt: skip
    for name, kind, words in (
        ("predict-05", AlertKind.SETTLEMENT_SLOW, "2 fills, 70 shares, matched up to 3 min ago."),
        ("predict-07", AlertKind.HEDGE_REJECTED, "The venue refused a hedge: rate_limited. It is tried again."),
    ):
        at = now - timedelta(hours=1)
        raise_alert(Severity.WARNING, kind, name, words, dedup_key=f"{kind}:{name}", now=at)
    slow, refused = (Alert.objects.get(subject=name) for name in ("predict-05", "predict-07"))
    Alert.objects.filter(pk=slow.pk).update(resolved_at=now - timedelta(minutes=55))
    acknowledge(refused.pk, trader, now - timedelta(minutes=50))
    Alert.objects.filter(pk=refused.pk).update(resolved_at=now - timedelta(minutes=40))
    watch_desk(now)


def add_chats(operator: User, trader: User, now: datetime) -> None:
    """A chat that is told of the alerts, one that is blocked, codes, buttons and what was taken from Telegram."""
    for person, number in ((operator, CHAT), (trader, BLOCKED)):
        redeem_code(make_code(person, person, now), number, person.username, now)
    make_code(User.objects.get(username="vera"), operator, now, source="admin")
    set_blocked(TelegramChat.objects.get(telegram_id=BLOCKED), True, operator, "the telephone is lost", source="admin")
    chat = TelegramChat.objects.get(telegram_id=CHAT)
    unknown = Order.objects.get(status="unknown")
    for number, alert in enumerate(Alert.objects.filter(resolved_at__isnull=True).order_by("raised_at")):
        status = ("sent", "sent", "waiting", "failed")[number % 4]
        at = now - timedelta(minutes=9 - number)
        OutboxMessage.objects.create(
            chat=chat, key=f"alert:{alert.pk}", kind="order_unknown" if alert.kind == "order_unknown" else "alert",
            text=f"<b>{alert.subject}</b>: {alert.text}",
            buttons=[[["Acknowledge", "acknowledge", {"alert": str(alert.pk)}]]],
            status=status, attempts=0 if status == "waiting" else 1, due_at=at, created_at=at,
            sent_at=at if status == "sent" else None, message_id=100 + number if status == "sent" else None,
            reason="Telegram answered 400: message is too long" if status == "failed" else "",
        )  # fmt: skip
    Callback.objects.create(
        telegram_id=CHAT, action="trace", arguments={"order": str(unknown.pk)}, expires_at=now + Callback.LIFE
    )
    Callback.objects.create(
        telegram_id=CHAT, action="halt_account", arguments={"account": "predict-03"}, is_once=True, used_at=now,
        expires_at=now + Callback.LIFE,
    )  # fmt: skip
    SeenUpdate.objects.bulk_create(SeenUpdate(update_id=880_000 + n, at=now - timedelta(minutes=n)) for n in range(8))


def plant_dead_letters(bus: redis.Redis) -> None:
    """Letters of two streams, and a replay of the first that has put back a part of them."""
    for number in range(112):
        body = b'{"type": "order_update", "data": {"n": %d}}' % number
        last = plant(bus, TRADE_EVENTS, body, "database away")
    plan = Plan(TRADE_EVENTS, last, (), 112, "operator", "the database is back")
    next(carry_out(bus, record_replay(bus, REPLAY, plan)))  # and the rest is still to come
    plant(bus, FILL_EVENTS, b'{"type": "fill", "data": {"trade_id": "t-1"}}', "no account a1")
    plant(bus, FILL_EVENTS, b"\xff", "not JSON")


def plant(bus: redis.Redis, stream: str, body: bytes, why: str) -> str:
    """A dead letter; its entry id."""
    told = {FIELD: body, b"group": b"strategies", b"reason": why, b"original_id": b"1-1", b"deliveries": b"5"}
    return bus.xadd(dead_letter_stream(stream), told).decode()
