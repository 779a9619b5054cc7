"""`/events`, `/trades` and `/dashboard/stats`: the record kept in ClickHouse, and the desk's figures at a glance."""

from datetime import datetime
from functools import cache
from threading import Lock
from typing import Annotated, Any
from uuid import UUID

import msgspec
import structlog
from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router, Schema
from pydantic import Field

from accounts.scope import load_account
from hedgerow.desk import load_state, load_summary
from identity.callers import Caller, caller_of, may, need_whole_desk
from identity.roles import Role
from streams.names import EVENT_STREAMS
from trading.enums import Platform
from warehouse.clickhouse import OUTAGES, Client, connect
from warehouse.queries import EventFilter, load_events, load_trades
from web.fields import EARLIEST, LATEST, Amount, Instant, Word
from web.paging import Page, PageQuery, bad_cursor, read_words, write_cursor
from web.problems import Problem

router = Router(tags=["record"])
log = structlog.get_logger()
_connecting = Lock()


class EventAnswer(Schema):
    """One event as the bus carried it; `data` is the seed's."""

    id: UUID
    stream: str
    type: str
    platform: str | None
    timestamp: datetime
    data: dict[str, Any]


class TradeRecord(Schema):
    """One line of the trade log: a fill, or a word on an order."""

    id: UUID
    type: str
    platform: str
    timestamp: datetime
    account_id: str
    account_name: str
    market_id: str
    side: str
    action: str
    price: Amount
    shares: Amount
    fee: Amount | None
    fee_kind: Annotated[str, Field(description="What the fee is in: `shares`, `collateral`, or empty without one.")]
    status: str
    order_hash: str
    trade_id: str
    latency_us: int | None


class TradeQuery(PageQuery):
    """Which trades."""

    account: Annotated[Word, Field(description="An account's id or name.")] = ""
    platform: Platform | None = None
    market_id: Word = ""
    type: Word = ""
    since: Instant | None = None


class EventQuery(TradeQuery):
    """Which events."""

    stream: Annotated[Word, Field(description=", ".join(EVENT_STREAMS))] = ""
    text: Annotated[Word, Field(description="Anywhere in the event, in any case.")] = ""


class Stats(Schema):
    """The desk at a glance. Latencies in microseconds from a fill's arrival to its hedge leaving."""

    stopped: bool
    accounts: int
    connected: int
    halted: int
    fills_today: int
    fills_last_minute: int
    hedges_last_minute: int
    in_flight: int
    unknown: int
    open_shares: Amount
    oldest_unhedged: datetime | None
    realized: Amount
    collateral: Amount
    latency_p50_us: int | None
    latency_p99_us: int | None
    latencies: int


@router.get("/events", auth=may(Role.VIEWER), response=Page[EventAnswer], summary="Search the event log")
def list_events(request: HttpRequest, asked: Query[EventQuery]) -> Any:
    """Events, newest first. Whoever sees only some accounts names one of them."""
    wanted = wanted_of(asked, caller_of(request), stream=asked.stream, text=asked.text)
    found = ask(load_events, wanted, asked.limit + 1)
    return paged(found, asked.limit, lambda row: {**plain(row), "data": msgspec.json.decode(row.data)})


@router.get("/trades", auth=may(Role.VIEWER), response=Page[TradeRecord], summary="Search the trade log")
def list_trades(request: HttpRequest, asked: Query[TradeQuery]) -> Any:
    """Fills and words on orders, newest first. Whoever sees only some accounts names one of them."""
    wanted = wanted_of(asked, caller_of(request))
    found = ask(lambda client, wanted, limit: load_trades(client, limit=limit, wanted=wanted), wanted, asked.limit + 1)
    return paged(found, asked.limit, plain)


@router.get("/dashboard/stats", auth=may(Role.VIEWER), response=Stats, summary="The desk at a glance")
def read_stats(request: HttpRequest) -> Any:
    """The figures of the desk page's tiles, over all accounts."""
    need_whole_desk(caller_of(request))
    now = timezone.now()
    summary = load_summary(now)
    return {
        **{name: summary[name] for name in Stats.model_fields if name in summary},
        "stopped": load_state(now)["desk"].stopped,
        "latency_p50_us": summary["p50_us"],
        "latency_p99_us": summary["p99_us"],
    }


def wanted_of(asked: TradeQuery, caller: Caller, **more: str) -> EventFilter:
    """The filter, kept to what the caller may see. Removed accounts are still in the log, for who sees all."""
    account = asked.account
    if caller.is_scoped:
        if not account:
            raise Problem(403, "account_missing", "You see only some accounts: name one as `account`.")
        account = str(load_account(account, caller).pk)
    before, before_id = read_place(asked.cursor)
    return EventFilter(
        account=account,
        platform=asked.platform.value if asked.platform else "",
        market_id=asked.market_id,
        type=asked.type,
        since=asked.since,
        before=before,
        before_id=before_id,
        **more,
    )


def read_place(cursor: str) -> tuple[datetime | None, UUID | None]:
    """Where the page before ended."""
    if not cursor:
        return None, None
    time, event_id = read_words(cursor, 2)
    try:
        at, ended = datetime.fromisoformat(time), UUID(event_id)
    except ValueError:
        raise bad_cursor() from None
    if at.tzinfo is None or not EARLIEST <= at <= LATEST:
        raise bad_cursor()
    return at, ended


def ask(question: Any, wanted: EventFilter, limit: int) -> list[Any]:
    """Ask the warehouse; a 503 Problem while it is away: the desk trades without it."""
    try:
        found: list[Any] = question(warehouse(), wanted, limit)
    except OUTAGES as error:
        log.warning("warehouse_away", error=type(error).__name__)
        raise Problem(503, "record_away", "The record is away: the desk trades on; ask again later.") from error
    return found


def warehouse() -> Client:
    """This process's client, made when first asked for."""
    with _connecting:
        return client_of(settings.CLICKHOUSE_URL)


@cache
def client_of(url: str) -> Client:
    """The client on a URL; an outage is not remembered."""
    return connect(url)


def paged(found: list[Any], limit: int, told: Any) -> dict[str, Any]:
    """A page of `found`, which was asked for with one more than the limit."""
    shown = found[:limit]
    following = write_cursor([shown[-1].timestamp.isoformat(), shown[-1].event_id]) if len(found) > limit else None
    return {"items": [told(row) for row in shown], "next": following}


def plain(row: Any) -> dict[str, Any]:
    """A recorded row's columns, its id under the envelope's name."""
    columns = {name: getattr(row, name) for name in row.__dataclass_fields__}
    columns["id"] = columns.pop("event_id")
    columns["platform"] = columns["platform"] or None if "stream" in columns else columns["platform"]
    return columns
