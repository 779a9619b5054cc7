"""Writes batches of messages to ClickHouse. Used by the recorder; blocking, so it runs in a thread.

A batch is written whole or again: writing it twice changes nothing, because the tables are keyed by event id.

Rows wait as one flat list of values a table, not as a tuple each: a batch of ten thousand events would else be twenty
thousand more objects for the garbage collector to look through, again and again while it fills. It took half the time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from streams.message import Message
from warehouse.clickhouse import OUTAGES, Client, connect
from warehouse.rows import EVENT_COLUMNS, TRADE_COLUMNS, Value, event_row, trade_row
from warehouse.schema import apply_schema

__all__ = ["OUTAGES", "Batch", "Writer"]


@dataclass(slots=True)
class Batch:
    """Rows waiting to be written, and the messages they came from, which are acknowledged afterwards."""

    messages: list[Message] = field(default_factory=list)
    events: list[Value] = field(default_factory=list)
    """The event-log rows, value after value."""
    trades: list[Value] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.messages)

    def add(self, message: Message) -> None:
        """Take one message; raises InvalidValue, and takes nothing, when it cannot be a row."""
        event, trade = event_row(message), trade_row(message.event())
        message.forget()
        self.messages.append(message)
        self.events += event
        if trade is not None:
            self.trades += trade


class Writer:
    """Connects when first needed and again after every failure. One thread at a time."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: Client | None = None

    def write(self, batch: Batch) -> None:
        """Store `batch`. After any error it may be stored in part: write it again. Raises one of OUTAGES."""
        try:
            client = self._connected()
            insert(client, "event_log", EVENT_COLUMNS, batch.events)
            insert(client, "trade_log", TRADE_COLUMNS, batch.trades)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Drop the connection; the next write makes a new one."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _connected(self) -> Client:
        if self._client is None:
            client = connect(self._url)
            try:
                apply_schema(client)
            except BaseException:
                client.close()
                raise
            self._client = client
        return self._client


def insert(client: Client, table: str, columns: Sequence[str], values: Sequence[Value]) -> None:
    """Insert rows, given as one flat sequence of values, in one request; none is no request."""
    if values:
        width = len(columns)
        by_column = [values[place::width] for place in range(width)]
        client.insert(table, by_column, column_names=list(columns), column_oriented=True)
