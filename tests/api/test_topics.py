"""The topics of `/ws` and the frame each message travels in."""

import json

import pytest

from hedgerow.live import Entry
from hedgerow.topics import TOPICS, frame_of, read_cursor, streams_of, write_cursor
from streams.names import EVENT_STREAMS
from tests.bus_events import fill
from trading.events import FILL_EVENTS, STRATEGY_EVENTS, encode
from web.problems import Problem


def test_every_stream_has_topics_and_the_cursor_round_trips() -> None:
    assert set(streams_of(frozenset(TOPICS))) == set(EVENT_STREAMS)
    assert set(streams_of(frozenset({"positions"}))) == {FILL_EVENTS, STRATEGY_EVENTS}
    places = {stream: f"17-{n}".encode() for n, stream in enumerate(EVENT_STREAMS)}
    assert read_cursor(write_cursor(places)) == places
    for wrong in ("", "1-1", ".".join(["1-x"] * len(EVENT_STREAMS)), ".".join(["²-1"] * len(EVENT_STREAMS))):
        with pytest.raises(Problem):
            read_cursor(wrong)


def test_frame_is_the_envelope_with_two_more_fields() -> None:
    body = encode(fill(1))
    frame = frame_of(Entry(FILL_EVENTS, "5-0", body), "cursor")
    assert frame is not None
    said, envelope = json.loads(frame.text, parse_float=str), json.loads(body, parse_float=str)
    assert said == envelope | {"stream": FILL_EVENTS, "cursor": "cursor"}
    assert frame.topics == {"fills", "positions", "logs", "markets/100"}
    assert frame_of(Entry(FILL_EVENTS, "5-0", b"not json"), "cursor") is None
