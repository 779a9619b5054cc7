"""When a stop has returned, nothing more leaves: real processes at full speed, paused ones, late ones."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import transaction

from accounts.gate import Gate, GateClosed
from accounts.levels import LEVELS, PASSES, lets_out
from accounts.models import Desk, EngineLease
from accounts.stop import NO_NEW, lift_stop, pull_stop
from identity.models import AuditEntry
from trading.events import ACCOUNT_EVENTS, Event

ROOT = Path(__file__).resolve().parents[2]
SENDER = Path(__file__).with_name("sender_process.py")


class Venue:
    """Counts what arrives, with the monotonic time at which it did."""

    def __init__(self) -> None:
        self.arrivals: list[float] = []
        self.passes: list[tuple[float, str]] = []
        arrivals, passes = self.arrivals, self.passes

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                arrivals.append(time.monotonic())
                body = self.rfile.read(int(self.headers["content-length"]))
                passes.append((arrivals[-1], body.decode()))
                self.send_response(201)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait_for(self, count: int) -> None:
        deadline = time.monotonic() + 15
        while len(self.arrivals) < count:
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.fixture
def venue() -> Iterator[Venue]:
    venue = Venue()
    yield venue
    venue.server.shutdown()
    venue.server.server_close()


@pytest.fixture
def start_sender(database_url: str, redis_url: str, venue: Venue) -> Iterator[Callable[..., Any]]:
    """A sending process; killed after the test."""
    processes: list[subprocess.Popen[str]] = []

    def start(name: str, *modes: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [
                sys.executable,
                str(Path(__file__).with_name("sender_process.py")),
                database_url,
                name,
                str(venue.port),
                *modes,
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdin.close()  # type: ignore[union-attr]
        process.stdout.close()  # type: ignore[union-attr]


def arrivals_after(venue: Venue, moment: float, watch_s: float = 0.5) -> int:
    time.sleep(watch_s)
    return sum(1 for at in venue.arrivals if at > moment)


def test_nothing_arrives_after_stop_returned(start_sender: Any, venue: Venue) -> None:
    start_sender("one"), start_sender("two")
    venue.wait_for(50)
    for _ in range(5):
        receipt = pull_stop(NO_NEW, "test", "drill")
        returned = time.monotonic()
        assert arrivals_after(venue, returned, 0.2) == 0
        assert len(receipt.confirmed) == 2
        assert receipt.expired == ()
        assert receipt.waited_ms < 1500
        before = len(venue.arrivals)
        lift_stop("test", "drill over")
        venue.wait_for(before + 20)


@pytest.mark.parametrize("level", LEVELS)
def test_each_level_holds_for_every_process_and_restart(start_sender: Any, venue: Venue, level: str) -> None:
    """A process for each pass: what the level forbids is 0 from the moment the call returns, also from new ones."""
    for kind in PASSES:
        start_sender(kind, kind)
    venue.wait_for(60)
    receipt = pull_stop(level, "test", "drill")
    returned = time.monotonic()
    assert len(receipt.confirmed) == len(PASSES)
    for kind in PASSES:
        start_sender(f"{kind} born stopped", kind)
    time.sleep(0.3)
    after = {kind for at, kind in venue.passes if at > returned}
    assert after == {kind for kind in PASSES if lets_out(level, kind)}
    lift_stop("test", "over")
    lifted = time.monotonic()
    deadline = lifted + 10
    while {kind for at, kind in venue.passes if at > lifted} != set(PASSES):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_paused_process_sends_nothing_after_resume(start_sender: Any, venue: Venue) -> None:
    running, paused = start_sender("running"), start_sender("paused")
    venue.wait_for(50)
    os.kill(paused.pid, signal.SIGSTOP)
    try:
        receipt = pull_stop(NO_NEW, "test", "drill")
        returned = time.monotonic()
        [expired] = receipt.expired
        assert expired.startswith("paused:")
        assert receipt.waited_ms >= 2000
    finally:
        os.kill(paused.pid, signal.SIGCONT)
    assert arrivals_after(venue, returned) == 0
    assert running.poll() is None


def test_send_decided_before_stop_is_refused(start_sender: Any, venue: Venue) -> None:
    """It passed the gate, then froze before its request: the permit at the socket is asked again."""
    late = start_sender("late", "late")
    os.kill(late.pid, signal.SIGSTOP)
    pull_stop(NO_NEW, "test", "drill")
    os.kill(late.pid, signal.SIGCONT)
    late.stdin.write("go\n")
    late.stdin.flush()
    assert late.stdout.readline().strip() == "refused gate_closed"
    assert venue.arrivals == []


def test_stop_waits_for_answers_still_out(start_sender: Any, venue: Venue) -> None:
    """A live process with a send unanswered gives its word only once the answer is in."""
    late = start_sender("late", "late")
    done: list[Any] = []
    stopping = threading.Thread(target=lambda: done.append(pull_stop(NO_NEW, "test", "drill")), daemon=True)
    stopping.start()
    time.sleep(1.0)
    assert not done
    late.stdin.write("go\n")
    late.stdin.flush()
    assert late.stdout.readline().strip() == "refused gate_closed"
    stopping.join(5)
    assert done


def test_killed_process_does_not_hold_stop_long(start_sender: Any, venue: Venue) -> None:
    killed = start_sender("killed")
    venue.wait_for(5)
    killed.kill()
    killed.wait()
    receipt = pull_stop(NO_NEW, "test", "drill")
    assert receipt.waited_ms < 3000
    assert pull_stop(NO_NEW, "test", "again").generation == receipt.generation + 1


def test_stop_survives_new_processes(start_sender: Any, venue: Venue) -> None:
    pull_stop(NO_NEW, "test", "drill")
    start_sender("born stopped")
    assert arrivals_after(venue, 0.0) == 0
    lift_stop("test", "over")
    venue.wait_for(5)


def test_stop_is_written_told_and_audited(redis_url: str, operator: Any, transactional_db: None, events: Any) -> None:
    receipt = pull_stop(NO_NEW, operator, "smoke in the room", source="page")
    desk = Desk.objects.get()
    assert desk.stopped
    assert (desk.generation, desk.changed_by, desk.reason) == (receipt.generation, "operator", "smoke in the room")
    entry = AuditEntry.objects.get(action="desk.stopped")
    assert entry.user == operator
    lift_stop(operator, "no smoke")
    told: list[Event] = events(ACCOUNT_EVENTS)
    assert [(event.data.level, event.data.generation) for event in told] == [
        (NO_NEW, receipt.generation),
        ("", receipt.generation + 1),
    ]


def test_stop_refuses_open_transaction(transactional_db: None) -> None:
    with transaction.atomic(), pytest.raises(RuntimeError):
        pull_stop(NO_NEW, "test", "inside")
    assert not Desk.objects.get().stopped


async def test_gate_closes_when_lease_ends(database_url: str) -> None:
    now = [1000.0]
    gate = Gate(database_url, "clocked", clock=lambda: now[0])
    assert not gate.open
    await gate.start()
    assert gate.open
    now[0] += 2.0
    assert not gate.open
    with pytest.raises(GateClosed), gate.pass_through():
        pass
    await gate.close()
    assert not await EngineLease.objects.aexists()


async def test_gate_closes_without_database(database_url: str) -> None:
    """Its connection is cut and cannot be made again: the lease runs out by itself."""
    gate = Gate(f"{database_url}?application_name=cut", "cut", ttl_s=0.6, renew_every_s=0.1)
    await gate.start()
    assert gate.open
    gate._dsn = "host=127.0.0.1 port=1 dbname=nowhere"
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as conn:
        await conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cut'")
    await asyncio.sleep(1.0)
    assert not gate.open
    await gate.close()
