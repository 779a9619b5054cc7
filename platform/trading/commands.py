"""Commands: what a handler or a person wants done. The first six fields are the seed's JSON, names and meaning kept."""

from decimal import Decimal
from uuid import UUID

import msgspec

from trading.enums import Action, OrderOrigin, OrderType, Outcome, Platform
from trading.errors import InvalidValue
from trading.values import ONE, check_number


class PlaceOrder(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="place_order"):
    """Place one order. `side` is the outcome (the seed's word), `shares` its size, `price` its limit."""

    platform: Platform
    account_id: str
    """The account's UUID (a name is accepted at the API's edge and resolved there)."""
    market_id: str
    side: Outcome
    price: Decimal
    shares: Decimal
    action: Action = Action.BUY
    order_type: OrderType = OrderType.LIMIT
    post_only: bool = False
    client_order_id: UUID | None = None
    origin: OrderOrigin = OrderOrigin.USER
    exposure_id: UUID | None = None
    """The exposure this order hedges; None for any order that is not a hedge."""
    cause: str = ""
    leg: int = 0
    rung: int = 0
    reason: str = ""
    expires_at_s: int | None = None

    def __post_init__(self) -> None:
        check_number("price", self.price, most=ONE)
        check_number("shares", self.shares)


class CancelOrder(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="cancel_order"):
    """Take one order off the book."""

    platform: Platform
    account_id: str
    client_order_id: UUID
    reason: str = ""


Command = PlaceOrder | CancelOrder

_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)


def encode_command(command: Command) -> bytes:
    """The command as JSON bytes in the seed's form; Decimals become JSON numbers with the same digits."""
    return _encoder.encode(command)


def decode_command(message: bytes) -> Command:
    """The command in `message`; raises InvalidValue that says what is wrong with it."""
    try:
        return _decoder.decode(message)
    except msgspec.MsgspecError as error:
        raise InvalidValue(f"not a command: {error}") from error
