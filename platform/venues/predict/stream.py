"""The wallet stream: frames in, WalletEvents out, for ever. Run by the listener through PredictClient.

Keeps true: CONNECTED comes after every subscribe and before that connection's events; frames are read, echoed and
buffered while the reader is busy; a drain notice or a new token opens the next connection before the old one ends;
a frame of ours that cannot be read asks for REST (CONNECTED again) instead of being skipped. Facts: predict.md, 7.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Final

import aiohttp
import msgspec
import structlog

from trading.errors import InvalidValue, RetryLater
from venues.backoff import Backoff
from venues.contract import WalletEvent, WalletEventKind
from venues.predict.parsing import parse_wallet_event
from venues.predict.schemas import Frame, Notice, WireWalletEvent
from venues.predict.session import PredictSession

log = structlog.get_logger()

_WALLET_TOPIC: Final = "predictWalletEvents/"
_SUBSCRIBE_TIMEOUT_S: Final = 10.0
_STEADY_S: Final = 10.0
"""A connection that lasted this long is a success: the next back-off starts from the beginning."""
_OVERLAP_S: Final = 5.0
"""How long beyond its announced end an old connection is still read."""
_REMEMBERED: Final = 4096
_CLOSED: Final = (
    aiohttp.WSMsgType.CLOSE,
    aiohttp.WSMsgType.CLOSING,
    aiohttp.WSMsgType.CLOSED,
    aiohttp.WSMsgType.ERROR,
)

_frames = msgspec.json.Decoder(Frame)
_notices = msgspec.json.Decoder(Notice)
_events = msgspec.json.Decoder(WireWalletEvent)


class _Connection:
    """One subscribed WebSocket, and when it should be replaced."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, token: str) -> None:
        self.socket = socket
        self.token = token
        self.grace_s = 0.0
        self.replace = asyncio.Event()
        self.early: list[tuple[bytes, int]] = []
        """Events that overtook the reply to the subscription: told after CONNECTED."""


