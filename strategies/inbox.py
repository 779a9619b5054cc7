"""What a batch of messages asks of the dispatch: executions to record, the venue's words, exposures to look at.

Pure sorting: decode, check, group. A message that makes no sense is refused with its reason and nothing else is lost.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from accounts.ledger.rows import Received, VenueWord
from markets.models import market_key
from streams.message import Message
from trading.commands import Command
from trading.enums import OrderStatus, Platform, Settlement
from trading.errors import InvalidValue
from trading.events import ORDER_COMMANDS, Event, Fill, FillFailed, FillSettled, OrderUpdate, TradeExecuted

_SETTLEMENTS: dict[type, Settlement] = {
    Fill: Settlement.MATCHED,
    FillSettled: Settlement.SETTLED,
    FillFailed: Settlement.FAILED,
}

_REOPENS = frozenset({OrderStatus.CANCELLED, OrderStatus.EXPIRED})
"""Ends of an order that leave its exposure with more need, to be looked at again at once."""


class Inbox:
    """One batch, sorted. `refused` holds the messages that make no sense, each with its reason."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.words: list[VenueWord] = []
        self.wakes: dict[UUID, str] = {}
        """Exposure → why it is to be looked at, beside those the fills touch."""
        self.rejections: dict[UUID, str] = {}
        """Exposure → the venue's slug: its hedge was refused, so it is looked at later, not at once."""
        self.commands: list[Command] = []
        self.markets_changed: set[str] = set()
        self.refused: list[tuple[Message, str]] = []

    def take(self, messages: Sequence[Message]) -> None:
        """Sort `messages` in."""
        for message in messages:
            try:
                if message.stream == ORDER_COMMANDS:
                    self.commands.append(message.command())
                else:
                    self._take_event(message.event())
            except InvalidValue as error:
                self.refused.append((message, str(error)))

    def _take_event(self, event: Event) -> None:
        data = event.data
        if isinstance(data, Fill | FillSettled | FillFailed):
            self.received.append(_received(event.platform, data))
        elif isinstance(data, OrderUpdate):
            self.words.append(
                VenueWord(
                    account_id=_uuid(data.account_id, "account_id"),
                    order_hash=data.order_hash,
                    status=data.status,
                    venue_order_id=data.venue_order_id,
                    reason=data.reason,
                )
            )
        elif isinstance(data, TradeExecuted) and data.exposure_id:
            exposure_id = _uuid(data.exposure_id, "exposure_id")
            if data.status in _REOPENS:
                self.wakes[exposure_id] = f"order:{data.client_order_id}:{data.status}"
            elif data.status is OrderStatus.REJECTED:
                self.rejections[exposure_id] = data.reason


def _received(platform: Platform | None, data: Fill | FillSettled | FillFailed) -> Received:
    if not data.trade_id:
        raise InvalidValue(
            "a fill without trade_id cannot be told from its repeat; publish it with the venue's trade id"
        )
    if platform is None:
        raise InvalidValue("a fill must name its platform")
    if data.shares <= 0 or not 0 < data.price < 1:
        raise InvalidValue(f"a fill of {data.shares} shares at {data.price} is impossible")
    return Received(
        settlement=_SETTLEMENTS[type(data)],
        account_id=_uuid(data.account_id, "account_id"),
        market_key=market_key(platform, data.market_id),
        trade_id=data.trade_id,
        settlement_id=data.settlement_id,
        order_hash=data.order_hash.lower(),
        outcome=data.side,
        action=data.action,
        price=data.price,
        size=data.shares,
        fee=data.fee,
        fee_kind=data.fee_kind,
        liquidity=data.liquidity,
        transaction_hash=data.transaction_hash,
        venue_time=datetime.fromtimestamp(data.venue_time_ms / 1000, UTC) if data.venue_time_ms else None,
        received_at=datetime.fromtimestamp(data.received_at_ns / 1e9, UTC)
        if data.received_at_ns
        else datetime.now(UTC),
    )


def _uuid(text: str, field: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise InvalidValue(f"{field} {text!r} is not a UUID") from error
