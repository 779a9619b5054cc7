"""`/ws` under load: 1,000 sockets on one web process, one of them never reading, against 1,000 bare pub/sub readers.

A burst of fills goes onto the bus; the clock runs until every reading client has every one of them. The last line is
JSON: messages delivered a second by each way, their ratio, and how long one lone fill takes to all sockets.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import redis.asyncio
from redis import Redis
from websockets.asyncio.client import ClientConnection, connect

from embedded.engines import start_engines, temporary_state
from trading.enums import Outcome, Platform
from trading.events import FILL_EVENTS, Event, Fill, encode
from trading.ids import event_id

ROOT = Path(__file__).resolve().parent.parent
CLIENTS = int(os.environ.get("CLIENTS", "1000"))
BURST = 100
LONE = 20
OPENING_AT_ONCE = 50
CHANNEL = "bare"
TOKEN = """
from datetime import timedelta
from django.utils import timezone
from identity.models import User
from identity.roles import Role
from identity.tokens import issue_token
now = timezone.now()
user = User.objects.create_superuser("bench")
print(issue_token(user, "bench", role=Role.VIEWER, by=user, now=now, expires_at=now + timedelta(days=1))[1])
"""


def body(number: int) -> bytes:
    return encode(
        Event(
            id=event_id("bench", str(number)),
            platform=Platform.PREDICT,
            timestamp=datetime.now(UTC),
            data=Fill(
                account_id="a", account_name="predict-01", market_id="100", side=Outcome.YES, price=Decimal("0.55"),
                shares=Decimal(100), order_hash="0x" + "1" * 64, trade_id=str(number),
            ),
        )
    )  # fmt: skip


@contextmanager
def web_process(environment: dict[str, str]) -> Iterator[int]:
    """One web process, as the product starts it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "hedgerow.asgi:application",
        "--port",
        str(port),
        "--log-level",
        "error",
    ]
    process = subprocess.Popen(command, env=environment, cwd=ROOT)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        for _ in range(200):
            try:
                direct.open(f"http://127.0.0.1:{port}/healthz", timeout=2).close()
                break
            except OSError:
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(30)


async def open_sockets(port: int, secret: str) -> list[ClientConnection]:
    """Every client, subscribed to the fills."""
    gate = asyncio.Semaphore(OPENING_AT_ONCE)
    headers = {"Authorization": f"Bearer {secret}"}

    async def one() -> ClientConnection:
        async with gate:
            ws = await connect(
                f"ws://127.0.0.1:{port}/ws?topics=fills", additional_headers=headers, proxy=None, compression=None,
                open_timeout=60, ping_interval=None,
            )  # fmt: skip
            while json.loads(await ws.recv())["type"] != "subscribed":
                pass
            return ws

    return await asyncio.gather(*(one() for _ in range(CLIENTS)))


async def hear(ws: ClientConnection, count: int) -> int:
    """Read until `count` fills are in; gives how many messages were dropped on the way."""
    heard = dropped = 0
    while heard + dropped < count:
        said = await ws.recv()
        if '"type":"fill"' in said:  # type: ignore[operator]
            heard += 1
        elif '"type":"conflated"' in said:  # type: ignore[operator]
            dropped += json.loads(said)["dropped"]
    return dropped


def publish(bus: Redis, count: int) -> None:
    with bus.pipeline(transaction=False) as pipeline:
        for number in range(count):
            pipeline.xadd(FILL_EVENTS, {b"event": body(number)})
        pipeline.execute()


async def measure_sockets(port: int, secret: str, bus: Redis) -> dict[str, Any]:
    began = time.perf_counter()
    sockets = await open_sockets(port, secret)
    opened_s = time.perf_counter() - began
    quick = sockets[1:]  # the first never reads again
    lone = []
    for _ in range(LONE):
        began = time.perf_counter()
        publish(bus, 1)
        await asyncio.gather(*(hear(ws, 1) for ws in quick))
        lone.append(time.perf_counter() - began)
    readers = [asyncio.create_task(hear(ws, BURST)) for ws in quick]
    began = time.perf_counter()
    publish(bus, BURST)
    dropped = sum(await asyncio.gather(*readers))
    took = time.perf_counter() - began
    for ws in sockets:
        ws.transport.abort()
    lone.sort()
    return {
        "opened_s": round(opened_s, 2),
        "all_hear_one_p50_ms": round(lone[len(lone) // 2] * 1000, 1),
        "all_hear_one_worst_ms": round(lone[-1] * 1000, 1),
        "sockets_per_s": round(BURST * len(quick) / took),
        "dropped": dropped,
    }


async def measure_bare(url: str, bus: Redis) -> int:
    """The same burst over pub/sub: one connection a reader, nothing decoded, nobody asked who they are."""
    client = redis.asyncio.Redis.from_url(url, max_connections=CLIENTS + 10)
    readers = [client.pubsub(ignore_subscribe_messages=True) for _ in range(CLIENTS - 1)]
    for reader in readers:
        await reader.subscribe(CHANNEL)

    async def listen(reader: Any) -> None:
        heard = 0
        while heard < BURST:
            heard += await reader.get_message(ignore_subscribe_messages=True, timeout=30) is not None

    tasks = [asyncio.create_task(listen(reader)) for reader in readers]
    await asyncio.sleep(1)
    began = time.perf_counter()
    with bus.pipeline(transaction=False) as pipeline:
        for number in range(BURST):
            pipeline.publish(CHANNEL, body(number))
        pipeline.execute()
    await asyncio.gather(*tasks)
    took = time.perf_counter() - began
    for reader in readers:
        await reader.aclose()
    await client.aclose()
    return round(BURST * len(readers) / took)


def main() -> None:
    with temporary_state() as state:
        engines = start_engines(state)
        environment = {
            **os.environ,
            **engines.environment(),
            "HEDGEROW_STATE_DIR": str(state),
            "HEDGEROW_ENV_FILE": "",
            "HEDGEROW_LOG_LEVEL": "ERROR",
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "platform"))),
        }
        manage = [sys.executable, "manage.py"]
        subprocess.run([*manage, "migrate", "--noinput", "-v", "0"], env=environment, cwd=ROOT, check=True)
        made = subprocess.run(
            [*manage, "shell", "-v", "0", "-c", TOKEN],
            env=environment,
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        secret = made.stdout.strip().splitlines()[-1]
        with Redis.from_url(engines.redis_url) as bus, web_process(environment) as port:
            sockets = asyncio.run(measure_sockets(port, secret, bus))
            bare = asyncio.run(measure_bare(engines.redis_url, bus))
    ratio = round(sockets["sockets_per_s"] / bare, 3)
    print(json.dumps({"clients": CLIENTS, "burst": BURST, **sockets, "bare_pubsub_per_s": bare, "ratio": ratio}))


if __name__ == "__main__":
    main()
