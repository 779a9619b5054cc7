"""Questions to the warehouse, for pages, the API and checks. Every one reads with FINAL: each event counts once.

`client` comes from `warehouse.clickhouse.connect`; any of them raises one of its OUTAGES.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from warehouse.clickhouse import Client

MOST_ROWS = 1000
_NEWEST = "ORDER BY timestamp DESC, event_id DESC LIMIT {most:UInt32}"


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """One event of the log. `data` is its JSON text."""

    event_id: UUID
    stream: str
    type: str
    platform: str
    timestamp: datetime
    account_id: str
    account_name: str
    market_id: str
    data: str


@dataclass(frozen=True, slots=True)
class RecordedTrade:
    """One fill, or one outcome of an order we sent. `price` per share, sizes in shares."""

    event_id: UUID
    type: str
    platform: str
    timestamp: datetime
    account_id: str
    account_name: str
    market_id: str
    side: str
    action: str
    price: Decimal
    shares: Decimal
    fee: Decimal | None
    fee_kind: str
    """`shares` or `collateral`; empty where there is no fee to tell."""
    status: str
    order_hash: str
    trade_id: str
    latency_us: int | None


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which events a search wants; an empty field asks for nothing. `text` is looked for in the JSON, any case."""

    stream: str = ""
    type: str = ""
    platform: str = ""
    account: str = ""
    """An account's id or name."""
    market_id: str = ""
    text: str = ""
    before: datetime | None = None
    before_id: UUID | None = None
    """With `before`: also what has that very time and a lesser id, so that a page may end between equal times."""
    since: datetime | None = None

    def where(self) -> tuple[str, dict[str, Any]]:
        """The condition and its parameters; every value travels as a parameter, never as part of the statement."""
        conditions = {
            "stream": "stream = {stream:String}",
            "type": "type = {type:String}",
            "platform": "platform = {platform:String}",
            "account": "(account_id = {account:String} OR account_name = {account:String})",
            "market_id": "market_id = {market_id:String}",
            "text": "positionCaseInsensitiveUTF8(data, {text:String}) > 0",
            "before": "timestamp < {before:DateTime64(6, 'UTC')}",
            "since": "timestamp >= {since:DateTime64(6, 'UTC')}",
        }
        asked = {name: value for name in conditions if (value := getattr(self, name))}
        if self.before and self.before_id:
            conditions["before"] = (
                "(timestamp < {before:DateTime64(6, 'UTC')}"
                " OR timestamp = {before:DateTime64(6, 'UTC')} AND event_id < {before_id:UUID})"
            )
            return " AND ".join(conditions[name] for name in asked), asked | {"before_id": str(self.before_id)}
        return " AND ".join(conditions[name] for name in asked) or "1", asked


EVERYTHING = EventFilter()


def count_events(client: Client, wanted: EventFilter = EVERYTHING) -> int:
    """How many distinct events match."""
    where, parameters = wanted.where()
    return int(_rows(client, f"SELECT count() FROM event_log FINAL WHERE {where}", parameters)[0][0])


def count_by_type(client: Client, since: datetime | None = None) -> dict[str, int]:
    """Distinct events of each type."""
    where, parameters = EventFilter(since=since).where()
    rows = _rows(client, f"SELECT type, count() FROM event_log FINAL WHERE {where} GROUP BY type", parameters)
    return {type_: int(count) for type_, count in rows}


def load_events(client: Client, wanted: EventFilter = EVERYTHING, limit: int = 100) -> list[RecordedEvent]:
    """The newest events that match, newest first. For the next page ask `before` the last one's time."""
    where, parameters = wanted.where()
    columns = ", ".join(RecordedEvent.__dataclass_fields__)
    rows = _rows(
        client,
        f"SELECT {columns} FROM event_log FINAL WHERE {where} {_NEWEST}",
        {**parameters, "most": min(limit, MOST_ROWS)},
    )
    return [RecordedEvent(*row) for row in rows]


def load_trades(
    client: Client,
    account: str = "",
    market_id: str = "",
    type: str = "",
    limit: int = 100,
    *,
    wanted: EventFilter | None = None,
) -> list[RecordedTrade]:
    """The newest rows of the trade log, newest first. `account` is an id or a name; `type` as the event's.

    `wanted` takes the place of these three; the trade log knows neither `stream` nor `text`.
    """
    where, parameters = (wanted or EventFilter(account=account, market_id=market_id, type=type)).where()
    columns = ", ".join(RecordedTrade.__dataclass_fields__)
    rows = _rows(
        client,
        f"SELECT {columns} FROM trade_log FINAL WHERE {where} {_NEWEST}",
        {**parameters, "most": min(limit, MOST_ROWS)},
    )
    return [RecordedTrade(*row) for row in rows]


def _rows(client: Client, statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in client.query(statement, parameters=parameters).result_rows]
