"""Looking into the desk: health, logs."""

import time
from datetime import timedelta
from typing import get_args

import redis
from django.conf import settings
from django.db import connection

from accounts import querysets as ledger
from accounts.models import Account, Order
from bot.commands.registry import Request, command
from bot.hands import Lane
from bot.models import OutboxMessage
from bot.replies import Button, Reply, bold, clip, code, esc
from identity.roles import Role
from streams.connection import connect_now
from streams.names import EVENT_STREAMS
from trading.events import Facts
from warehouse.clickhouse import OUTAGES, connect
from warehouse.queries import EventFilter, load_events

MOST_LOGGED = 1000
EVENT_TYPES = frozenset(facts.type for facts in get_args(Facts))


@command("health", Role.VIEWER, "whether every part answers", lane=Lane.URGENT)
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
