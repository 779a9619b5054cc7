"""The desk as a whole: the emergency stop, trading again, health, logs.

The stop runs in threads of its own (`hands`), is not throttled, and its answers wait for no turn.
"""

import time
from datetime import timedelta
from typing import get_args

import redis
from django.conf import settings
from django.db import connection

from accounts import querysets as ledger
from accounts.levels import CANCEL_ALL, FLATTEN, HEDGE_ONLY, LEVELS, NO_NEW, is_milder
from accounts.models import Account, Order
from accounts.stop import lift_stop, pull_stop
from bot.commands.registry import CONFIRM_LIFE, Request, action, ask_twice, command
from bot.models import OutboxMessage
from bot.replies import Button, Reply, age, bold, clip, code, esc
from identity.models import AuditEntry
from identity.roles import Role
from strategies import querysets as strategies
from streams.connection import connect_now
from streams.names import EVENT_STREAMS
from trading.events import Facts
from warehouse.clickhouse import OUTAGES, connect
from warehouse.queries import EventFilter, load_events

BOT = AuditEntry.Source.BOT.value
MOST_LOGGED = 1000
EVENT_TYPES = frozenset(facts.type for facts in get_args(Facts))
LEVEL_TEXTS = {
    HEDGE_ONLY: ("Hedges only", "hedges still leave; nothing else does."),
    NO_NEW: ("No new orders", "no further order leaves, from any process. What rests at the venues can still fill."),
    CANCEL_ALL: ("Cancel all", "no further order leaves, and every resting order is taken off its book."),
    FLATTEN: ("Flatten", "every resting order is cancelled, and what the accounts hold is sold at the market's price."),
}
"""Each level's name on a button, and what it does."""


@command("stop", Role.TRADER, "the emergency stop", usage="/stop [reason]", is_urgent=True)
def stop(request: Request) -> Reply:
    """What a stop would touch, with a button for each level. Reads five small things and waits for nothing."""
    desk, leases = ledger.load_desk(), ledger.load_fresh_leases(request.now)
    flying = ledger.count_in_flight()
    already = f"It is already stopped ({esc(desk.level)}), by {esc(desk.changed_by)}.\n" if desk.stopped else ""
    levels = [level for level in LEVELS if not (desk.stopped and is_milder(level, desk.level))]
    text = (
        f"{bold('Stop the desk?')} ({settings.MODE.value.upper()})\n{already}"
        f"Engines that must confirm: {len(leases)}\n"
        f"Strategies that will not hedge: {strategies.count_active_strategies()}\n"
        f"Accounts that will not trade: {ledger.count_active_accounts()}\n"
        f"Orders still at the venues: {sum(flying.values())}, of them unknown: {flying.get('unknown', 0)}\n"
        + "\n".join(f"{bold(name)}: {does}" for name, does in map(describe_level, levels))
    )
    reason = request.rest or "from Telegram"
    buttons = [
        Button(f"{describe_level(level)[0]}…", "stop_level", {"level": level, "reason": reason}, True, CONFIRM_LIFE)
        for level in levels
    ]
    rows = [buttons[i : i + 2] for i in range(0, len(buttons), 2)]
    return Reply(text, buttons=[*rows, [Button("Keep trading", "dismiss")]], is_urgent=True)


@action("stop_level", Role.TRADER, is_urgent=True)
def stop_level(request: Request) -> Reply:
    """The second question."""
    name, does = describe_level(request.arguments["level"])
    yes = Button("Yes: stop now", "stop_now", dict(request.arguments), is_once=True, life=CONFIRM_LIFE)
    return Reply(
        f"{bold(name)}: {does} So it stays until an admin lifts it.\n"
        f"{bold('Are you sure?')} This question ends in {CONFIRM_LIFE.seconds} s.",
        buttons=[[yes, Button("Keep trading", "dismiss")]],
        is_urgent=True,
    )


def describe_level(level: str) -> tuple[str, str]:
    """A level's name and what it does; one this room has no words for is called by its own."""
    return LEVEL_TEXTS.get(level, (level, "see the documentation of the stop."))


@action("stop_now", Role.TRADER, is_urgent=True)
def stop_now(request: Request) -> Reply:
    """Stop, and say who confirmed. When this answers, no further order leaves."""
    level = request.arguments["level"]
    try:
        receipt = pull_stop(level, request.speaker.user, request.arguments["reason"], source=BOT)
    except ValueError as error:
        return Reply(f"Not changed: {esc(error)}", is_urgent=True)
    late = f"\nNo word from {esc(', '.join(receipt.expired))}: their leases have run out." if receipt.expired else ""
    confirmed = f"{len(receipt.confirmed)} engines confirmed after {receipt.waited_ms} ms."
    return Reply(
        f"🛑 {bold('Stopped.')} {esc(describe_level(level)[0])}: {confirmed}{late}",
        buttons=[[Button("Status", "status"), Button("Trade again…", "resume")]],
        is_urgent=True,
    )


