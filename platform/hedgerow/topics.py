"""The topics of `/ws`: which messages of the bus each one carries, and who may hear them.

A frame is a message's own envelope with `stream` and `cursor` beside it, made once however many sockets hear it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from hedgerow.live import Entry
from streams.names import EVENT_STREAMS
from trading.events import (
    ACCOUNT_EVENTS,
    ALERT_EVENTS,
    FILL_EVENTS,
    MARKET_EVENTS,
    STRATEGY_EVENTS,
    TRADE_EVENTS,
    AlertRaised,
    ExposureChanged,
    StrategyChanged,
)
from web.problems import Problem

LOGS = "logs"
POSITIONS = "positions"
MARKET = "markets/"
STREAM_TOPICS = {
    FILL_EVENTS: ("fills", POSITIONS, LOGS),
    TRADE_EVENTS: ("trades", LOGS),
    ACCOUNT_EVENTS: ("accounts", LOGS),
    STRATEGY_EVENTS: ("strategies", LOGS),
    ALERT_EVENTS: ("alerts", LOGS),
    MARKET_EVENTS: ("markets", LOGS),
}
TOPICS = tuple(sorted({topic for topics in STREAM_TOPICS.values() for topic in topics}))
"""Besides these, `markets/{market_id}` carries whatever names that market."""

OF_THE_WHOLE_DESK = frozenset({StrategyChanged.type, ExposureChanged.type, AlertRaised.type})
"""They tell of accounts without naming them, so only who sees every account may hear them."""

START = "0-0"


class _Data(msgspec.Struct):
    account_id: str = ""
    market_id: str = ""


class _Envelope(msgspec.Struct):
    type: str = ""
    data: _Data = msgspec.field(default_factory=_Data)


_decoder = msgspec.json.Decoder(_Envelope)


@dataclass(frozen=True, slots=True)
class Frame:
    """One message, ready to be sent to any socket that wants and may hear it."""

    text: str
    topics: frozenset[str]
    account_id: str
    is_of_the_whole_desk: bool

    def is_for(self, topics: frozenset[str], account_ids: frozenset[str] | None) -> bool:
        """Whether a socket with these topics, seeing these accounts (None: all), gets it."""
        if self.topics.isdisjoint(topics):
            return False
        if account_ids is None:
            return True
        return self.account_id in account_ids if self.account_id else not self.is_of_the_whole_desk


def frame_of(entry: Entry, cursor: str) -> Frame | None:
    """The entry as a frame; None for one that is no event (it is in the dead letters, not on a socket)."""
    try:
        envelope = _decoder.decode(entry.body)
        text = entry.body.decode()
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if not text.endswith("}"):
        return None
    topics = set(STREAM_TOPICS.get(entry.stream, ()))
    if envelope.type == ExposureChanged.type:
        topics.add(POSITIONS)
    if envelope.data.market_id:
        topics.add(MARKET + envelope.data.market_id)
    return Frame(
        text=f'{text[:-1]},"stream":"{entry.stream}","cursor":"{cursor}"}}',
        topics=frozenset(topics),
        account_id=envelope.data.account_id,
        is_of_the_whole_desk=envelope.type in OF_THE_WHOLE_DESK,
    )


def check_topics(topics: list[str]) -> frozenset[str]:
    """The topics, or a Problem that names the one that is none."""
    for topic in topics:
        is_market = topic.startswith(MARKET) and 0 < len(topic) - len(MARKET) <= 100
        if topic not in TOPICS and not is_market:
            raise Problem(
                422, "topic_unknown", f"No topic {topic[:40]!r}: known are {', '.join(TOPICS)}, markets/{{id}}."
            )
    return frozenset(topics)


def streams_of(topics: frozenset[str]) -> list[str]:
    """The streams that can carry any of these topics."""
    if any(topic.startswith(MARKET) for topic in topics):
        return list(EVENT_STREAMS)
    wanted = [stream for stream, carried in STREAM_TOPICS.items() if not topics.isdisjoint(carried)]
    return wanted + ([STRATEGY_EVENTS] if POSITIONS in topics and STRATEGY_EVENTS not in wanted else [])


def write_cursor(positions: Mapping[str, bytes]) -> str:
    """Where one stands on every stream, as one word."""
    return ".".join(positions.get(stream, START.encode()).decode() for stream in EVENT_STREAMS)


def read_cursor(cursor: str) -> dict[str, bytes]:
    """The entry last heard of each stream; a Problem for a word that is no cursor."""
    parts = cursor.split(".")
    numbers = [part.split("-") for part in parts]
    if len(parts) != len(EVENT_STREAMS) or not all(
        len(pair) == 2 and all(number.isascii() and number.isdigit() and len(number) <= 19 for number in pair)
        for pair in numbers
    ):
        raise Problem(422, "cursor_invalid", "This is no cursor of /ws: leave it out to hear from now on.")
    return {stream: part.encode() for stream, part in zip(EVENT_STREAMS, parts, strict=True)}
