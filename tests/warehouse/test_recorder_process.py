"""The recorder as a process: started, killed, stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streams.connection import connect_now
from streams.publisher import publish_now
from tests.warehouse.conftest import MakeFill
from trading.events import FILL_EVENTS
from warehouse.clickhouse import Client
from warehouse.queries import count_events
from warehouse.schema import apply_schema

MANAGE = Path(__file__).resolve().parents[2] / "manage.py"
Start = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def start_recorder(redis_url: str, warehouse_url: str) -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def start() -> "subprocess.Popen[bytes]":
        environment = {**os.environ, "REDIS_URL": redis_url, "CLICKHOUSE_URL": warehouse_url}
        started.append(
            subprocess.Popen(
                [sys.executable, str(MANAGE), "recorder", "--name", "one"],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def wait_for(done: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_killed_recorder_catches_up(start_recorder: Start, redis_url: str, warehouse: Client, fill: MakeFill) -> None:
    apply_schema(warehouse)
    with connect_now(redis_url) as client:
        first = start_recorder()
        for number in range(50):
            publish_now(client, FILL_EVENTS, fill(number))
        wait_for(lambda: bool(client.exists(FILL_EVENTS)) and bool(client.xinfo_groups(FILL_EVENTS)))
        for number in range(50, 100):
            publish_now(client, FILL_EVENTS, fill(number))
        first.kill()
        first.wait()
        for number in range(100, 120):
            publish_now(client, FILL_EVENTS, fill(number))
        second = start_recorder()
        wait_for(lambda: count_events(warehouse) == 120)
        second.send_signal(signal.SIGTERM)
        assert second.wait(timeout=10) == 0
        assert client.xpending(FILL_EVENTS, "recorder")["pending"] == 0
    assert count_events(warehouse) == 120