@command("resume", Role.ADMIN, "lift the stop", usage="/resume [reason]", is_urgent=True)
def resume(request: Request) -> Reply:
    """Show why the desk is stopped, and ask."""
    desk = ledger.load_desk()
    if not desk.stopped:
        return Reply("The desk is not stopped.", is_urgent=True)
    text = (
        f"{bold('Trade again?')} ({settings.MODE.value.upper()})\nStopped {age(desk.changed_at, request.now)} ago by "
        f"{esc(desk.changed_by)}: {esc(desk.reason)}\n"
        f"{strategies.count_active_strategies()} strategies will hedge what is owed at once."
    )
    return ask_twice(text, "Trade again", "resume_now", {"reason": request.rest or "from Telegram"}, is_urgent=True)


@action("resume_now", Role.ADMIN, is_urgent=True)
def resume_now(request: Request) -> Reply:
    """Lift the stop."""
    lift_stop(request.speaker.user, request.arguments["reason"], source=BOT)
    return Reply(f"✅ {bold('The desk trades again.')}", buttons=[[Button("Status", "status")]], is_urgent=True)


@command("health", Role.VIEWER, "whether every part answers", is_urgent=True)
def health(request: Request) -> Reply:
    """Databases, bus, engines, links, and the bot itself."""
    leases = ledger.load_fresh_leases(request.now)
    unavailable = Account.objects.exclude(connection=Account.Connection.CONNECTED).count()
    stuck = Order.objects.filter(status="unknown").count()
    waiting = OutboxMessage.objects.filter(status=OutboxMessage.Status.WAITING).count()
    lines = [
        bold("Health"),
        f"{_mark(True)} PostgreSQL: {_time_database()} ms",
        _redis_line(),
        _clickhouse_line(),
        f"{_mark(bool(leases))} engines: {', '.join(esc(lease.name) for lease in leases) or 'none'}",
        f"{_mark(not unavailable)} accounts not connected: {unavailable}",
        f"{_mark(not stuck)} orders unknown: {stuck}",
        f"{_mark(waiting < 100)} messages waiting for Telegram: {waiting}",
    ]
    return Reply("\n".join(lines), buttons=[[Button("Refresh", "health")]])


@command("logs", Role.TRADER, "the newest events, as a file", usage="/logs [event type or words]", topic="Desk")
def logs(request: Request) -> Reply:
    """The event log from ClickHouse, newest first."""
    words, since = clip(request.rest, 100), request.now - timedelta(days=1)
    wanted = EventFilter(type=words, since=since) if words in EVENT_TYPES else EventFilter(text=words, since=since)
    try:
        client = connect(settings.CLICKHOUSE_URL)
        try:
            events = load_events(client, wanted, MOST_LOGGED)
        finally:
            client.close()
    except OUTAGES as error:
        return Reply(f"ClickHouse does not answer ({esc(type(error).__name__)}); the events wait on the bus for it.")
    if not events:
        return Reply("No event of the last day has these words.")
    lines = [f"{e.timestamp:%F %T}\t{e.type}\t{e.account_name}\t{e.market_id}\t{e.data}" for e in events]
    head = "\n".join(code(f"{e.timestamp:%T} {e.type} {e.account_name}".strip()) for e in events[:5])
    text = f"{bold(f'{len(events)} events')}, newest first\n{head}"
    return Reply(text, document="\n".join(lines).encode(), document_name="events.tsv")


def _mark(fine: bool) -> str:
    return "✅" if fine else "❌"


def _time_database() -> int:
    began = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return round((time.monotonic() - began) * 1000)


def _redis_line() -> str:
    try:
        with connect_now(settings.REDIS_URL) as client:
            return f"{_mark(True)} Redis: {sum(int(client.xlen(name)) for name in EVENT_STREAMS)} messages on the bus"
    except redis.RedisError as error:
        return f"{_mark(False)} Redis: {type(error).__name__}"


def _clickhouse_line() -> str:
    try:
        client = connect(settings.CLICKHOUSE_URL)
        client.close()
    except OUTAGES as error:
        return f"{_mark(False)} ClickHouse: {type(error).__name__}"
    return f"{_mark(True)} ClickHouse"
