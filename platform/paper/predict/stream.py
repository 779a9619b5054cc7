"""The WebSocket at /ws: one topic a request, full snapshots, wallet events by token, a heartbeat that must be echoed.

Each connection has its own outgoing queue and writer, so a slow reader delays nobody; one that lets its queue overflow
is cut off. Nothing is replayed after a reconnect.
"""

import asyncio
import time
from typing import Any

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from paper.exchange import Event
from paper.predict.errors import ApiError, encode, respond_error
from paper.predict.gate import caller_of
from paper.predict.market_json import book_json, number, pending_json, status_of
from paper.predict.venue import Venue
from paper.predict.wallet_json import wallet_event_json
from paper.records import Market

BOOK_INTERVAL_S = 0.05
_QUEUE = 10_000


class Request(msgspec.Struct, rename="camel"):
    method: str
    request_id: int | None = None
    params: list[str] = []
    data: int | float | None = None


_decode = msgspec.json.Decoder(Request).decode


class Connection:
    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.BaseTransport | None) -> None:
        self.socket = socket
        self._transport = transport
        self.topics: set[str] = set()
        self.wallets: dict[str, str] = {}
        """Address to the topic it was subscribed under."""
        self.beat: int | None = None
        self.echoed = True
        self.silent = False
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(_QUEUE)

    def send(self, data: bytes) -> None:
        if self.silent:
            return
        try:
            self._queue.put_nowait(data)
        except asyncio.QueueFull:
            if isinstance(self._transport, asyncio.WriteTransport):
                self._transport.abort()

    async def write(self) -> None:
        while True:
            data = await self._queue.get()
            await self.socket.send_str(data.decode())


