"""The wallet stream against a small honest WebSocket venue that can be told to misbehave."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from aiohttp import WSCloseCode, web
from structlog.testing import capture_logs

from trading.enums import SignerKind
from venues.backoff import Backoff
from venues.contract import Credentials, WalletEvent, WalletEventKind
from venues.predict.config import PredictEndpoints
from venues.predict.session import PredictSession
from venues.predict.stream import WalletStream

K = WalletEventKind
FAKE_KEY = bytes.fromhex("11" * 32)
OWNER = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"


class StreamVenue:
    """Login and /ws. `push` sends to every open connection; `refusals` subscriptions are refused first."""

    def __init__(self) -> None:
        self.logins = 0
        self.refusals = 0
        self.early: list[str] = []
        self.open: list[web.WebSocketResponse] = []
        self.most_open = 0
        self.topics: list[str] = []
        self.received: list[dict[str, Any]] = []
        self.port = 0

    async def message(self, request: web.Request) -> web.Response:
        return web.json_response({"success": True, "data": {"message": "m"}})

    async def login(self, request: web.Request) -> web.Response:
        self.logins += 1
        claims = {"n": self.logins, "exp": int(time.time()) + 86_400}
        return web.json_response({"success": True, "data": {"token": jwt.encode(claims, "not-a-secret-" * 4)}})

    async def stream(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.open.append(socket)
        self.most_open = max(self.most_open, len(self.open))
        async for message in socket:
            told = json.loads(message.data)
            self.received.append(told)
            if told["method"] == "subscribe":
                self.topics.append(told["params"][0])
                for text in self.early:
                    await socket.send_str(text)
                await self._reply(socket, told["requestId"])
        self.open.remove(socket)
        return socket

    async def _reply(self, socket: web.WebSocketResponse, request_id: int) -> None:
        if self.refusals:
            self.refusals -= 1
            error = {"code": "invalid_credentials", "message": "bad token"}
            await socket.send_json({"type": "R", "requestId": request_id, "success": False, "error": error})
        else:
            await socket.send_json({"type": "R", "requestId": request_id, "success": True})

    async def push(self, frame: str | dict[str, Any]) -> None:
        for socket in list(self.open):
            await socket.send_str(frame if isinstance(frame, str) else json.dumps(frame))

    async def wallet(self, order_hash: str, kind: str = "orderAccepted", **more: Any) -> None:
        await self.push(wallet_frame(order_hash, kind, **more))


def wallet_frame(order_hash: str, kind: str = "orderAccepted", **more: Any) -> dict[str, Any]:
    data = {"type": kind, "orderHash": order_hash, "orderId": "1", "timestamp": 5, **more}
    return {"type": "M", "topic": "predictWalletEvents/the-token-itself", "data": data}


class Reading:
    """A wallet stream being read."""

    def __init__(self, session: PredictSession, stream: WalletStream) -> None:
        self.session = session
        self.stream = stream
        self.told: list[WalletEvent] = []
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for event in self.stream.run():
            self.told.append(event)

    def kinds(self) -> list[WalletEventKind]:
        return [event.kind for event in self.told]

    async def until(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.told) < count:
                await asyncio.sleep(0.005)


@pytest.fixture
async def venue() -> AsyncIterator[StreamVenue]:
    venue = StreamVenue()
    app = web.Application()
    app.add_routes(
        [
            web.get("/v1/auth/message", venue.message),
            web.post("/v1/auth", venue.login),
            web.get("/ws", venue.stream),
        ]
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    venue.port = runner.addresses[0][1]
    yield venue
    await runner.cleanup()


@pytest.fixture
async def reading(venue: StreamVenue) -> AsyncIterator[Reading]:
    base = f"127.0.0.1:{venue.port}"
    endpoints = PredictEndpoints(
        api_url=f"http://{base}", ws_url=f"ws://{base}/ws", rpc_url=f"http://{base}/rpc", chain_id=56
    )
    credentials = Credentials(account_id="a", address=OWNER, signer_kind=SignerKind.EOA, private_key=FAKE_KEY)
    session = PredictSession(endpoints, credentials)
    quick = Backoff(base_s=0.02, cap_s=0.05)
    reading = Reading(session, WalletStream(session, endpoints.ws_url, backoff=quick, silence_limit_s=1.0))
    yield reading
    reading.stream.stop()
    await asyncio.wait_for(reading.task, 5)
    await session.close()


async def test_subscription_is_told_before_its_events(venue: StreamVenue, reading: Reading) -> None:
    venue.early = [json.dumps(wallet_frame("0xA1"))]
    await reading.until(2)
    await venue.wallet("0xA2")
    await reading.until(3)
    assert reading.kinds() == [K.CONNECTED, K.ACCEPTED, K.ACCEPTED]
    assert [event.order_hash for event in reading.told[1:]] == ["0xa1", "0xa2"]
    assert venue.topics == [f"predictWalletEvents/{reading.session.token}"]


async def test_heartbeat_is_echoed_to_the_digit(venue: StreamVenue, reading: Reading) -> None:
    await reading.until(1)
    await venue.push('{"type":"M","topic":"heartbeat","data":1791200882622}')
    async with asyncio.timeout(5):
        while len(venue.received) < 2:
            await asyncio.sleep(0.005)
    assert venue.received[1] == {"method": "heartbeat", "data": 1791200882622}


async def test_event_sent_twice_is_told_once(venue: StreamVenue, reading: Reading) -> None:
    await reading.until(1)
    for order_hash in ("0xA1", "0xA1", "0xA2"):
        await venue.wallet(order_hash)
    await reading.until(3)
    assert [event.order_hash for event in reading.told[1:]] == ["0xa1", "0xa2"]


@pytest.mark.parametrize(
    "frame",
    [
        "not json at all",
        wallet_frame("0xA1", "orderTransactionSubmitted"),
        {"type": "M", "topic": "predictWalletEvents/t", "data": {"type": "orderAccepted"}},
        {"type": "M", "topic": "predictWalletEvents/t", "data": None},
    ],
)
async def test_unreadable_frame_asks_for_rest(venue: StreamVenue, reading: Reading, frame: Any) -> None:
    await reading.until(1)
    await venue.push(frame)
    await venue.wallet("0xA2")
    await reading.until(3)
    assert reading.kinds() == [K.CONNECTED, K.CONNECTED, K.ACCEPTED]
    assert "unreadable" in reading.told[1].reason
    assert len(venue.topics) == 1, "the connection itself is kept"


@pytest.mark.parametrize(
    "notice",
    [
        {"type": "M", "topic": "reconnect", "data": {"graceMs": 300}},
        {"type": "M", "topic": "serverNotice", "data": {"reason": "deploy", "graceMs": 300}},
        {"type": "N", "graceMs": 300},
    ],
)
async def test_drain_opens_the_second_connection_first(
    venue: StreamVenue, reading: Reading, notice: dict[str, Any]
) -> None:
    await reading.until(1)
    await venue.push(notice)
    await reading.until(2)
    assert venue.most_open == 2
    await venue.wallet("0xA1")
    await reading.until(3)
    await venue.open[0].close(code=WSCloseCode.GOING_AWAY, message=b"server draining")
    await venue.wallet("0xA2")
    await reading.until(4)
    assert reading.kinds() == [K.CONNECTED, K.CONNECTED, K.ACCEPTED, K.ACCEPTED]


async def test_lost_connection_is_told_and_replaced(venue: StreamVenue, reading: Reading) -> None:
    await reading.until(1)
    await venue.open[0].close()
    await reading.until(3)
    await venue.wallet("0xA1")
    await reading.until(4)
    assert reading.kinds() == [K.CONNECTED, K.DISCONNECTED, K.CONNECTED, K.ACCEPTED]


async def test_silent_connection_is_replaced(venue: StreamVenue, reading: Reading) -> None:
    await reading.until(3)
    assert reading.kinds() == [K.CONNECTED, K.DISCONNECTED, K.CONNECTED]


async def test_refused_token_is_renewed_before_subscribing_again(venue: StreamVenue, reading: Reading) -> None:
    venue.refusals = 1
    reading.session._logged_in_at_s = 0
    await reading.until(1)
    assert len(venue.topics) == 2
    assert reading.kinds() == [K.CONNECTED]


async def test_new_token_moves_the_subscription(venue: StreamVenue, reading: Reading) -> None:
    await reading.until(1)
    reading.session._logged_in_at_s = 0
    await reading.session.renew(reading.session.token)
    await venue.push('{"type":"M","topic":"heartbeat","data":1}')
    await reading.until(2)
    assert reading.kinds() == [K.CONNECTED, K.CONNECTED]
    assert venue.topics[1] == f"predictWalletEvents/{reading.session.token}" != venue.topics[0]


async def test_frames_wait_while_the_reader_is_busy(venue: StreamVenue, reading: Reading) -> None:
    await reading.until(1)
    for number in range(200):
        await venue.wallet(f"0x{number:03d}")
    await reading.until(201)
    times = [event.received_at_ns for event in reading.told]
    assert times == sorted(times)
    assert [event.order_hash for event in reading.told[1:]] == [f"0x{number:03d}" for number in range(200)]


async def test_no_token_reaches_a_log(venue: StreamVenue) -> None:
    with capture_logs() as logs:
        base = f"127.0.0.1:{venue.port}"
        endpoints = PredictEndpoints(
            api_url=f"http://{base}", ws_url=f"ws://{base}/ws", rpc_url=f"http://{base}/rpc", chain_id=56
        )
        credentials = Credentials(account_id="a", address=OWNER, signer_kind=SignerKind.EOA, private_key=FAKE_KEY)
        session = PredictSession(endpoints, credentials)
        reading = Reading(session, WalletStream(session, endpoints.ws_url, backoff=Backoff(base_s=0.01)))
        await reading.until(1)
        await venue.push("not json")
        await venue.open[0].close()
        await reading.until(4)
        reading.stream.stop()
        await reading.task
        await session.close()
    assert logs
    assert session.token not in repr(logs)
