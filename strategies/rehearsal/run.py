"""One rehearsal from start to report, against a running system.

1. Take the desk: quoter paused, takers resting, nothing in flight, every fill of before settled.
2. Note where venue and exposures stand.
3. Make the fills; half-way, kill what was asked for and see it come back, or let a storm rage all the while.
4. Wait until all is quiet: every fill in the ledger and settled, every hedge done, nothing unknown.
5. Audit and report.
"""

import threading
import time
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path

from django.db import connections
from django.utils import timezone

from accounts.models import Order
from strategies.models import Exposure
from strategies.paper_venue import PaperVenue
from strategies.rehearsal import processes
from strategies.rehearsal.audit import NEVER_LEFT, Baseline, Findings, audit, load_baseline
from strategies.rehearsal.desk import READY_S, NotReady, RehearsalDesk, Stand, stand_accounts
from strategies.rehearsal.load import Load
from strategies.rehearsal.patience import RanOut, patiently
from strategies.rehearsal.quiet import what_is_open, what_settles
from strategies.rehearsal.report import Report, count_hedged, make_report
from strategies.rehearsal.storm import Storm
from strategies.rehearsal.truth import VenueTruth, load_truth
from trading.values import ZERO

QUIET_ROUNDS = 3
ROUND_S = 0.5
TELL_EVERY_S = 3.0

Say = Callable[[str], None]