class Stream:
    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self.connections: set[Connection] = set()
        self._closing: set[asyncio.Task[None]] = set()
        venue.listeners.append(self.publish_events)

    # Pushing

    def publish_events(self, events: list[Event]) -> None:
        if not self.connections:
            return
        for event in events:
            if event.order is not None:
                self._publish_wallet(event)
            elif event.kind == "tradingStatus":
                self._publish_topic(f"predictTradingStatus/{event.market_id}")
            elif event.kind == "marketStatus":
                self._publish_topic(f"predictMarketStatus/{event.market_id}")

    def _publish_wallet(self, event: Event) -> None:
        order = event.order
        if order is None:
            return
        readers = [(c, c.wallets[order.address]) for c in self.connections if order.address in c.wallets]
        if not readers:
            return
        faults = self._venue.faults
        times = 1
        if faults.rules:
            if faults.strikes("drop_events", order.address):
                return
            times = 2 if faults.strikes("duplicate_events", order.address) else 1
        data = wallet_event_json(event, order, self._venue.state.markets[event.market_id])
        delay = 0.0
        rule = faults.strikes("reorder_events", order.address) if faults.rules else None
        if rule is not None:
            delay = (rule.ms or 50) / 1000
        for connection, topic in readers:
            frame = encode({"type": "M", "topic": topic, "data": data})
            for _ in range(times):
                if delay:
                    asyncio.get_running_loop().call_later(delay, connection.send, frame)
                else:
                    connection.send(frame)

    def _publish_topic(self, topic: str) -> None:
        readers = [c for c in self.connections if topic in c.topics]
        if readers:
            frame = self._snapshot(topic)
            for connection in readers:
                if frame is not None:
                    connection.send(frame)

    async def run_books(self) -> None:
        """Publish changed books, at most every 50 ms each."""
        while True:
            await asyncio.sleep(BOOK_INTERVAL_S)
            stale = self._venue.stale_books
            if stale:
                changed = list(stale)
                stale.clear()
                for market_id in changed:
                    self._publish_topic(f"predictOrderbook/{market_id}")

    def drain(self, grace_ms: int) -> None:
        """Announce a close, then close 1001 after the grace."""
        frame = encode({"type": "M", "topic": "reconnect", "data": {"graceMs": grace_ms}})
        for connection in self.connections:
            connection.send(frame)
        task = asyncio.get_running_loop().create_task(self._close_later(list(self.connections), grace_ms))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close_later(self, connections: list[Connection], grace_ms: int) -> None:
        await asyncio.sleep(grace_ms / 1000)
        await self.close(connections)

    async def close(self, connections: list[Connection]) -> None:
        for connection in connections:
            await connection.socket.close(code=WSCloseCode.GOING_AWAY, message=b"server draining")

    def silence(self, on: bool) -> None:
        """Connections stay open and say nothing, not even heartbeats."""
        for connection in self.connections:
            connection.silent = on

    # Snapshots

    def _snapshot(self, topic: str) -> bytes | None:
        kind, _, param = topic.partition("/")
        market = self._venue.state.markets.get(int(param)) if param.isdigit() else None
        if market is None:
            return None
        data: dict[str, Any]
        if kind == "predictOrderbook":
            data = self._book(market)
        elif kind == "predictTradingStatus":
            data = {
                "kind": "tradingStatusUpdate",
                "marketId": market.id,
                "tradingStatus": market.trading,
                "tsMs": market.updated_at,
            }
        elif kind == "predictMarketStatus":
            data = self._market_status(market)
        else:
            return None
        return encode({"type": "M", "topic": topic, "data": data})

    def _book(self, market: Market) -> dict[str, Any]:
        venue = self._venue
        data = book_json(venue.exchange, market, venue.book_time(market.id))
        book = venue.exchange.books[market.id]
        data["orderCount"] = sum(len(level) for s in (book.bids, book.asks) for level in s.levels.values())
        data["version"] = 1
        data["settlementsPending"] = pending_json(venue.pending_matches(market.id))
        return data

    def _market_status(self, market: Market) -> dict[str, Any]:
        outcomes = [
            {
                "label": market.info["outcomes"][0 if is_yes else 1],
                "price": number(self._venue.price_of(market, is_yes)),
                "indexSet": 1 if is_yes else 2,
                "onChainId": market.token(is_yes),
            }
            for is_yes in (True, False)
        ]
        return {
            "kind": "marketStatusUpdate",
            "marketId": market.id,
            "status": status_of(market),
            "tsMs": market.updated_at,
            "marketOutcomes": outcomes,
        }

    # One connection

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if caller_of(request) is None:
            return respond_error(ApiError(401, message="authorization error"))
        socket = web.WebSocketResponse(autoping=True, max_msg_size=1 << 16)
        await socket.prepare(request)
        connection = Connection(socket, request.transport)
        connection.silent = self._venue.faults.strikes("ws_silence") is not None
        self.connections.add(connection)
        tasks = [asyncio.create_task(connection.write()), asyncio.create_task(self._beat(connection))]
        try:
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    self._read(connection, message.data)
        finally:
            self.connections.discard(connection)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return socket

    async def _beat(self, connection: Connection) -> None:
        """Send the time every interval; without its echo by the next one, close 1000."""
        while True:
            await asyncio.sleep(self._venue.settings.heartbeat_s)
            if connection.silent:
                continue
            if not connection.echoed:
                await connection.socket.close(code=WSCloseCode.OK, message=b"heartbeat missed")
                return
            connection.beat = time.time_ns() // 1_000_000
            connection.echoed = False
            connection.send(encode({"type": "M", "topic": "heartbeat", "data": connection.beat}))

    def _read(self, connection: Connection, text: str) -> None:
        try:
            message = _decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._refuse(connection, None, "invalid_request", "the message could not be read")
            return
        if message.method == "heartbeat":
            connection.echoed = message.data == connection.beat
            return
        request_id = message.request_id
        if request_id is None or request_id < 0 or not message.params:
            self._refuse(connection, request_id, "invalid_request", "requestId and one topic are required")
            return
        topic = message.params[0]
        if message.method == "subscribe":
            self._subscribe(connection, request_id, topic)
        elif message.method == "unsubscribe":
            connection.topics.discard(topic)
            connection.wallets = {a: t for a, t in connection.wallets.items() if t != topic}
            connection.send(encode({"type": "R", "requestId": request_id, "success": True}))
        else:
            self._refuse(connection, request_id, "invalid_method", "subscribe or unsubscribe")

    def _subscribe(self, connection: Connection, request_id: int, topic: str) -> None:
        kind, _, param = topic.partition("/")
        if kind == "predictWalletEvents":
            address = self._venue.auth.address_of(param, self._venue.now_ms())
            if address is None:
                self._refuse(connection, request_id, "invalid_credentials", "the token is not valid")
                return
            connection.wallets[address] = topic
            connection.send(encode({"type": "R", "requestId": request_id, "success": True}))
            return
        if kind not in _TOPICS or not param:
            self._refuse(connection, request_id, "invalid_topic", "no such topic")
            return
        snapshot = self._snapshot(topic)
        if kind in _SNAPSHOTS and snapshot is None:
            self._refuse(connection, request_id, "invalid_topic", "no such market")
            return
        connection.topics.add(topic)
        connection.send(encode({"type": "R", "requestId": request_id, "success": True}))
        if snapshot is not None:
            connection.send(snapshot)

    def _refuse(self, connection: Connection, request_id: int | None, code: str, message: str) -> None:
        connection.send(
            encode(
                {
                    "type": "R",
                    "requestId": request_id,
                    "success": False,
                    "error": {"code": code, "message": message},
                }
            )
        )


_SNAPSHOTS = ("predictOrderbook", "predictTradingStatus", "predictMarketStatus")
_TOPICS = (
    *_SNAPSHOTS,
    "predictMarketChanged",
    "predictCategoryChanged",
    "assetPriceUpdate",
    "polymarketChance",
    "kalshiChance",
)
STREAM = web.AppKey("stream", Stream)


async def open_stream(request: web.Request) -> web.StreamResponse:
    return await request.app[STREAM].handle(request)