class WalletStream:
    """One account's private stream. Iterate `run` once; `stop` ends it from outside."""

    def __init__(
        self,
        session: PredictSession,
        ws_url: str,
        *,
        backoff: Backoff | None = None,
        silence_limit_s: float = 40.0,
    ) -> None:
        """`silence_limit_s`: heartbeats come every 15 s, so two missed ones mean the connection is dead."""
        self._session = session
        self._ws_url = ws_url
        self._backoff = backoff or Backoff()
        self._silence_limit_s = silence_limit_s
        self._events: asyncio.Queue[WalletEvent | None] = asyncio.Queue()
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self._retiring: set[asyncio.Task[None]] = set()

    async def run(self) -> AsyncIterator[WalletEvent]:
        """Every event, until `stop` or the end of the iteration."""
        keeper = asyncio.create_task(self._keep_connected(), name="predict-wallet-stream")
        keeper.add_done_callback(lambda _: self.stop())
        try:
            while (event := await self._events.get()) is not None:
                yield event
            if keeper.done():
                keeper.result()  # it only ever ends by a fault of ours, which must be seen
        finally:
            tasks = [keeper, *self._retiring]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def stop(self) -> None:
        """End the iteration after what is buffered."""
        self._events.put_nowait(None)

    async def _keep_connected(self) -> None:
        while True:
            connection: _Connection | None = await self._connect()
            began = time.monotonic()
            while connection is not None:
                self._tell(WalletEventKind.CONNECTED)
                for data, received_at_ns in connection.early:
                    self._take(data, received_at_ns)
                connection = await self._follow(connection)
            if time.monotonic() - began > _STEADY_S:
                self._backoff.reset()
            self._tell(WalletEventKind.DISCONNECTED)
            await asyncio.sleep(self._backoff.next_delay_s())

    async def _connect(self) -> _Connection:
        while True:
            try:
                return await self._subscribe()
            except RetryLater as error:
                delay_s = self._backoff.next_delay_s()
                log.info("predict_stream_retry", account_id=self._session.account_id, slug=error.slug, delay_s=delay_s)
                await asyncio.sleep(delay_s)

    async def _subscribe(self) -> _Connection:
        """A connection the venue has confirmed. Raises RetryLater; a refused token is renewed on the way."""
        token = await self._session.live_token()
        socket = await self._session.http.connect_websocket(self._ws_url, headers=self._session.public_headers)
        connection = _Connection(socket, token)
        request = {"method": "subscribe", "requestId": 1, "params": [_WALLET_TOPIC + token]}
        try:
            async with asyncio.timeout(_SUBSCRIBE_TIMEOUT_S):
                await socket.send_str(msgspec.json.encode(request).decode())
                reply = await self._reply(connection)
        except (TimeoutError, ConnectionError, aiohttp.ClientError):
            await socket.close()
            raise RetryLater("subscribe_unanswered") from None
        except BaseException:
            await socket.close()
            raise
        if reply.success:
            return connection
        await socket.close()
        if b"invalid_credentials" in bytes(reply.error):
            await self._session.renew(token)
        raise RetryLater("subscribe_refused")

    async def _reply(self, connection: _Connection) -> Frame:
        while True:
            message = await connection.socket.receive()
            if message.type in _CLOSED:
                raise RetryLater("closed_before_subscribed", f"code {connection.socket.close_code}")
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            frame = _decode(message.data)
            if frame is not None and frame.type == "R":
                return frame
            if frame is not None and frame.topic.startswith(_WALLET_TOPIC):
                connection.early.append((bytes(frame.data), time.time_ns()))
            else:
                await self._handle(connection, frame, time.time_ns())

    async def _follow(self, connection: _Connection) -> _Connection | None:
        """Read `connection` until it ends (None) or until its successor is subscribed (the successor)."""
        reader = asyncio.create_task(self._read(connection))
        replace = asyncio.create_task(connection.replace.wait())
        try:
            await asyncio.wait((reader, replace), return_when=asyncio.FIRST_COMPLETED)
            while not reader.done():
                try:
                    successor = await self._subscribe()
                except RetryLater:
                    await asyncio.wait((reader,), timeout=self._backoff.next_delay_s())
                    continue
                retiring = asyncio.create_task(self._retire(connection, reader))
                self._retiring.add(retiring)
                retiring.add_done_callback(self._retiring.discard)
                return successor
            return None
        except BaseException:
            reader.cancel()
            await connection.socket.close()
            raise
        finally:
            replace.cancel()

    async def _retire(self, connection: _Connection, reader: asyncio.Task[None]) -> None:
        """Both are read while the old one lasts; what comes twice is told once."""
        try:
            await asyncio.wait((reader,), timeout=connection.grace_s + _OVERLAP_S)
        finally:
            reader.cancel()
            await connection.socket.close()

    async def _read(self, connection: _Connection) -> None:
        socket = connection.socket
        try:
            while True:
                message = await socket.receive(timeout=self._silence_limit_s)
                received_at_ns = time.time_ns()
                if message.type in _CLOSED:
                    reason = f"closed with code {socket.close_code}"
                    break
                if message.type is aiohttp.WSMsgType.TEXT:
                    await self._handle(connection, _decode(message.data), received_at_ns)
        except TimeoutError:
            reason = "silent"
        except (ConnectionError, aiohttp.ClientError) as error:
            reason = type(error).__name__
        log.info("predict_stream_ended", account_id=self._session.account_id, reason=reason)
        await socket.close()

    async def _handle(self, connection: _Connection, frame: Frame | None, received_at_ns: int) -> None:
        if frame is None:
            self._ask_for_rest("frame")
        elif frame.topic == "heartbeat":
            # The same number, as it came; a missing or different one closes the connection at the next heartbeat.
            await connection.socket.send_str('{"method":"heartbeat","data":' + bytes(frame.data).decode() + "}")
            if self._session.token != connection.token:
                connection.replace.set()
        elif frame.topic.startswith(_WALLET_TOPIC):
            self._take(bytes(frame.data), received_at_ns)
        elif (grace_ms := _grace_ms(frame)) is not None:
            connection.grace_s = grace_ms / 1000
            connection.replace.set()

    def _take(self, data: bytes, received_at_ns: int) -> None:
        if data in self._seen:
            return
        self._seen[data] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        try:
            event = parse_wallet_event(_events.decode(data), received_at_ns)
        except (msgspec.MsgspecError, InvalidValue, UnicodeDecodeError):
            self._ask_for_rest("wallet event")
            return
        if event is not None:
            self._events.put_nowait(event)

    def _ask_for_rest(self, what: str) -> None:
        """Something was said that we could not read: what it was must come from REST."""
        log.warning("predict_stream_unreadable", account_id=self._session.account_id, what=what)
        self._tell(WalletEventKind.CONNECTED, reason=f"unreadable {what}")

    def _tell(self, kind: WalletEventKind, reason: str = "") -> None:
        self._events.put_nowait(WalletEvent(kind=kind, received_at_ns=time.time_ns(), reason=reason))


def _decode(text: str) -> Frame | None:
    try:
        return _frames.decode(text)
    except msgspec.MsgspecError:
        return None


def _grace_ms(frame: Frame) -> int | None:
    """The notice before a deploy: any push that carries `graceMs` (its topic is not documented)."""
    if frame.grace_ms is not None:
        return frame.grace_ms
    try:
        return _notices.decode(frame.data).grace_ms
    except msgspec.MsgspecError:
        return None
