"""What a batch of messages asks for: fills are recorded, an answer to an order is not a fill, nonsense is refused."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from strategies.inbox import Inbox
from streams.message import Message
from trading.enums import Action, OrderStatus, Outcome, Platform
from trading.events import FILL_EVENTS, TRADE_EVENTS, Event, Facts, Fill, TradeExecuted, encode
from trading.ids import event_id

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ACCOUNT = str(UUID(int=1))
EXPOSURE = UUID(int=7)


def message(stream: str, data: Facts) -> Message:
    event = Event(id=event_id("test", stream), timestamp=NOW, platform=Platform.PREDICT, data=data)
    return Message(stream, "1-1", encode(event))


def executed(status: OrderStatus, exposure_id: str | None = str(EXPOSURE)) -> TradeExecuted:
    return TradeExecuted(
        account_id=ACCOUNT,
        account_name="primary",
        market_id="1",
        side=Outcome.YES,
        price=Decimal("0.55"),
        shares=Decimal(100),
        order_hash="0xaa",
        action=Action.BUY,
        client_order_id=str(UUID(int=2)),
        status=status,
        exposure_id=exposure_id,
        reason="create_order_min_order_value_not_met" if status is OrderStatus.REJECTED else "",
    )


def fill(trade_id: str = "s1:0xaa", account_id: str = ACCOUNT, price: str = "0.55") -> Fill:
    return Fill(
        account_id=account_id,
        account_name="primary",
        market_id="1",
        side=Outcome.YES,
        price=Decimal(price),
        shares=Decimal(100),
        order_hash="0xAA",
        trade_id=trade_id,
    )


def taken(*messages: Message) -> Inbox:
    inbox = Inbox()
    inbox.take(messages)
    return inbox


def test_an_accepted_order_is_not_a_fill() -> None:
    """The earlier system hedged on the submit's answer as well as on the fill: a naked hedge, or a double one."""
    inbox = taken(message(TRADE_EVENTS, executed(OrderStatus.ACCEPTED, None)))
    assert (inbox.received, inbox.wakes, inbox.rejections) == ([], {}, {})


def test_a_fill_is_received_with_its_hash_folded() -> None:
    (received,) = taken(message(FILL_EVENTS, fill())).received
    assert (received.trade_id, received.market_key, received.order_hash) == ("s1:0xaa", "predict:1", "0xaa")


def test_a_rejected_hedge_is_held_not_repeated() -> None:
    inbox = taken(message(TRADE_EVENTS, executed(OrderStatus.REJECTED)))
    assert inbox.wakes == {}
    assert inbox.rejections == {EXPOSURE: "create_order_min_order_value_not_met"}


def test_nonsense_is_refused_and_the_rest_kept() -> None:
    messages = [
        message(FILL_EVENTS, fill(trade_id="")),
        message(FILL_EVENTS, fill(account_id="primary")),
        message(FILL_EVENTS, fill()),
    ]
    inbox = taken(*messages)
    assert len(inbox.received) == 1
    assert [refused for refused, _ in inbox.refused] == messages[:2]
    assert "trade_id" in inbox.refused[0][1]
