"""What the warehouse answers: exact numbers, exact times, and nothing counted twice."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from streams.message import Message
from tests.warehouse.conftest import START, MakeFill
from trading.enums import Action, OrderStatus, Outcome, Platform, Severity
from trading.events import FILL_EVENTS, TRADE_EVENTS, AlertRaised, Event, TradeExecuted, encode
from warehouse.clickhouse import Client
from warehouse.queries import EventFilter, count_by_type, count_events, load_events, load_trades
from warehouse.rows import EVENT_COLUMNS, TRADE_COLUMNS, event_row, trade_row
from warehouse.writer import Batch, Writer


def write(url: str, *events: Event, stream: str = FILL_EVENTS) -> None:
    batch = Batch()
    for number, event in enumerate(events):
        batch.add(Message(stream, f"{number + 1}-0", encode(event)))
    writer = Writer(url)
    writer.write(batch)
    writer.close()


def test_numbers_and_times_come_back_exact(warehouse: Client, warehouse_url: str, fill: MakeFill) -> None:
    wide = "12345678901234567890.123456789012345678"
    event = fill(1, price="0.123456789012345678", shares=wide)
    write(warehouse_url, event)
    (trade,) = load_trades(warehouse)
    assert (trade.price, trade.shares) == (Decimal("0.123456789012345678"), Decimal(wide))
    assert trade.fee == Decimal("0.736923076923076923")
    assert trade.timestamp == event.timestamp == START + timedelta(seconds=1, microseconds=123457)
    (logged,) = load_events(warehouse)
    assert logged.event_id == UUID(int=1)
    assert f'"shares":{wide}' in logged.data
    assert logged.timestamp == event.timestamp


def test_microseconds_survive_for_many_times(warehouse: Client, warehouse_url: str, fill: MakeFill) -> None:
    events = [fill(1_000_000 * n + n) for n in range(1, 200)]
    write(warehouse_url, *events)
    assert sorted(event.timestamp for event in load_events(warehouse, limit=500)) == [e.timestamp for e in events]


def test_orders_outcomes_are_in_the_trade_log(warehouse: Client, warehouse_url: str) -> None:
    facts = TradeExecuted(
        account_id="a1",
        account_name="account1",
        market_id="123",
        side=Outcome.NO,
        price=Decimal("0.45"),
        shares=Decimal(100),
        order_hash="0xabc",
        action=Action.BUY,
        client_order_id="c1",
        status=OrderStatus.UNKNOWN,
        latency_us=2100,
    )
    write(
        warehouse_url,
        Event(id=UUID(int=1), timestamp=START, platform=Platform.PREDICT, data=facts),
        stream=TRADE_EVENTS,
    )
    (trade,) = load_trades(warehouse, type="trade_executed")
    assert (trade.status, trade.latency_us, trade.fee, trade.side) == ("unknown", 2100, None, "no")


def test_events_without_a_venue_are_logged_only(warehouse: Client, warehouse_url: str) -> None:
    facts = AlertRaised(alert_id="1", severity=Severity.WARNING, kind="k", subject="s", text="it's “odd” \\ here\n")
    write(warehouse_url, Event(id=UUID(int=1), timestamp=START, data=facts))
    (logged,) = load_events(warehouse)
    assert (logged.platform, logged.account_id, logged.type) == ("", "", "alert_raised")
    assert load_trades(warehouse) == []


def test_search_finds_by_each_field(warehouse: Client, warehouse_url: str, fill: MakeFill) -> None:
    write(warehouse_url, fill(1), fill(2, market_id="456"), fill(3))
    first = START + timedelta(seconds=2)

    def found(wanted: EventFilter) -> list[int]:
        ids = [event.event_id.int for event in load_events(warehouse, wanted)]
        assert count_events(warehouse, wanted) == len(ids)
        return ids

    assert found(EventFilter()) == [3, 2, 1]
    assert found(EventFilter(market_id="456")) == [2]
    assert found(EventFilter(account="account1")) == [3, 1]
    assert found(EventFilter(account="a0")) == [2]
    assert found(EventFilter(text="S3:0XABC")) == [3]
    assert found(EventFilter(since=first)) == [3, 2]
    assert found(EventFilter(before=first)) == [1]
    assert found(EventFilter(type="fill", platform="predict", stream=FILL_EVENTS)) == [3, 2, 1]
    assert found(EventFilter(type="alert_raised")) == []
    assert count_by_type(warehouse) == {"fill": 3}
    assert len(load_events(warehouse, limit=2)) == 2


@pytest.mark.parametrize("text", ["' OR 1=1 --", "\\' OR 1=1", "{type:String}", "%", "\n", "\t;"])
def test_searched_text_is_never_a_statement(warehouse: Client, warehouse_url: str, fill: MakeFill, text: str) -> None:
    write(warehouse_url, fill(1))
    assert count_events(warehouse, EventFilter(text=text)) == 0
    assert count_events(warehouse, EventFilter(market_id=text)) == 0


def test_rows_fit_their_columns(fill: MakeFill) -> None:
    message = Message(FILL_EVENTS, "1-0", encode(fill(1)))
    assert len(event_row(message)) == len(EVENT_COLUMNS)
    row = trade_row(message.event())
    assert row is not None
    assert len(row) == len(TRADE_COLUMNS)
