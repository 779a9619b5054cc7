"""HTTP and WebSocket for one account: one pooled session, through its proxy or not at all.

Venue clients speak only through this. What it keeps true: with a proxy set, every connection (REST, login, RPC,
WebSocket) is dialled by the proxy connector, which has no direct path; and a failed request says whether a byte
of it may have left (`UnknownOutcome`) or certainly did not (`RetryLater`). Without a proxy, requests take the shorter
way of `venues.lines`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from types import SimpleNamespace

import aiohttp
import msgspec
from aiohttp_socks import ProxyConnectionError, ProxyConnector, ProxyError, ProxyTimeoutError
from python_socks import parse_proxy_url
from yarl import URL

from trading.errors import InvalidValue, RetryLater, UnknownOutcome
from venues.lines import Line, Lines, Reply
from venues.permit import ask_permit

_KEEP_ALIVE_S = 50.0
"""Below the idle limits of servers in the way, so that an order rarely meets a connection just being closed."""

_FAILURES = (aiohttp.ClientError, ProxyError, ProxyConnectionError, ProxyTimeoutError, OSError, TimeoutError)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A complete HTTP answer. Times are Unix nanoseconds: bytes handed to the socket, last byte of the answer read."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    sent_at_ns: int
    answered_at_ns: int


class HttpSession:
    """One account's connections, opened on first use inside the event loop; `close` it."""

    def __init__(
        self, proxy_url: str | None = None, *, connect_timeout_s: float = 2.0, total_timeout_s: float = 3.0
    ) -> None:
        """Raises InvalidValue for a proxy URL that is not http://, socks4:// or socks5:// with a host and a port."""
        self._proxy_url = proxy_url
        self._connect_timeout_s = connect_timeout_s
        self._total_timeout_s = total_timeout_s
        self._lines = Lines(_KEEP_ALIVE_S) if proxy_url is None else None
        self._timeout = aiohttp.ClientTimeout(
            total=total_timeout_s, connect=connect_timeout_s, sock_connect=connect_timeout_s
        )
        self._session: aiohttp.ClientSession | None = None
        self._closed = False
        if proxy_url is not None:
            _check_proxy_url(proxy_url)

    async def request(
        self, method: str, url: str | URL, *, headers: Mapping[str, str], body: bytes | None = None
    ) -> Answer:
        """The whole answer, whatever its status; redirects are answers.

        Raises RetryLater when no byte of the request left (no connection, refused, proxy down, connect timeout), and
        UnknownOutcome when one may have (timeout, reset, truncated answer). Never sends a second time.
        """
        if self._lines is not None:
            return await self._request_directly(self._lines, method, URL(url), headers, body)
        leaving = SimpleNamespace(at_ns=0, refusal=None)
        try:
            async with self._open().request(
                method, url, headers=headers, data=body, allow_redirects=False, trace_request_ctx=leaving
            ) as response:
                content = await response.read()
        except _FAILURES as error:
            raise leaving.refusal or self._failure(error, leaving.at_ns) from None
        return Answer(
            status=response.status,
            headers=response.headers,
            body=content,
            sent_at_ns=leaving.at_ns,
            answered_at_ns=time.time_ns(),
        )

    def is_ready(self, url: URL) -> bool:
        """Whether a request can be on the socket at once: a direct connection stands ready."""
        return self._lines is not None and not self._closed and self._lines.is_ready(url)

    def begin(
        self, method: str, url: URL, *, headers: Mapping[str, str], body: bytes, permit: Callable[[], None]
    ) -> Awaitable[Answer]:
        """A request whose bytes are on the socket when this returns; what it returns has the answer, and raises as
        `request` does. Only when `is_ready`. `permit` is asked in this very step, and what it raises comes through."""
        assert self._lines is not None
        request = self._lines.request_bytes(method, url, headers, body)
        deadline = asyncio.get_running_loop().time() + self._total_timeout_s
        line = self._lines.take(url)
        assert line is not None
        try:
            permit()
        except BaseException:
            self._lines.give_back(line, url)
            raise
        sent_at_ns = time.time_ns()
        return self._begun(self._lines, line, url, line.send(request, deadline), sent_at_ns)

    async def _begun(
        self, lines: Lines, line: Line, url: URL, waiting: asyncio.Future[Reply], sent_at_ns: int
    ) -> Answer:
        try:
            return _answer(await waiting, sent_at_ns)
        except _FAILURES as error:
            raise self._failure(error, sent_at_ns) from None
        finally:
            lines.give_back(line, url)

    async def _request_directly(
        self, lines: Lines, method: str, url: URL, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        if self._closed:
            raise RetryLater("session_closed")
        request = lines.request_bytes(method, url, headers, body)
        deadline = asyncio.get_running_loop().time() + self._total_timeout_s
        line = lines.take(url)
        while True:
            sent_at_ns = 0
            try:
                if line is None:
                    async with asyncio.timeout(self._connect_timeout_s):
                        line = await lines.open(url)
                    if self._closed:
                        raise ConnectionAbortedError
                ask_permit()
                sent_at_ns = time.time_ns()
                return _answer(await line.send(request, deadline), sent_at_ns)
            except _FAILURES as error:
                # The venue had just closed a connection kept open: a read is asked anew, for it changes nothing.
                is_stale = line is not None and line.is_used and not line.has_answered
                if method != "GET" or not is_stale or not isinstance(error, ConnectionError) or self._closed:
                    raise self._failure(error, sent_at_ns) from None
                line = None
            finally:
                if line is not None:  # one still without its answer is dropped
                    lines.give_back(line, url)

    async def connect_websocket(
        self, url: str, *, headers: Mapping[str, str], timeout_s: float = 10.0
    ) -> aiohttp.ClientWebSocketResponse:
        """An open WebSocket on this account's way out. Raises RetryLater when it cannot be opened."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._open().ws_connect(
                    url, headers=headers, timeout=aiohttp.ClientWSTimeout(ws_close=2.0), max_msg_size=16 * 2**20
                )
        except aiohttp.WSServerHandshakeError as error:
            raise RetryLater(f"websocket_{error.status}", "the venue refused the WebSocket") from None
        except _FAILURES as error:
            raise RetryLater(self._slug("websocket_unavailable"), type(error).__name__) from None

    async def close(self) -> None:
        """Close every connection of the account, for good: whatever is asked afterwards raises RetryLater."""
        self._closed = True
        if self._lines is not None:
            self._lines.close()
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise RetryLater("session_closed")
        if self._session is None:
            trace = aiohttp.TraceConfig()
            trace.on_request_headers_sent.append(_mark_leaving)
            trace.on_request_chunk_sent.append(_mark_leaving)
            self._session = aiohttp.ClientSession(
                connector=_connector(self._proxy_url),
                timeout=self._timeout,
                trace_configs=[trace],
                trust_env=False,  # a proxy named in the environment is nobody's decision about this account
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    def _failure(self, error: Exception, left_at_ns: int) -> RetryLater | UnknownOutcome:
        # Only the error's class is told on: its text may hold a URL with credentials.
        name = type(error).__name__
        if left_at_ns:
            slug = "timeout" if isinstance(error, TimeoutError) else "connection_lost"
            return UnknownOutcome(slug, f"{name} after the request had begun to leave")
        return RetryLater(self._slug("not_connected"), f"{name} before anything left")

    def _slug(self, otherwise: str) -> str:
        return otherwise if self._proxy_url is None else "proxy_unavailable"


def _answer(reply: Reply, sent_at_ns: int) -> Answer:
    return Answer(
        status=reply.status,
        headers=reply.headers,
        body=reply.body,
        sent_at_ns=sent_at_ns,
        answered_at_ns=time.time_ns(),
    )


def _connector(proxy_url: str | None) -> aiohttp.TCPConnector:
    # limit=0: what is in flight is bounded by who asks, and an order never queues for a connection.
    if proxy_url is None:
        return aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_S, ttl_dns_cache=300)
    # rdns: the venue's name is resolved by the proxy, so not even a DNS query tells on the account.
    return ProxyConnector.from_url(_plain(proxy_url), rdns=True, limit=0, keepalive_timeout=_KEEP_ALIVE_S)


def _plain(proxy_url: str) -> str:
    return proxy_url.replace("socks5h://", "socks5://", 1)


def _check_proxy_url(proxy_url: str) -> None:
    try:
        parse_proxy_url(_plain(proxy_url))
    except ValueError:
        # The URL itself stays out of the error: it may hold a password.
        raise InvalidValue("the proxy URL must be http://, socks4:// or socks5:// with a host and a port") from None


async def _mark_leaving(session: aiohttp.ClientSession, context: SimpleNamespace, params: object) -> None:
    """Called just before headers, then body, are handed to the socket: from here on a byte may have left.

    aiohttp holds the headers back until the body's first chunk and writes both in this very step, so a permit refused
    here means that nothing left. A WebSocket's handshake carries no context and is nobody's order.
    """
    leaving = context.trace_request_ctx
    if leaving is None:
        return
    try:
        ask_permit()
    except RetryLater as refusal:
        leaving.at_ns, leaving.refusal = 0, refusal
        raise
    leaving.at_ns = time.time_ns()
