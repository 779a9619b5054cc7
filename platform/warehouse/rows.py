"""Turns messages of the bus into rows of the warehouse. Computes only; the columns' order is the rows' order."""

from datetime import datetime
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any
from uuid import UUID

import msgspec

from streams.message import Message
from trading.errors import InvalidValue
from trading.events import Event, Execution, TradeExecuted

EVENT_COLUMNS = (
    "event_id",
    "stream",
    "entry_id",
    "type",
    "version",
    "platform",
    "timestamp",
    "account_id",
    "account_name",
    "market_id",
    "data",
)
TRADE_COLUMNS = (
    "event_id",
    "type",
    "platform",
    "timestamp",
    "account_id",
    "account_name",
    "market_id",
    "side",
    "action",
    "price",
    "shares",
    "filled",
    "fee",
    "fee_kind",
    "liquidity",
    "status",
    "origin",
    "reason",
    "trade_id",
    "settlement_id",
    "order_hash",
    "client_order_id",
    "exposure_id",
    "latency_us",
)
Value = UUID | str | int | datetime | Decimal | None
Row = tuple[Value, ...]
_WEI = Decimal(1).scaleb(-18)
_COLUMN = Context(prec=38, traps=[Inexact, InvalidOperation])
"""What a Decimal(38, 18) column holds; anything else raises."""


class _Envelope(msgspec.Struct):
    data: msgspec.Raw


_envelope = msgspec.json.Decoder(_Envelope)


def event_row(message: Message) -> Row:
    """The event-log row of `message`; `data` is the message's own text, digit for digit."""
    event = message.event()
    facts: Any = event.data
    return (
        event.id,
        message.stream,
        message.entry_id,
        event.type,
        event.version,
        event.platform or "",
        event.timestamp,
        getattr(facts, "account_id", ""),
        getattr(facts, "account_name", ""),
        getattr(facts, "market_id", ""),
        bytes(_envelope.decode(message.body).data).decode(),
    )


def trade_row(event: Event) -> Row | None:
    """The trade-log row of a fill, its settlement, or an order's outcome; None for any other event.

    Raises InvalidValue for an amount that Decimal(38, 18) cannot hold: it would be cut off silently.
    """
    facts = event.data
    if isinstance(facts, Execution):
        filled, fee = facts.shares, facts.fee
        fee_kind, liquidity = facts.fee_kind or "", facts.liquidity or ""
        status, origin, reason, latency_us = "", "", "", None
        trade_id, settlement_id, client_order_id, exposure_id = facts.trade_id, facts.settlement_id, "", ""
    elif isinstance(facts, TradeExecuted):
        filled, fee = facts.filled, None
        fee_kind, liquidity = "", ""
        status, origin, reason, latency_us = facts.status, facts.origin, facts.reason, facts.latency_us
        trade_id, settlement_id = "", ""
        client_order_id, exposure_id = facts.client_order_id, facts.exposure_id or ""
    else:
        return None
    return (
        event.id,
        event.type,
        event.platform or "",
        event.timestamp,
        facts.account_id,
        facts.account_name,
        facts.market_id,
        facts.side,
        facts.action,
        _fitting(facts.price),
        _fitting(facts.shares),
        _fitting(filled),
        None if fee is None else _fitting(fee),
        fee_kind,
        liquidity,
        status,
        origin,
        reason,
        trade_id,
        settlement_id,
        facts.order_hash,
        client_order_id,
        exposure_id,
        latency_us,
    )


def _fitting(value: Decimal) -> Decimal:
    try:
        _COLUMN.quantize(value, _WEI)
    except ArithmeticError as error:
        raise InvalidValue(f"{value} does not fit the trade log: 20 digits before the point, 18 after") from error
    return value
