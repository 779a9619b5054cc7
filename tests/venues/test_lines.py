"""HTTP/1.1 as servers really speak it, on connections kept open without a proxy; and the permit on a proxied way."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import uvloop

from tests.venues import faulty as fault
from tests.venues.faulty import Behaviour, FaultyVenue, Request, TunnelProxy, Writer, listening
from trading.errors import InvalidValue, RetryLater, UnknownOutcome
from venues.http import HttpSession
from venues.permit import permitted_by

HEADERS = {"X-Desk": "test"}


@pytest.fixture
async def session() -> AsyncIterator[HttpSession]:
    session = HttpSession(total_timeout_s=1.0)
    yield session
    await session.close()


def says(*parts: bytes, close: bool = False) -> Behaviour:
    """These bytes, a packet each."""

    async def behave(_: Request, writer: Writer) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)
        if close:
            writer.close()

    return behave


@pytest.mark.parametrize(
    "behaviour",
    [
        fault.answer(200, b"hello"),
        says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nl", b"lo\r\n0\r\n\r\n"),
        says(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        says(b"HT", b"TP/1.1 200 OK\r\ncontent-LENGTH: 5\r", b"\n\r\nhel", b"lo"),
        says(b"HTTP/1.1 200 OK\r\n\r\nhel", b"lo", close=True),
        says(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", close=True),
        says(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", close=True),
    ],
)
async def test_every_way_to_answer_is_read_whole(
    faulty: FaultyVenue, session: HttpSession, behaviour: Behaviour
) -> None:
    faulty.behave["POST /x"] = behaviour
    for _ in range(2):
        answer = await session.request("POST", f"{faulty.base}/x", headers=HEADERS, body=b"{}")
        assert (answer.status, answer.body) == (200, b"hello")
        assert answer.answered_at_ns >= answer.sent_at_ns > 0
    assert [(request.headers["x-desk"], request.body) for request in faulty.requests] == [("test", b"{}")] * 2


async def test_one_connection_carries_many_requests(faulty: FaultyVenue, session: HttpSession) -> None:
    faulty.behave["POST /x"] = faulty.behave["GET /x"] = fault.answer(200, b"ok", X_Left="7")
    for number in range(6):
        method, body = ("POST", b"%d" % number) if number % 2 else ("GET", None)
        answer = await session.request(method, f"{faulty.base}/x", headers=HEADERS, body=body)
        assert answer.headers["x-left"] == "7"
    assert faulty.connections == 1


async def test_requests_at_once_do_not_wait_for_each_other(faulty: FaultyVenue, session: HttpSession) -> None:
    faulty.behave["POST /slow"] = fault.silence
    faulty.behave["POST /x"] = fault.answer(200, b"ok")
    slow = asyncio.create_task(session.request("POST", f"{faulty.base}/slow", headers=HEADERS, body=b""))
    await asyncio.sleep(0.05)
    assert (await session.request("POST", f"{faulty.base}/x", headers=HEADERS, body=b"")).body == b"ok"
    with pytest.raises(UnknownOutcome, match="timeout"):
        await slow


async def test_connection_with_a_late_answer_is_not_used_again(faulty: FaultyVenue, session: HttpSession) -> None:
    """The second request must never be given the first one's answer."""

    async def late(_: Request, writer: Writer) -> None:
        await asyncio.sleep(1.1)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst")

    faulty.behave["POST /late"], faulty.behave["POST /x"] = late, fault.answer(200, b"second")
    with pytest.raises(UnknownOutcome, match="timeout"):
        await session.request("POST", f"{faulty.base}/late", headers=HEADERS, body=b"")
    await asyncio.sleep(0.2)
    assert (await session.request("POST", f"{faulty.base}/x", headers=HEADERS, body=b"")).body == b"second"


@pytest.mark.parametrize("extra", [b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond", b"more"])
async def test_more_than_one_answer_ends_the_connection(
    faulty: FaultyVenue, session: HttpSession, extra: bytes
) -> None:
    faulty.behave["POST /x"] = says(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst" + extra)
    for _ in range(2):
        assert (await session.request("POST", f"{faulty.base}/x", headers=HEADERS, body=b"")).body == b"first"
        await asyncio.sleep(0.05)
    assert faulty.connections == 2


@pytest.mark.parametrize(
    "behaviour",
    [
        fault.reset,
        fault.hang_up,
        fault.half_an_answer,
        says(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
        says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe", close=True),
    ],
)
async def test_an_answer_cut_short_is_unknown(faulty: FaultyVenue, session: HttpSession, behaviour: Behaviour) -> None:
    faulty.behave["POST /x"] = behaviour
    with pytest.raises(UnknownOutcome, match="connection_lost"):
        await session.request("POST", f"{faulty.base}/x", headers=HEADERS, body=b"{}")
    assert len(faulty.requests) == 1, "never a second time"


async def test_only_a_read_is_asked_anew_on_a_connection_just_closed(faulty: FaultyVenue, session: HttpSession) -> None:
    ok = fault.answer(200, b"ok")
    faulty.behave["GET /x"] = fault.in_turn(ok, fault.hang_up, ok)
    faulty.behave["POST /x"] = fault.hang_up
    for _ in range(2):
        assert (await session.request("GET", f"{faulty.base}/x", headers=HEADERS)).body == b"ok"
    assert len(faulty.requests) == 3
    with pytest.raises(UnknownOutcome):
        await session.request("POST", f"{faulty.base}/x", headers=HEADERS, body=b"{}")
    assert len(faulty.requests) == 4


async def test_line_break_in_a_header_is_refused(faulty: FaultyVenue, session: HttpSession) -> None:
    with pytest.raises(InvalidValue):
        await session.request("POST", f"{faulty.base}/x", headers={"x-api-key": "a\r\nX-Other: b"}, body=b"{}")
    assert faulty.connections == 0


async def test_server_that_does_not_speak_tls_gets_no_request(faulty: FaultyVenue, session: HttpSession) -> None:
    with pytest.raises(RetryLater, match="not_connected"):
        await session.request("POST", faulty.base.replace("http", "https") + "/x", headers=HEADERS, body=b"{}")
    assert not faulty.requests


@pytest.mark.parametrize("refuse_at", [1, 2])
async def test_withdrawn_permit_means_nothing_left_by_a_proxy(faulty: FaultyVenue, refuse_at: int) -> None:
    """On the proxied way the permit is asked for the headers and for the body; both leave in one write."""
    asked = 0

    def check() -> None:
        nonlocal asked
        asked += 1
        if asked >= refuse_at:
            raise RetryLater("stopped")

    async with listening(TunnelProxy().serve) as port:
        session = HttpSession(f"http://127.0.0.1:{port}")
        with permitted_by(check), pytest.raises(RetryLater, match="stopped"):
            await session.request("POST", f"{faulty.base}/x", headers=HEADERS, body=b"{}")
        await session.close()
    assert not faulty.requests


def test_the_loop_of_the_products_processes_carries_requests() -> None:
    """uvloop's transports are no `asyncio.Transport` by their class."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    async def ask() -> bytes:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            session = HttpSession(total_timeout_s=5.0)
            port = server.sockets[0].getsockname()[1]
            answer = await session.request("GET", f"http://127.0.0.1:{port}/x", headers=HEADERS, body=None)
            await session.close()
            return answer.body

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(ask()) == b"ok"
