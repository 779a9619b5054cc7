"""Keeps a list of processes running: starts them, sees when they are ready, starts them again, stops them in reverse.

Used by `System`. One thread does all the watching. It never signals a process that it did not start.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from embedded.child import Child, spawn
from embedded.engine import describe, tail
from embedded.errors import DiskFull, StartFailed, check_disk, describe_low_disk, is_disk_full
from embedded.logs import rotate_logs
from embedded.runfile import forget_process, record_process
from embedded.spec import ProcessSpec
from embedded.state import StateDir

Say = Callable[[str], None]
TICK = 0.1
CALM = 60.0
#: With less than this the person is told; the processes go on.
LOW_DISK = 100 * 1024 * 1024


@dataclass
class Supervised:
    """One process and where it is in its life. Times are of the monotonic clock."""

    spec: ProcessSpec
    child: Child | None
    began: float
    state: str = "starting"  # starting, ready, waiting
    restarts: int = 0
    pause: float = 0.0
    start_at: float = 0.0
    complaint: str = field(default="", repr=False)


class Supervisor:
    """The processes of one state folder."""

    def __init__(self, state: StateDir, say: Say) -> None:
        self._state = state
        self._say = say
        self._watched: dict[str, Supervised] = {}
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._last_care = 0.0
        self._disk_told = False

    def watch(self, spec: ProcessSpec, child: Child) -> None:
        """Take over a process that already runs and is ready (an engine)."""
        with self._lock:
            self._watched[spec.name] = Supervised(spec, child, time.monotonic(), state="ready")

    def start(self, specs: Sequence[ProcessSpec]) -> None:
        """Start these, without waiting for them to be ready."""
        with self._lock:
            for spec in specs:
                supervised = Supervised(spec, None, time.monotonic())
                self._watched[spec.name] = supervised
                self._start(supervised)

    def run(self) -> None:
        """Watch in a thread of its own, until `stop`."""
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._thread.start()

    def wait_ready(self, names: Sequence[str], seconds: float) -> None:
        """Wait until all of these are ready. Raises StartFailed with the end of the log of one that is not."""
        deadline = time.monotonic() + seconds
        while True:
            late = [name for name in names if self._watched[name].state != "ready"]
            if not late:
                return
            # One failed start may be bad luck; the third in a row is a fault that waiting will not cure.
            broken = [name for name in late if self._watched[name].restarts >= 2]
            if broken or time.monotonic() > deadline:
                name = (broken or late)[0]
                log = self._state.log_file(name)
                raise StartFailed(f"The process {name} did not become ready. The end of {log}:\n{tail(log)}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop all of them, the last started first, and wait for each group to be gone before the next."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        remaining = list(self._watched.values())
        while remaining:
            tier = remaining[-1].spec.tier
            group = [supervised for supervised in reversed(remaining) if supervised.spec.tier == tier]
            remaining = [supervised for supervised in remaining if supervised.spec.tier != tier]
            self._stop_group(group)
        self._watched.clear()

    def _stop_group(self, group: Sequence[Supervised]) -> None:
        for supervised in group:
            if supervised.child is not None:
                supervised.child.send(supervised.spec.stop_signal)
        begun = time.monotonic()
        for supervised in group:
            name, child = supervised.spec.name, supervised.child
            if child is not None:
                left = max(0.1, begun + supervised.spec.stop_timeout - time.monotonic())
                gently = child.wait(left) or child.stop(supervised.spec.stop_signal, 0.1)
                self._line(name, "stopped" if gently else "killed: it did not stop in time")
            forget_process(self._state, name)

    def _run(self) -> None:
        while not self._stopping.wait(TICK):
            with self._lock:
                for supervised in self._watched.values():
                    self._guarded(supervised)
            self._care()

    def _guarded(self, supervised: Supervised) -> None:
        """The supervisor itself must survive a full disk and a program that is gone."""
        try:
            self._tick(supervised, time.monotonic())
        except OSError as error:
            complaint = describe_low_disk(self._state.root) if is_disk_full(error) else f"cannot be started: {error}"
            if complaint != supervised.complaint:
                self._line(supervised.spec.name, complaint)
            supervised.complaint = complaint
            supervised.start_at = time.monotonic() + supervised.spec.longest_pause

    def _tick(self, supervised: Supervised, now: float) -> None:
        spec, child = supervised.spec, supervised.child
        if child is None:
            if now >= supervised.start_at:
                self._start(supervised)
            return
        if not child.is_alive():
            self._plan_restart(supervised, now)
        elif supervised.state == "starting":
            age = now - supervised.began
            if spec.ready() if spec.ready else age > spec.settle:
                supervised.state = "ready"
                self._line(spec.name, f"ready    pid {child.pid}, {age:.1f} s")
            elif age > spec.start_timeout:
                self._line(spec.name, f"not ready after {spec.start_timeout:.0f} s; starting it again")
                child.stop(spec.stop_signal, 2.0)

    def _start(self, supervised: Supervised) -> None:
        spec = supervised.spec
        if spec.prepare is not None and supervised.restarts:
            spec.prepare()
        supervised.child = spawn(spec, self._state.log_file(spec.name))
        supervised.began = time.monotonic()
        supervised.state = "starting"
        supervised.complaint = ""
        record_process(self._state, describe(spec, supervised.child, supervised.restarts))

    def _plan_restart(self, supervised: Supervised, now: float) -> None:
        spec, child = supervised.spec, supervised.child
        calm = supervised.state == "ready" and now - supervised.began > CALM
        doubled = min(supervised.pause * 2, spec.longest_pause)
        supervised.pause = spec.first_pause if calm or not supervised.pause else doubled
        supervised.start_at = now + supervised.pause
        supervised.restarts += 1
        supervised.child = None
        supervised.state = "waiting"
        code = child.exit_code if child is not None else None
        how = f"signal {-code}" if code is not None and code < 0 else f"code {code}"
        log = self._state.log_file(spec.name)
        self._line(spec.name, f"exited ({how}); starting again in {supervised.pause:.1f} s, see {log}")

    def _care(self) -> None:
        """Every few seconds: keep the logs small, and tell when the disk fills up."""
        now = time.monotonic()
        if now - self._last_care < 5.0:
            return
        self._last_care = now
        try:
            rotate_logs(self._state.log)
            check_disk(self._state.root, LOW_DISK)
            self._disk_told = False
        except OSError as error:
            if is_disk_full(error):
                self._tell_disk(describe_low_disk(self._state.root))
        except DiskFull:
            self._tell_disk(describe_low_disk(self._state.root))

    def _tell_disk(self, sentence: str) -> None:
        if not self._disk_told:
            self._say(sentence)
        self._disk_told = True

    def _line(self, name: str, sentence: str) -> None:
        self._say(f"{name:<11} {sentence}")
