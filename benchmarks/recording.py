"""Rows a second into ClickHouse: ours (from messages on the bus to stored rows) ÷ a bare batched insert of the same.

The bare side is given finished rows and only calls clickhouse-connect's `insert` with them.

    python benchmarks/recording.py [--events 100000] [--batch 10000]

Uses CLICKHOUSE_URL when it is set, else an embedded server with its data in a temporary folder. Both sides write the
same batches to the same tables of a new database, taking turns; the last line is JSON.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

from embedded.clickhouse import ClickHouse
from embedded.state import StateDir
from streams.message import Message
from trading.enums import FeeKind, Outcome, Platform
from trading.events import FILL_EVENTS, Event, Fill, encode
from warehouse.clickhouse import connect
from warehouse.rows import EVENT_COLUMNS, TRADE_COLUMNS, event_row, trade_row
from warehouse.schema import apply_schema
from warehouse.writer import Batch, Writer

TARGET = 0.7
ROUNDS = 3


@contextmanager
def clickhouse_url() -> Iterator[str]:
    """A new database on the given server or on one of our own."""
    name = f"benchmark_{uuid4().hex}"
    with tempfile.TemporaryDirectory(prefix="hedgerow-benchmark-") as folder:
        engine = None
        url = os.environ.get("CLICKHOUSE_URL", "")
        if not url:
            state = StateDir(Path(folder))
            state.create()
            engine = ClickHouse(state, lambda text: None)
            url = engine.start()
        url = urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
        try:
            yield url
        finally:
            client = connect(url)
            client.command(f"DROP DATABASE {name}")
            client.close()
            if engine is not None:
                engine.stop()


def make_messages(first: int, count: int) -> list[Message]:
    start = datetime(2026, 2, 5, 1, tzinfo=UTC)
    messages = []
    for number in range(first, first + count):
        facts = Fill(
            account_id=f"account-{number % 100}",
            account_name=f"account{number % 100}",
            market_id=str(number % 50),
            side=Outcome.YES,
            price=Decimal(number % 99 + 1) / 100,
            shares=Decimal("36.846153846153846152"),
            order_hash=f"0x{number:064x}",
            trade_id=f"s{number}:0x{number:064x}",
            fee=Decimal("0.736923076923076923"),
            fee_kind=FeeKind.SHARES,
        )
        event = Event(
            id=uuid4(), timestamp=start + timedelta(milliseconds=number), platform=Platform.PREDICT, data=facts
        )
        messages.append(Message(FILL_EVENTS, f"{number}-0", encode(event)))
    return messages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=10_000)
    options = parser.parse_args()
    ours: list[float] = []
    bare: list[float] = []
    with clickhouse_url() as url:
        client = connect(url)
        apply_schema(client)
        writer = Writer(url)
        writer.write(Batch())
        for _ in range(ROUNDS):
            our_s = bare_s = 0.0
            for first in range(0, options.events, options.batch):
                messages = make_messages(first, min(options.batch, options.events - first))
                events = [event_row(message) for message in messages]
                trades = [trade_row(message.event()) for message in messages]
                for message in messages:
                    message.forget()
                began = time.perf_counter()
                batch = Batch()
                for message in messages:
                    batch.add(message)
                writer.write(batch)
                our_s += time.perf_counter() - began
                began = time.perf_counter()
                client.insert("event_log", events, column_names=EVENT_COLUMNS)
                client.insert("trade_log", trades, column_names=TRADE_COLUMNS)
                bare_s += time.perf_counter() - began
            ours.append(2 * options.events / our_s)
            bare.append(2 * options.events / bare_s)
            print(f"ours {ours[-1]:,.0f} rows/s, bare insert {bare[-1]:,.0f} rows/s")
        writer.close()
        client.close()
    ratio = statistics.median(our / floor for our, floor in zip(ours, bare, strict=True))
    figures = {
        "benchmark": "recording",
        "events": options.events,
        "batch": options.batch,
        "rows_per_s": round(statistics.median(ours)),
        "bare_rows_per_s": round(statistics.median(bare)),
        "ratio": round(ratio, 3),
        "target": TARGET,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
