"""`/ws` on real sockets to a real web process: who gets in, what is heard, what a lost or a slow reader gets."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.test import Client
from redis import Redis
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from accounts.models import Account
from hedgerow.topics import TOPICS, read_cursor, write_cursor
from identity.models import ApiToken, User
from identity.roles import Role
from identity.tokens import issue_token
from streams.publisher import publish_now
from tests.bus_events import event, exposure, fill
from tests.conftest import make_user
from tests.desk_rows import make_account
from trading.events import (
    ALERT_EVENTS,
    FILL_EVENTS,
    MARKET_EVENTS,
    STRATEGY_EVENTS,
    AlertRaised,
    MarketChanged,
    encode,
)

PATIENCE_S = 10


@pytest.fixture(scope="session")
def web(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a web process on the test database and Redis."""
    with web_process(tmp_path_factory.mktemp("web")) as address:
        yield address


@pytest.fixture(scope="session")
def brisk_web(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One that beats, looks at rights and loses patience within a second or two."""
    patience = {
        "HEDGEROW_SOCKET_HEARTBEAT_S": "1",
        "HEDGEROW_SOCKET_CHECK_S": "1",
        "HEDGEROW_SOCKET_STALLED_S": "2",
    }
    with web_process(tmp_path_factory.mktemp("brisk-web"), **patience) as address:
        yield address


@contextmanager
def web_process(folder: Path, **more: str) -> Iterator[str]:
    """A web process on the test database and Redis, as `embedded` starts it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    root = str(settings.BASE_DIR)
    environment = {
        **os.environ,
        "DATABASE_URL": settings.DATABASE_URL,
        "HEDGEROW_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "PYTHONPATH": os.pathsep.join((root, f"{root}/platform")),
        **more,
    }
    command = [
        *(sys.executable, "-m", "uvicorn", "hedgerow.asgi:application", "--port", str(port)),
        *("--ws-per-message-deflate", "false"),
    ]
    with (folder / "log").open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT, cwd=root)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        for _ in range(300):
            try:
                direct.open(f"http://127.0.0.1:{port}/healthz", timeout=2).close()
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def bus(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def people(transactional_db: None) -> dict[str, str]:
    """Secrets of tokens by their person: a viewer, one who sees only the tag `blue`, and one without a role."""
    now = datetime.now(UTC)
    secrets = {}
    for name in ("viewer", "blue", "nobody"):
        user = make_user(name, "viewer", staff=False)
        user.account_tags = ["blue"] if name == "blue" else []
        user.save()
        tags = user.account_tags
        _, secrets[name] = issue_token(
            user, name, role=Role.VIEWER, by=user, now=now, expires_at=now + timedelta(days=1), account_tags=tags
        )
    User.objects.get(username="nobody").groups.clear()
    return secrets


@asynccontextmanager
async def opened(web: str, secret: str, query: str = "", **options: Any) -> AsyncIterator[ClientConnection]:
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    url = f"ws://{web}/ws{query}"
    async with connect(url, additional_headers=headers, proxy=None, **options) as ws:
        yield ws


async def hear(ws: ClientConnection, *kinds: str) -> dict[str, Any]:
    """The next message of one of these types (of any, when none is named)."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            said: dict[str, Any] = json.loads(await ws.recv(), parse_float=Decimal)
            if not kinds or said["type"] in kinds:
                return said


async def close_code(web: str, secret: str, **options: Any) -> int:
    try:
        async with opened(web, secret, **options) as ws:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    await ws.recv()
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 0
    except Exception as refused:
        return int(getattr(getattr(refused, "response", None), "status_code", 0))


async def test_stranger_and_the_roleless_are_refused(web: str, people: dict[str, str]) -> None:
    for secret in ("", "hdg_nobodys", people["nobody"]):
        assert await close_code(web, secret) == 403


async def test_program_hears_its_topics_exactly(web: str, people: dict[str, str], bus: Redis) -> None:
    async with opened(web, people["viewer"]) as ws:
        assert (await hear(ws))["topics"] == [*TOPICS, "markets/{id}"]
        await ws.send(json.dumps({"op": "subscribe", "topics": ["fills", "markets/200"]}))
        await hear(ws, "subscribed")
        publish_now(
            bus, ALERT_EVENTS, event(1, AlertRaised(alert_id="x", severity="info", kind="k", subject="s", text="t"))
        )  # type: ignore[arg-type]
        publish_now(bus, FILL_EVENTS, fill(2))
        publish_now(bus, MARKET_EVENTS, event(3, MarketChanged(market_id="100", what="status")))
        publish_now(bus, MARKET_EVENTS, event(4, MarketChanged(market_id="200", what="status")))
        first, second = await hear(ws), await hear(ws)
        assert first["type"] == "fill"
        assert first["data"]["shares"] == Decimal("100.000000000000000001")
        assert (second["type"], second["data"]["market_id"]) == ("market_changed", "200")


async def test_session_needs_our_own_page(web: str, people: dict[str, str], client: Client) -> None:
    user = await sync_to_async(User.objects.get)(username="viewer")
    await sync_to_async(client.force_login)(user)
    cookie = {"Cookie": f"sessionid={client.cookies['sessionid'].value}"}
    async with connect(f"ws://{web}/ws", additional_headers=cookie, origin=f"http://{web}", proxy=None) as ws:  # type: ignore[arg-type]
        assert (await hear(ws))["user"] == "viewer"
    for origin in (None, "http://evil.example"):
        with pytest.raises(Exception, match="403"):
            async with connect(f"ws://{web}/ws", additional_headers=cookie, origin=origin, proxy=None):  # type: ignore[arg-type]
                pass


async def test_cursor_brings_back_what_was_missed(web: str, people: dict[str, str], bus: Redis) -> None:
    async with opened(web, people["viewer"], "?topics=fills,strategies") as ws:
        await hear(ws, "subscribed")
        publish_now(bus, FILL_EVENTS, fill(1))
        cursor = (await hear(ws, "fill"))["cursor"]
    for number in range(2, 1_202):
        publish_now(bus, FILL_EVENTS, fill(number))
    publish_now(bus, STRATEGY_EVENTS, exposure(5_000))
    async with opened(web, people["viewer"], f"?topics=fills,strategies&cursor={cursor}") as ws:
        await hear(ws, "subscribed")
        missed = [(await hear(ws, "fill", "exposure_changed")) for _ in range(1_201)]
        publish_now(bus, FILL_EVENTS, fill(6_000))
        live = await hear(ws, "fill")
    trades = [message["data"]["trade_id"] for message in missed if message["type"] == "fill"]
    assert trades == [f"t{number}" for number in range(2, 1_202)]
    assert live["data"]["trade_id"] == "t6000"
    assert read_cursor(live["cursor"])[STRATEGY_EVENTS] == read_cursor(missed[-1]["cursor"])[STRATEGY_EVENTS]


async def test_cursor_older_than_the_bus_tells_a_gap(web: str, people: dict[str, str], bus: Redis) -> None:
    publish_now(bus, FILL_EVENTS, fill(1))
    first = publish_now(bus, FILL_EVENTS, fill(2))
    publish_now(bus, FILL_EVENTS, fill(3))
    bus.xtrim(FILL_EVENTS, minid=first, approximate=False)
    cursor = write_cursor({FILL_EVENTS: b"1-0"})
    async with opened(web, people["viewer"], f"?topics=fills&cursor={cursor}") as ws:
        kinds = [(await hear(ws))["type"] for _ in range(5)]
    assert kinds == ["welcome", "subscribed", "fill", "fill", "gap"]


async def test_only_accounts_in_sight_are_heard(web: str, people: dict[str, str], bus: Redis) -> None:
    seen = make_account(1, tags=["blue"])
    hidden = make_account(2, tags=["red"])
    await sync_to_async(Account.objects.bulk_create)([seen, hidden])
    async with opened(web, people["blue"], "?topics=logs,markets/100") as ws:
        await hear(ws, "subscribed")
        publish_now(bus, FILL_EVENTS, fill(1, str(hidden.pk)))
        publish_now(bus, STRATEGY_EVENTS, exposure(2))
        publish_now(bus, FILL_EVENTS, fill(3, str(seen.pk)))
        assert (await hear(ws))["data"]["trade_id"] == "t3"


async def test_nonsense_is_answered_and_ping_beats(web: str, people: dict[str, str]) -> None:
    async with opened(web, people["viewer"]) as ws:
        await hear(ws, "welcome")
        for said, code in (
            ("{", "request_invalid"),
            ('{"op": "buy"}', "request_invalid"),
            ('{"op": "subscribe", "topics": ["secrets"]}', "topic_unknown"),
            ('{"op": "subscribe", "topics": ["fills"], "cursor": "yesterday"}', "cursor_invalid"),
        ):
            await ws.send(said)
            assert (await hear(ws))["code"] == code
        await ws.send('{"op": "ping"}')
        assert read_cursor((await hear(ws, "heartbeat"))["cursor"])
        await ws.send("x" * 20_000)
        with pytest.raises(ConnectionClosed):
            await hear(ws, "never")


async def test_slow_reader_is_told_and_holds_nobody_up(web: str, people: dict[str, str], bus: Redis) -> None:
    """One socket that reads nothing while thousands of messages pass; another hears each within moments."""
    host, _, port = web.partition(":")
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    narrow.connect((host, int(port)))
    async with (
        opened(web, people["viewer"], "?topics=fills", max_queue=1, sock=narrow, compression=None) as slow,
        opened(web, people["viewer"], "?topics=fills") as quick,
    ):
        await hear(slow, "subscribed")
        await hear(quick, "subscribed")
        count = 20_000
        body = encode(fill(1))

        def publish_all() -> None:
            for _ in range(count // 500):
                with bus.pipeline(transaction=False) as pipeline:
                    for _ in range(500):
                        pipeline.xadd(FILL_EVENTS, {b"event": body})
                    pipeline.execute()
                time.sleep(0.05)

        publishing = asyncio.create_task(sync_to_async(publish_all, thread_sensitive=False)())
        heard = 0
        async with asyncio.timeout(60):
            while heard < count:
                said = json.loads(await quick.recv())
                assert said["type"] != "conflated", "the quick one was held up"
                heard += said["type"] == "fill"
        await publishing
        told = await hear(slow, "conflated")
    assert told["dropped"] >= 1_000
    assert read_cursor(told["cursor"])


async def test_revoked_token_is_refused_from_then_on(web: str, people: dict[str, str]) -> None:
    await sync_to_async(ApiToken.objects.filter(name="viewer").update)(revoked_at=datetime.now(UTC))
    assert await close_code(web, people["viewer"]) == 403


async def test_silence_is_filled_with_heartbeats_that_carry_the_cursor(
    brisk_web: str, people: dict[str, str], bus: Redis
) -> None:
    async with opened(brisk_web, people["viewer"], "?topics=fills") as ws:
        await hear(ws, "subscribed")
        publish_now(bus, FILL_EVENTS, fill(1))
        cursor = (await hear(ws, "fill"))["cursor"]
        beats = [await hear(ws, "heartbeat") for _ in range(2)]
    assert [read_cursor(beat["cursor"]) for beat in beats] == [read_cursor(cursor)] * 2


@pytest.mark.parametrize("end", ["revoked", "expired", "role lost", "person gone"])
async def test_right_that_ends_cuts_the_open_socket(end: str, brisk_web: str, people: dict[str, str]) -> None:
    def take_right() -> None:
        tokens, users = ApiToken.objects.filter(name="viewer"), User.objects.filter(username="viewer")
        match end:
            case "revoked":
                tokens.update(revoked_at=datetime.now(UTC))
            case "expired":
                tokens.update(expires_at=datetime.now(UTC))
            case "role lost":
                users.get().groups.clear()
            case _:
                users.update(is_active=False)

    async with opened(brisk_web, people["viewer"], "?topics=fills") as ws:
        await hear(ws, "subscribed")
        await sync_to_async(take_right)()
        with pytest.raises(ConnectionClosed) as closed:
            await hear(ws, "never")
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4401, "the session, the token or the role has ended")


async def test_ended_session_cuts_the_open_socket(brisk_web: str, people: dict[str, str], client: Client) -> None:
    user = await sync_to_async(User.objects.get)(username="viewer")
    await sync_to_async(client.force_login)(user)
    cookie = {"Cookie": f"sessionid={client.cookies['sessionid'].value}"}
    async with connect(
        f"ws://{brisk_web}/ws", additional_headers=cookie, origin=f"http://{brisk_web}", proxy=None  # type: ignore[arg-type]
    ) as ws:  # fmt: skip
        await hear(ws, "welcome")
        await sync_to_async(client.logout)()
        with pytest.raises(ConnectionClosed) as closed:
            await hear(ws, "never")
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


async def test_tag_lost_is_deaf_to_the_account_at_once(brisk_web: str, people: dict[str, str], bus: Redis) -> None:
    seen = make_account(1, tags=["blue"])
    await sync_to_async(seen.save)(force_insert=True)
    async with opened(brisk_web, people["blue"], "?topics=fills") as ws:
        await hear(ws, "subscribed")
        publish_now(bus, FILL_EVENTS, fill(1, str(seen.pk)))
        await hear(ws, "fill")
        await sync_to_async(Account.objects.filter(pk=seen.pk).update)(tags=["red"])
        for _ in range(3):
            await hear(ws, "heartbeat")
        publish_now(bus, FILL_EVENTS, fill(2, str(seen.pk)))
        assert (await hear(ws, "fill", "heartbeat"))["type"] == "heartbeat"


async def test_reader_that_takes_nothing_is_cut_with_a_reason(
    brisk_web: str, people: dict[str, str], bus: Redis
) -> None:
    host, _, port = brisk_web.partition(":")
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    narrow.connect((host, int(port)))
    body = encode(fill(1))

    def flood() -> None:
        for _ in range(60):
            with bus.pipeline(transaction=False) as pipeline:
                for _ in range(500):
                    pipeline.xadd(FILL_EVENTS, {b"event": body})
                pipeline.execute()

    async with opened(
        brisk_web, people["viewer"], "?topics=fills", max_queue=1, sock=narrow, compression=None, ping_interval=None
    ) as slow:
        await hear(slow, "subscribed")
        await sync_to_async(flood, thread_sensitive=False)()
        await asyncio.sleep(2.5)  # beyond its patience; the farewell waits as long again
        with pytest.raises(ConnectionClosed) as closed:
            await hear(slow, "never")
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4408, "too slow: connect again with your last cursor")
