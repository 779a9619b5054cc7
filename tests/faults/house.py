"""A house small enough to be killed often: real engines, a paper venue, a listener and engine processes, one demo pair
or more. What it trades is audited as a rehearsal is: venue against ledger against exposures.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.db import connections
from django.utils import timezone
from redis import Redis

from accounts.models import Account
from markets.models import Market
from markets.specs import spec_from_row
from strategies.demo import ensure_demo_desk, load_demo_pairs
from strategies.paper_venue import PaperVenue
from strategies.rehearsal.audit import audit, load_baseline
from strategies.rehearsal.desk import Stand, stand_accounts
from strategies.rehearsal.load import Load
from strategies.rehearsal.quiet import what_is_open
from strategies.rehearsal.truth import VenueTruth, load_truth
from streams.killpoints import VARIABLE
from trading.events import FILL_EVENTS

ROOT = Path(__file__).resolve().parents[2]
LISTENER = "listener-faults"
QUIET_S = 120.0
"""Generous: the machine may be busy."""


class House:
    """One desk. `close` ends every process it started."""

    def __init__(self, folder: Path, database_url: str, redis_url: str, settings: Any, pairs: int = 1) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self.redis_url = redis_url
        url = f"http://127.0.0.1:{_free_port()}"
        venue = {"PREDICT_API_URL": url, "PREDICT_WS_URL": url.replace("http", "ws") + "/ws"}
        venue |= {"PREDICT_RPC_URL": url + "/rpc"}
        for name, value in venue.items():
            setattr(settings, name, value)
        path = os.pathsep.join([str(ROOT), str(ROOT / "platform")])
        self._environment = {
            **os.environ, **venue, "DATABASE_URL": database_url, "REDIS_URL": redis_url, "PYTHONPATH": path,
            "HEDGEROW_MODE": "paper",
        }  # fmt: skip
        self.venue = PaperVenue(url)
        self.start_venue()
        ensure_demo_desk(2 * pairs)
        self.stands = [
            Stand(pair, spec)
            for pair in load_demo_pairs()
            if (spec := spec_from_row(Market.objects.get(pk=f"predict:{pair.market_id}"))) is not None
        ]
        assert len(self.stands) == pairs
        self.since = timezone.now()
        self._addresses = list(stand_accounts(self.stands))
        self._before = load_truth(self.venue, self._addresses, 0)
        self._baseline = load_baseline(self.stands, self._before)

    def start(self, name: str, *arguments: str, kill_at: str = "") -> subprocess.Popen[bytes]:
        """A process of the product; with `kill_at` it dies there."""
        environment = {**self._environment, VARIABLE: kill_at} if kill_at else self._environment
        with (self._folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment, stdout=log, stderr=log)
        self._processes.append(process)
        return process

    def start_venue(self) -> subprocess.Popen[bytes]:
        port = self.venue._url.rpartition(":")[2]
        options = ("--port", port, "--state-dir", str(self._folder / "paper"), "--settlement-delay-ms", "300")
        limits = ("--trading-limit", "120000", "--other-limit", "120000", "--post-limit", "2000")
        process = self.start("venue", "-m", "paper.predict", *options, *limits)
        until(self.venue.is_up, 20.0, "the venue is up")
        self.venue.set_taker_pace(Decimal(0))
        return process

    def start_engine(self, name: str = "engine-1", kill_at: str = "") -> subprocess.Popen[bytes]:
        return self.start(name, "tests/faults/engine_process.py", name, kill_at=kill_at)

    def start_listener(self, kill_at: str = "") -> subprocess.Popen[bytes]:
        return self.start("listener", "manage.py", "listener", "--name", LISTENER, kill_at=kill_at)

    def start_reconciler(self, every_s: int = 5) -> subprocess.Popen[bytes]:
        return self.start("reconciler", "tests/faults/reconcile_process.py", str(every_s))

    def wait_until_heard(self, *, anew: bool = False) -> None:
        """Every account's stream is connected; `anew`: to a listener that was just started, whatever the rows say."""
        ids = [account.pk for account in stand_accounts(self.stands).values()]
        if anew:
            Account.objects.filter(pk__in=ids).update(connection="offline")
        until(lambda: Account.objects.filter(pk__in=ids, connection="connected").count() == len(ids), 90.0, "heard")

    def load(self, fills: int, seconds: float = 180.0) -> "Background":
        """So many fills of the primaries, made in the background."""
        load = Load(self.venue, self.stands, fills, str(uuid4()), time.monotonic() + seconds, seed=fills)

        def work() -> None:
            load.run(lambda made: None)
            load.cancel_leftovers()

        return Background(work)

    def truth(self) -> VenueTruth:
        return load_truth(self.venue, self._addresses, 0).since(self._before)

    def wait_until_quiet(self) -> None:
        until(lambda: not what_is_open(self.stands, self.truth(), self.since), QUIET_S, self._what)

    def check(self) -> None:
        """Nothing lost, doubled, unhedged, unknown or unexplained since the house was opened."""
        self.wait_until_quiet()
        findings = audit(self.stands, self.truth(), self.since, self._baseline)
        assert findings.is_clean, findings.details

    def replay(self) -> int:
        """Put every fill event on the bus once more, as a bus that lost its memory would; how many."""
        with Redis.from_url(self.redis_url) as bus:
            entries = bus.xrange(FILL_EVENTS)
            for _, fields in entries:
                bus.xadd(FILL_EVENTS, fields)
        return len(entries)

    def wait_until_read(self) -> None:
        """The engines have acknowledged all there is."""

        def read() -> bool:
            with Redis.from_url(self.redis_url) as bus:
                groups: list[Mapping[str, Any]] = bus.xinfo_groups(FILL_EVENTS)
                return all(g["pending"] == 0 and not g["lag"] for g in groups if g["name"] == b"strategies")

        until(read, 60.0, "read")

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """SIGKILL: nobody in this house ends gently."""
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()

    def close(self) -> None:
        for process in reversed(self._processes):
            self.end(process)

    def _what(self) -> str:
        return "it is quiet; " + what_is_open(self.stands, self.truth(), self.since)


class Background:
    """Work in a thread of its own; `result` raises what it raised."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self._failed = error
        finally:
            connections.close_all()

    def result(self, seconds: float = 180.0) -> None:
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "it takes too long"
        if self._failed is not None:
            raise self._failed


def until(true: Callable[[], bool], seconds: float, what: str | Callable[[], str]) -> None:
    """Wait until `true`; an assertion that names `what` did not come about."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not in {seconds} s: {what if isinstance(what, str) else what()}"
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
