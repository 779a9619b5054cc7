"""Events: what happened, in the seed's envelope.

    {"id": uuid, "version": 1, "type": "fill", "platform": "predict", "timestamp": "2026-02-05T01:00:00Z", "data": {…}}

`id` and `version` are ours, every other field is the seed's. Numbers are JSON numbers that decode to Decimal exactly.
An event says one fact; its `id` is a pure function of the fact, so readers count it once.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, ClassVar, get_args
from uuid import UUID

import msgspec

from trading.enums import Action, FeeKind, Liquidity, OrderStatus, Outcome, Platform, Severity
from trading.errors import InvalidValue
from trading.ids import deterministic_uuid
from trading.values import ONE, check_number

FILL_EVENTS = "fill_events"
TRADE_EVENTS = "trade_events"
ACCOUNT_EVENTS = "account_events"
STRATEGY_EVENTS = "strategy_events"
ALERT_EVENTS = "alert_events"
MARKET_EVENTS = "market_events"
ORDER_COMMANDS = "order_commands"


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """One execution of one of our orders, as the venue told it. Sizes in shares, prices in collateral per share."""

    account_id: str
    account_name: str
    market_id: str
    side: Outcome
    price: Decimal
    shares: Decimal
    order_hash: str
    action: Action = Action.BUY
    trade_id: str = ""
    """Empty only in the seed's own bare form, which the ledger refuses."""
    settlement_id: str = ""
    liquidity: Liquidity | None = None
    fee: Decimal | None = None
    """None until the venue says it (Predict.fun tells the fee at settlement)."""
    fee_kind: FeeKind | None = None
    transaction_hash: str = ""
    venue_time_ms: int = 0
    received_at_ns: int = 0
    """Unix nanoseconds at which the listener had the frame: the start of every latency figure."""

    def __post_init__(self) -> None:
        check_number("price", self.price, most=ONE)
        check_number("shares", self.shares)
        if self.fee is not None:
            check_number("fee", self.fee)


class Fill(Execution, frozen=True, kw_only=True):
    """An order was matched. The seed's `fill`."""

    type: ClassVar[str] = "fill"


class FillSettled(Execution, frozen=True, kw_only=True):
    """The match's transaction succeeded: fee and liquidity are final."""

    type: ClassVar[str] = "fill_settled"


class FillFailed(Execution, frozen=True, kw_only=True):
    """The match's transaction failed: the fill did not happen after all."""

    type: ClassVar[str] = "fill_failed"


class TradeExecuted(msgspec.Struct, frozen=True, kw_only=True):
    """The executor's word on an order: accepted, rejected, denied, unknown, cancelled. The seed's `trade_executed`."""

    type: ClassVar[str] = "trade_executed"

    account_id: str
    account_name: str
    market_id: str
    side: Outcome
    price: Decimal
    shares: Decimal
    order_hash: str
    action: Action
    client_order_id: str
    venue_order_id: str = ""
    status: OrderStatus
    filled: Decimal = Decimal(0)
    origin: str = ""
    exposure_id: str | None = None
    reason: str = ""
    latency_us: int | None = None
    """From the fill's arrival to the order's bytes leaving, for a hedge; else None."""

    def __post_init__(self) -> None:
        check_number("price", self.price, most=ONE)
        check_number("shares", self.shares)
        check_number("filled", self.filled)


class OrderUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """The venue's word on one of our orders, from the wallet stream or a reconcile."""

    type: ClassVar[str] = "order_update"

    account_id: str
    account_name: str
    market_id: str
    order_hash: str
    venue_order_id: str = ""
    status: OrderStatus
    reason: str = ""
    venue_time_ms: int = 0


class AccountCreated(msgspec.Struct, frozen=True, kw_only=True):
    """An account row was made."""

    type: ClassVar[str] = "account_created"

    account_id: str
    account_name: str
    address: str
    tags: tuple[str, ...] = ()


class AccountChanged(msgspec.Struct, frozen=True, kw_only=True):
    """An account's state, connection or balance changed."""

    type: ClassVar[str] = "account_changed"

    account_id: str
    account_name: str
    what: str
    value: str = ""


class StrategyChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy was started, stopped or reconfigured."""

    type: ClassVar[str] = "strategy_changed"

    strategy_id: str
    strategy_name: str
    what: str
    value: str = ""


class ExposureChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A (strategy, pair, market) moved: after each decision."""

    type: ClassVar[str] = "exposure_changed"

    strategy_id: str
    exposure_id: str
    market_id: str
    primary: Decimal
    hedged: Decimal
    in_flight: Decimal
    need: Decimal
    reason: str = ""
    rung: int = 0
    """The place on the strategy's ladder, from 0."""
    unhedged_shares: Decimal = Decimal(0)
    """Shares no fill has covered yet."""
    unhedged_seconds: Decimal = Decimal(0)
    dollars_at_risk: Decimal = Decimal(0)
    """What is lost if those shares lose."""


class AlertRaised(msgspec.Struct, frozen=True, kw_only=True):
    """Something a person should know."""

    type: ClassVar[str] = "alert_raised"

    alert_id: str
    severity: Severity
    kind: str
    subject: str
    text: str


class MarketChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A market's status, fee or grid changed, or it resolved."""

    type: ClassVar[str] = "market_changed"

    market_id: str
    what: str
    value: str = ""


class DeskStopped(msgspec.Struct, frozen=True, kw_only=True):
    """The emergency stop was pulled or lifted. `level` is empty when lifted."""

    type: ClassVar[str] = "desk_stopped"

    generation: int
    level: str
    by: str
    reason: str = ""


Facts = (
    Fill
    | FillSettled
    | FillFailed
    | TradeExecuted
    | OrderUpdate
    | AccountCreated
    | AccountChanged
    | StrategyChanged
    | ExposureChanged
    | AlertRaised
    | MarketChanged
    | DeskStopped
)


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One message of the bus. `platform` is None for what concerns no venue (an alert, a stop)."""

    id: UUID
    timestamp: datetime
    data: Facts
    platform: Platform | None = None
    version: int = 1

    @property
    def type(self) -> str:
        """The envelope's `type`: which facts `data` holds."""
        return self.data.type


class _Written(msgspec.Struct, kw_only=True):
    id: UUID
    version: int
    type: str
    platform: Platform | None
    timestamp: datetime
    data: Facts


class _Read(msgspec.Struct, kw_only=True):
    type: str
    timestamp: Annotated[datetime, msgspec.Meta(tz=True)]
    data: msgspec.Raw
    id: UUID | None = None
    version: int = 1
    platform: Platform | None = None


_encoder = msgspec.json.Encoder(decimal_format="number")
_envelope = msgspec.json.Decoder(_Read)
_decoders: dict[str, msgspec.json.Decoder[Facts]] = {cls.type: msgspec.json.Decoder(cls) for cls in get_args(Facts)}
EVENT_TYPES = tuple(sorted(_decoders))
"""Every `type` an envelope may name."""


def encode(event: Event) -> bytes:
    """The event as JSON bytes; Decimals become JSON numbers with the same digits."""
    return _encoder.encode(
        _Written(
            id=event.id,
            version=event.version,
            type=event.type,
            platform=event.platform,
            timestamp=event.timestamp,
            data=event.data,
        )
    )


def decode(message: bytes) -> Event:
    """The event in `message`; raises InvalidValue that says what is wrong with it.

    A message without `id` (the seed's own form) gets one that is a pure function of its bytes.
    """
    try:
        envelope = _envelope.decode(message)
        decoder = _decoders.get(envelope.type)
        if decoder is None:
            raise InvalidValue(f"unknown event type {envelope.type!r}; known: {', '.join(sorted(_decoders))}")
        data = decoder.decode(envelope.data)
    except msgspec.MsgspecError as error:
        raise InvalidValue(f"not an event: {error}") from error
    return Event(
        id=envelope.id or deterministic_uuid("message", message.hex()),
        version=envelope.version,
        platform=envelope.platform,
        timestamp=envelope.timestamp,
        data=data,
    )
