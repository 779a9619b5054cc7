"""An order that waits for nothing: its bytes are on the socket when `begin` returns, its permit asked in that step."""

import asyncio
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import uvloop
from yarl import URL

from tests.venues import faulty as fault
from tests.venues.faulty import FaultyVenue, TunnelProxy, listening
from tests.venues.predict.test_submit import HASH, ORDER, TAKEN, client_of, login
from trading.errors import RetryLater, UnknownOutcome
from venues import lines
from venues.http import HttpSession
from venues.predict.client import PredictClient
from venues.priority import Priority

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def may() -> None:
    """A permit that is always given."""


@pytest.fixture
async def client(faulty: FaultyVenue) -> AsyncIterator[PredictClient]:
    faulty.behave["GET /v1/auth/message"] = fault.answer(200, {"success": True, "data": {"message": "sign me"}})
    faulty.behave["POST /v1/auth"] = fault.in_turn(login(1), login(2))
    async with client_of(faulty.base) as opened:
        yield opened


class ThreadServer:
    """Answers requests from a thread of its own, and so sees what left while the event loop stands still."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self.came = threading.Event()
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            taken, _ = self._socket.accept()
            if self._context is not None:
                taken = self._context.wrap_socket(taken, server_side=True)
            with taken:
                while taken.recv(65536):
                    self.came.set()
                    taken.sendall(OK)

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ssl.SSLContext]:
    """A server's side of TLS, with a certificate that our side trusts during the test."""
    if shutil.which("openssl") is None:
        pytest.skip("makes its certificate with openssl")
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    lines._tls.cache_clear()  # What is trusted is read once.
    yield context
    lines._tls.cache_clear()


@pytest.fixture(params=["plain", "tls"])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[ThreadServer, str]]:
    context = request.getfixturevalue("tls") if request.param == "tls" else None
    opened = ThreadServer(context)
    yield opened, f"{'http' if context is None else 'https'}://localhost:{opened.port}/x"
    opened.close()


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_bytes_are_on_the_socket_when_it_returns(
    server: tuple[ThreadServer, str], make_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def ask() -> None:
        venue, url = server
        session = HttpSession(total_timeout_s=5.0)
        try:
            assert not session.is_ready(URL(url))
            await session.request("POST", url, headers={}, body=b"first")
            assert session.is_ready(URL(url))
            venue.came.clear()
            answering = session.begin("POST", URL(url), headers={}, body=b"second", permit=may)
            assert venue.came.wait(2), "the loop stood still: nobody else can have written it"
            answer = await answering
            assert (answer.body, answer.sent_at_ns > 0) == (b"ok", True)
            assert session.is_ready(URL(url)), "the connection is kept"
        finally:
            await session.close()

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(ask())


async def test_nothing_begins_without_a_login(faulty: FaultyVenue, client: PredictClient) -> None:
    assert client.begin(ORDER, priority=Priority.HEDGE, permit=may) is None
    await client.connect()
    faulty.behave["POST /v1/orders"] = TAKEN
    answering = client.begin(ORDER, priority=Priority.HEDGE, permit=may)
    assert answering is not None
    assert client.begin(ORDER, priority=Priority.HEDGE, permit=may) is None, "its one connection is busy"
    assert (await answering).venue_order_id == "77"
    client._session._expires_at_s = 0
    assert client.begin(ORDER, priority=Priority.HEDGE, permit=may) is None, "its token has run out"
    assert len(faulty.sent("/v1/orders")) == 1


async def test_withdrawn_permit_means_nothing_left(faulty: FaultyVenue, client: PredictClient) -> None:
    def check() -> None:
        raise RetryLater("stopped")

    await client.connect()
    faulty.behave["POST /v1/orders"] = TAKEN
    with pytest.raises(RetryLater, match="stopped"):
        client.begin(ORDER, priority=Priority.HEDGE, permit=check)
    await asyncio.sleep(0.1)
    assert not faulty.sent("/v1/orders")
    connections = faulty.connections
    answering = client.begin(ORDER, priority=Priority.HEDGE, permit=may)
    assert answering is not None
    await answering
    assert faulty.connections == connections, "the connection was kept"


@pytest.mark.parametrize("behaviour", [fault.silence, fault.reset, fault.hang_up, fault.half_an_answer])
async def test_an_order_that_may_have_arrived_is_unknown(
    faulty: FaultyVenue, client: PredictClient, behaviour: fault.Behaviour
) -> None:
    await client.connect()
    faulty.behave["POST /v1/orders"] = behaviour
    answering = client.begin(ORDER, priority=Priority.HEDGE, permit=may)
    assert answering is not None
    with pytest.raises(UnknownOutcome):
        await answering
    assert len(faulty.sent("/v1/orders")) == 1
    assert client.begin(ORDER, priority=Priority.HEDGE, permit=may) is None, "that connection is gone"


async def test_nobody_waiting_ends_the_connection(faulty: FaultyVenue, client: PredictClient) -> None:
    """The next request must never be given this one's answer."""
    await client.connect()
    faulty.behave["POST /v1/orders"] = fault.silence
    answering = client.begin(ORDER, priority=Priority.HEDGE, permit=may)
    assert answering is not None
    task = asyncio.ensure_future(answering)
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert client.begin(ORDER, priority=Priority.HEDGE, permit=may) is None


async def test_refused_token_is_renewed_and_the_permit_asked_again(faulty: FaultyVenue, client: PredictClient) -> None:
    asked = 0

    def count() -> None:
        nonlocal asked
        asked += 1

    await client.connect()
    client._session._logged_in_at_s -= 30
    faulty.behave["POST /v1/orders"] = fault.in_turn(fault.refusal(401, "unauthorized"), TAKEN)
    answering = client.begin(ORDER, priority=Priority.HEDGE, permit=count)
    assert answering is not None
    assert (await answering).order_hash == HASH
    assert asked == 2
    assert len({request.headers["authorization"] for request in faulty.sent("/v1/orders")}) == 2


async def test_spent_budget_lets_nothing_leave(faulty: FaultyVenue, client: PredictClient) -> None:
    await client.connect()
    faulty.behave["POST /v1/orders"] = fault.refusal(429, "too_many_requests", Retry_After="60")
    answering = client.begin(ORDER, priority=Priority.HEDGE, permit=may)
    assert answering is not None
    with pytest.raises(RetryLater, match="too_many_requests"):
        await answering
    with pytest.raises(RetryLater, match="rate_limit_guard"):
        client.begin(ORDER, priority=Priority.HEDGE, permit=may)
    assert len(faulty.sent("/v1/orders")) == 1


async def test_account_with_a_proxy_never_begins_without_it(faulty: FaultyVenue) -> None:
    async with listening(TunnelProxy().serve) as port:
        session = HttpSession(f"http://127.0.0.1:{port}")
        await session.request("POST", f"{faulty.base}/x", headers={}, body=b"{}")
        assert not session.is_ready(URL(f"{faulty.base}/x"))
        await session.close()
