"""Which reader groups read which streams. Readers, trimming and lag figures all go by this one table."""

from dataclasses import dataclass

from trading.events import (
    ACCOUNT_EVENTS,
    ALERT_EVENTS,
    FILL_EVENTS,
    MARKET_EVENTS,
    ORDER_COMMANDS,
    STRATEGY_EVENTS,
    TRADE_EVENTS,
)

EVENT_STREAMS = (FILL_EVENTS, TRADE_EVENTS, ACCOUNT_EVENTS, STRATEGY_EVENTS, ALERT_EVENTS, MARKET_EVENTS)
"""Every entry of these is one `trading.events.Event`."""

ALL_STREAMS = (*EVENT_STREAMS, ORDER_COMMANDS)

STRATEGIES = "strategies"
RECORDER = "recorder"
BOT = "bot"

FIELD = b"event"
"""The one field of a stream entry: the message's bytes."""


@dataclass(frozen=True, slots=True)
class ReaderGroup:
    """One independent reader of the bus. All its processes share the messages; each message goes to one of them."""

    name: str
    streams: tuple[str, ...]
    is_optional: bool = False
    """An optional group holds messages back from trimming only once it has read for the first time: a desk
    without a bot must not keep its streams for ever. Every other group holds them from the first message on."""


READER_GROUPS: dict[str, ReaderGroup] = {
    group.name: group
    for group in (
        ReaderGroup(STRATEGIES, (FILL_EVENTS, TRADE_EVENTS, ACCOUNT_EVENTS, ORDER_COMMANDS)),
        ReaderGroup(RECORDER, EVENT_STREAMS),
        ReaderGroup(BOT, (FILL_EVENTS, TRADE_EVENTS, ACCOUNT_EVENTS, STRATEGY_EVENTS, ALERT_EVENTS), is_optional=True),
    )
}


def groups_of(stream: str) -> tuple[ReaderGroup, ...]:
    """The groups that read `stream`."""
    return tuple(group for group in READER_GROUPS.values() if stream in group.streams)


def dead_letter_stream(stream: str) -> str:
    """Where messages of `stream` go that could not be handled."""
    return f"{stream}:dead"