class Rehearsal:
    """A rehearsal of `fills` fills over `accounts` accounts."""

    def __init__(
        self,
        venue: PaperVenue,
        redis_url: str,
        state_dir: Path,
        *,
        fills: int,
        accounts: int,
        timeout_s: float,
        kill: str | None,
        say: Say,
        storm_seed: int | None = None,
    ) -> None:
        self._venue = venue
        self._desk = RehearsalDesk(venue, redis_url, accounts, say)
        self._state_dir = state_dir
        self._fills = fills
        self._timeout_s = timeout_s
        self._kill = kill
        self._storm_seed = storm_seed
        self._say = say
        self._told = 0
        self._kills: tuple[str, ...] = ()
        self._before: VenueTruth

    def run(self) -> Report:
        """Raises NotReady before the first fill; after it everything that goes wrong is in the report."""
        with self._desk as desk:
            deadline = time.monotonic() + self._timeout_s
            self._before = self._wait_for_settled(desk)
            since = timezone.now()
            baseline = load_baseline(desk.stands, self._before)
            began = time.monotonic()
            load, down_s = self._load(desk, deadline, since)
            took = Decimal(str(round(time.monotonic() - began, 3)))
            self._say(f"{load.made} fills in {took} s; waiting until all is quiet")
            truth = self._wait_for_quiet(desk, since, baseline, load, deadline)
            findings = patiently(lambda: audit(desk.stands, truth, since, baseline), deadline + 30)
            return patiently(lambda: self._report(desk, findings, truth, since, load, took, down_s), deadline + 30)

    def _wait_for_settled(self, desk: RehearsalDesk) -> VenueTruth:
        """The venue's truth once every fill of before has settled there and in the ledger."""
        addresses = list(stand_accounts(desk.stands))
        deadline = time.monotonic() + READY_S
        while True:
            truth = patiently(lambda: load_truth(self._venue, addresses, 0), deadline)
            settling = patiently(partial(what_settles, desk.stands, truth, timezone.now()), deadline)
            if not settling:
                return truth
            if time.monotonic() > deadline:
                raise NotReady(f"the desk did not become quiet: {settling}; look at the fills on its page")
            time.sleep(ROUND_S)

    def _load(self, desk: RehearsalDesk, deadline: float, since: datetime) -> tuple[Load, float | None]:
        """The load in a thread of its own, so that this one can kill and watch."""
        load = Load(self._venue, desk.stands, self._fills, since.isoformat(), deadline)
        failed: list[BaseException] = []

        def work() -> None:
            try:
                load.run(self._progress)
            except RanOut as error:
                self._say(f"not all fills were made: {error}")
            except BaseException as error:
                failed.append(error)
            finally:
                connections.close_all()

        storm = None if self._storm_seed is None else Storm(desk, self._state_dir, self._storm_seed, self._say)
        thread = threading.Thread(target=work, name="rehearsal load")
        thread.start()
        if storm is not None:
            storm.start()
        down_s = None
        while thread.is_alive():
            if self._kill and down_s is None:
                if load.half.wait(0.2):
                    down_s = self._kill_and_wait(desk)
            else:
                thread.join(0.2)
        if storm is not None:
            storm.calm()
            self._kills = tuple(storm.kills)
            self._say(f"the storm is over: {len(storm.kills)} kills")
        if failed:
            raise failed[0]
        patiently(load.cancel_leftovers, deadline + 60)
        return load, down_s

    def _kill_and_wait(self, desk: RehearsalDesk) -> float:
        assert self._kill is not None
        killed = processes.kill(self._state_dir, self._kill)
        self._say(f"killed {self._kill} (process {killed.pid}) with SIGKILL")
        down_s = processes.wait_for_return(self._state_dir, killed, self._say)
        if self._kill == "venue":
            for _ in range(20):
                desk.keep_takers_resting()
                time.sleep(0.25)
        return down_s

    def _progress(self, made: int) -> None:
        if made >= self._told + max(self._fills // 10, 1) or made == self._fills:
            self._told = made
            self._say(f"{made}/{self._fills} fills")

    def _wait_for_quiet(
        self, desk: RehearsalDesk, since: datetime, baseline: Baseline, load: Load, deadline: float
    ) -> VenueTruth:
        """The venue's truth once nothing has moved and nothing was open for a while, or at the deadline."""
        addresses = list(stand_accounts(desk.stands))
        quiet, told_at = 0, time.monotonic()
        while True:
            now = patiently(lambda: load_truth(self._venue, addresses, 0), deadline + 30)
            truth = now.since(self._before)
            open_words = patiently(partial(what_is_open, desk.stands, truth, since), deadline + 30)
            quiet = 0 if open_words else quiet + 1
            if open_words and time.monotonic() - told_at > TELL_EVERY_S:
                told_at = time.monotonic()
                self._say(f"not quiet yet: {open_words}")
            if quiet >= QUIET_ROUNDS:
                return truth
            if time.monotonic() > deadline:
                self._say(f"the time is over: {open_words or 'it was quiet for a moment only'}")
                return truth
            time.sleep(ROUND_S)

    def _report(
        self,
        desk: RehearsalDesk,
        findings: Findings,
        truth: VenueTruth,
        since: datetime,
        load: Load,
        took: Decimal,
        down_s: float | None,
    ) -> Report:
        accounts = [account.pk for account in stand_accounts(desk.stands).values()]
        hedges = Order.objects.filter(account_id__in=accounts, created_at__gte=since, exposure_id__isnull=False)
        left = hedges.exclude(status__in=NEVER_LEFT)
        latencies = [us for us in left.values_list("latency_us", flat=True) if us is not None]
        primaries = {stand.pair.primary.address.lower() for stand in desk.stands}
        own = [e for e in truth.executions.values() if e.address in primaries]
        fills = sum(e.state != "failed" for e in own)
        return make_report(
            findings,
            wanted=self._fills,
            fills=fills,
            reversed_fills=len(own) - fills,
            hedged=sum(self._hedged(stand, truth, findings) for stand in desk.stands),
            latencies_us=latencies,
            hedge_orders=left.count(),
            seconds=took,
            killed=self._kill,
            storm_seed=self._storm_seed,
            kills=self._kills,
            down_s=None if down_s is None else Decimal(str(round(down_s, 2))),
        )

    @staticmethod
    def _hedged(stand: Stand, truth: VenueTruth, findings: Findings) -> int:
        address = stand.pair.primary.address.lower()
        legs = [e for e in truth.executions.values() if e.address == address and e.state != "failed"]
        legs.sort(key=lambda leg: leg.matched_at_ms, reverse=True)
        own = Exposure.objects.filter(pair=stand.pair.pair, market_id=stand.key).values_list("pk", flat=True)
        unhedged = sum((findings.unhedged.get(pk, ZERO) for pk in own), ZERO)
        return count_hedged([leg.size for leg in legs], unhedged)
