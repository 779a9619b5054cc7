"""The recorder and the dead-letter command as processes: started, killed, stopped, asked."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command

from streams.connection import connect_now
from streams.deadletters import load_dead_letters
from streams.names import FIELD, dead_letter_stream
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


def test_dead_letters_are_listed_replayed_and_purged(redis_url: str, settings: LazySettings) -> None:
    settings.REDIS_URL = redis_url

    def run(*arguments: str) -> str:
        out = StringIO()
        call_command("deadletters", *arguments, stdout=out)
        return out.getvalue()

    with connect_now(redis_url) as client:
        assert "No dead letters" in run("list")
        for body in (b"one", b"two", b"three"):
            fields = {FIELD: body, b"group": b"strategies", b"reason": b"no account a1"}
            client.xadd(dead_letter_stream(FILL_EVENTS), fields)
        listed = run("list", "--stream", FILL_EVENTS)
        newest = load_dead_letters(client, FILL_EVENTS)[0]
        assert listed.count("no account a1") == 3
        assert newest.entry_id in listed
        assert "Purged 1 of 1" in run("purge", FILL_EVENTS, newest.entry_id)
        assert "Replayed 2 of 2" in run("replay", FILL_EVENTS, "--all")
        assert [fields[FIELD] for _, fields in client.xrange(FILL_EVENTS)] == [b"one", b"two"]
        with pytest.raises(CommandError, match="no dead letter 1-1"):
            run("replay", FILL_EVENTS, "1-1")


def test_dead_letters_without_redis_say_so(settings: LazySettings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    with pytest.raises(CommandError, match="Redis does not answer"):
        call_command("deadletters", "list")
