"""Keep-alive HTTP/1.1 connections of one account that has no proxy. `HttpSession` is the only caller.

A request with a connection at hand is on the socket before anything is awaited: no task, no queue, no connector between
the permit and the write. Parsing is httptools' (llhttp). One request at a time on a connection, never pipelined.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import cast

import httptools
from multidict import CIMultiDict
from yarl import URL

from trading.errors import InvalidValue

Origin = tuple[str, int, bool]

_BODILESS = frozenset({204, 304})


class Reply:
    """A complete answer."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: CIMultiDict[str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Line(asyncio.Protocol):
    """One connection. `send` when `is_idle`; the future has the answer, or the OSError that took it away."""

    def __init__(self, gone: Callable[["Line"], None]) -> None:
        """`gone` is called once, when the connection is closed."""
        self._gone = gone
        self.idle_since = 0.0
        self.is_used = False
        """Whether it has carried a request before."""
        self.has_answered = False
        """Whether a byte of the answer to the present request is here."""
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Reply] | None = None
        self._limit: asyncio.TimerHandle | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[str, str]] = []
        self._chunks: list[bytes] = []
        self._until_closed = False

    @property
    def is_idle(self) -> bool:
        """Open, with nothing asked and nothing unasked-for said."""
        return self._waiting is None and self._transport is not None and not self._transport.is_closing()

    def send(self, request: bytes, deadline: float) -> asyncio.Future[Reply]:
        """Hand the bytes to the socket in this very step. With no whole answer by `deadline`, on the loop's clock, the
        future has a TimeoutError and the connection is gone."""
        assert self._transport is not None
        assert self._waiting is None
        loop = asyncio.get_running_loop()
        self._waiting = loop.create_future()
        self._limit = loop.call_at(deadline, self._fail, TimeoutError())
        self._headers, self._chunks, self.has_answered = [], [], False
        self._transport.write(request)
        return self._waiting

    def drop(self) -> None:
        """Close the connection at once; whoever waits for an answer gets a ConnectionError."""
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, given: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, given)  # uvloop's is one in all but its class
        # Nothing is kept back: uvloop would otherwise write at the end of the loop's turn.
        transport.set_write_buffer_limits(high=0)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._waiting is None:
            self.drop()  # an answer to nothing: whatever follows cannot be told apart
            return
        self.has_answered = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionError(f"not HTTP: {type(error).__name__}"))

    def connection_lost(self, error: Exception | None) -> None:
        self._gone(self)
        if error is None and self._until_closed:
            self._answer()
        self._fail(ConnectionResetError("the connection was closed"))

    # httptools

    def on_message_begin(self) -> None:
        if self._waiting is None:
            self.drop()  # two answers to one request

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        names = {name.lower() for name, _ in self._headers}
        self._until_closed = (
            status >= 200 and status not in _BODILESS and not names & {"content-length", "transfer-encoding"}
        )

    def on_body(self, body: bytes) -> None:
        self._chunks.append(body)

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() < 200:  # 100 Continue, 103 Early Hints: the answer follows
            self._headers, self._chunks = [], []
            return
        keep = self._parser.should_keep_alive()
        self._answer()
        if not keep:
            self.drop()

    def _answer(self) -> None:
        waiting = self._taken()
        self._until_closed = False
        self.is_used = True
        if waiting is not None and not waiting.done():
            reply = Reply(self._parser.get_status_code(), CIMultiDict(self._headers), b"".join(self._chunks))
            waiting.set_result(reply)

    def _fail(self, error: OSError) -> None:
        waiting = self._taken()
        if waiting is not None and not waiting.done():
            waiting.set_exception(error)
        self.drop()

    def _taken(self) -> asyncio.Future[Reply] | None:
        waiting, self._waiting = self._waiting, None
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None
        return waiting


class Lines:
    """One account's connections, by origin. Not bounded: what is in flight is bounded by who asks."""

    def __init__(self, keep_alive_s: float) -> None:
        self._keep_alive_s = keep_alive_s
        self._idle: dict[Origin, list[Line]] = {}
        self._lines: set[Line] = set()
        self._heads: dict[tuple[str, URL], tuple[Mapping[str, str], bytes]] = {}

    def is_ready(self, url: URL) -> bool:
        """Whether `take` has a connection to give."""
        idle = self._idle.get(_origin(url))
        while idle:
            line = idle[-1]
            if line.is_idle and time.monotonic() - line.idle_since < self._keep_alive_s:
                return True
            idle.pop().drop()
        return False

    def take(self, url: URL) -> Line | None:
        """A connection that stands ready, or None."""
        return self._idle[_origin(url)].pop() if self.is_ready(url) else None

    async def open(self, url: URL) -> Line:
        """A new connection. Raises OSError (a refused certificate is one)."""
        host, port, is_tls = _origin(url)
        _, line = await asyncio.get_running_loop().create_connection(
            lambda: Line(self._lines.discard),
            host,
            port,
            ssl=_tls() if is_tls else None,
            server_hostname=host if is_tls else None,
        )
        self._lines.add(line)
        return line

    def give_back(self, line: Line, url: URL) -> None:
        """Keep the connection for the next request; one that is closed or in the middle of an answer is dropped."""
        if not line.is_idle:
            line.drop()
            return
        line.idle_since = time.monotonic()
        self._idle.setdefault(_origin(url), []).append(line)

    def request_bytes(self, method: str, url: URL, headers: Mapping[str, str], body: bytes | None) -> bytes:
        """The whole request. `headers` must not be changed after their first use: their bytes are kept."""
        held = self._heads.get((method, url))
        if held is None or held[0] is not headers:
            if len(self._heads) >= 64:
                self._heads.clear()
            held = self._heads[method, url] = (headers, _head(method, url, headers))
        if body is None:
            return held[1] + b"\r\n"
        return b"%bContent-Length: %d\r\n\r\n%b" % (held[1], len(body), body)

    def close(self) -> None:
        """Close every connection."""
        lines, self._lines = self._lines, set()
        self._idle.clear()
        for line in lines:
            line.drop()


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


@lru_cache(maxsize=256)
def _origin(url: URL) -> Origin:
    if url.scheme not in ("http", "https") or not url.raw_host or url.port is None:
        raise InvalidValue("a request goes to an http:// or https:// URL with a host")
    return url.raw_host, url.port, url.scheme == "https"


def _head(method: str, url: URL, headers: Mapping[str, str]) -> bytes:
    lines = [
        f"{method} {url.raw_path_qs} HTTP/1.1",
        f"Host: {url.host_port_subcomponent}",
        # Answers are small, and a compressed one would cost more to read than to carry.
        "Accept-Encoding: identity",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    if any("\r" in line or "\n" in line for line in lines):
        raise InvalidValue("a header holds a line break")
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1")
