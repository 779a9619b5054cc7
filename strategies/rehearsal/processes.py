"""The running system's processes, as its run file lists them: found, killed for a rehearsal, seen to come back.

The file is the supervisor's; only its JSON is known here. A process is named by pid and start time together, so that a
reused pid is never taken for it.
"""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from trading.errors import TradingError

NAMES = {
    "engine": "engine",
    "listener": "listener",
    "recorder": "recorder",
    "redis": "redis",
    "postgres": "postgres",
    "venue": "paper",
    "web": "web",
    "worker": "worker",
}
"""What a rehearsal may kill → the supervisor's name for it."""
COMES_BACK_S = 60.0


class NoSuchProcess(TradingError):
    """The system has no such process, or it did not come back."""


class Process(msgspec.Struct, frozen=True):
    """One process as the supervisor wrote it down. `started` ends in the kernel's start time of the pid."""

    name: str
    pid: int
    started: str

    def is_alive(self) -> bool:
        """True when that very process still runs."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False
        fields = stat.rpartition(")")[2].split()
        return fields[0] not in "ZX" and fields[19] == self.started.rpartition("/")[2]


def load_processes(state_dir: Path) -> dict[str, Process]:
    """Name → process; empty when nothing ever ran there."""
    path = state_dir / "run" / "processes.json"
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: Process(name, int(entry["pid"]), str(entry["started"])) for name, entry in listed.items()}


def is_running(state_dir: Path) -> bool:
    """True when a whole system runs on this state folder: its engine and its venue are alive."""
    processes = load_processes(state_dir)
    return all(name in processes and processes[name].is_alive() for name in ("engine", "paper"))


def kill(state_dir: Path, what: str) -> Process:
    """SIGKILL the process and everything that would make it a clean end. Returns what was killed."""
    process = load_processes(state_dir).get(NAMES[what])
    if process is None or not process.is_alive():
        raise NoSuchProcess(f"no {what} process runs on {state_dir}: a rehearsal kills only what its system started")
    os.kill(process.pid, signal.SIGKILL)
    return process


def wait_for_return(state_dir: Path, killed: Process, say: Callable[[str], None]) -> float:
    """Seconds until the supervisor had it running again; raises NoSuchProcess when it did not come back in time."""
    began = time.monotonic()
    while time.monotonic() - began < COMES_BACK_S:
        process = load_processes(state_dir).get(killed.name)
        if process is not None and process.started != killed.started and process.is_alive():
            took = time.monotonic() - began
            say(f"{killed.name} is back after {took:.1f} s as process {process.pid}")
            return took
        time.sleep(0.1)
    raise NoSuchProcess(f"{killed.name} was killed and did not come back within {COMES_BACK_S:.0f} s")
