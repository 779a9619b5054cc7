"""`run/processes.json`: which processes a system has now. Written by the supervisor, read by anyone.

Other commands use it to find a process, kill it and watch it come back (`load_processes`).
"""

import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from embedded.child import Child, start_of
from embedded.state import StateDir, load_json, write_json

_lock = threading.Lock()


@dataclass(frozen=True)
class ProcessRecord:
    """One started process. `started` is the kernel's mark of this very start, `started_at` is Unix time."""

    name: str
    pid: int
    started: str
    started_at: float
    restarts: int = 0
    stop_signal: int = 15

    def is_alive(self) -> bool:
        """True when that very process still runs.

        Pid, boot and start time together name one process for good. Its command line would add nothing, and some
        servers rewrite theirs.
        """
        return start_of(self.pid) == self.started

    def adopt(self) -> Child | None:
        """The process as ours again, or None when it is gone."""
        return Child(self.pid, self.started) if self.is_alive() else None


def load_processes(state_dir: Path) -> dict[str, ProcessRecord]:
    """Name → record, in the order of their first start. Includes processes that have died since."""
    path = StateDir(state_dir).run / "processes.json"
    if not path.exists():
        return {}
    return {name: ProcessRecord(**fields) for name, fields in load_json(path).items()}


def record_process(state: StateDir, record: ProcessRecord) -> None:
    """Add or replace one process."""
    with _lock:
        known = load_processes(state.root)
        known[record.name] = record
        _write(state, known)


def forget_process(state: StateDir, name: str) -> None:
    """Remove a process that was stopped on purpose."""
    with _lock:
        known = load_processes(state.root)
        if known.pop(name, None) is not None:
            _write(state, known)


def _write(state: StateDir, known: dict[str, ProcessRecord]) -> None:
    write_json(state.run / "processes.json", {name: asdict(record) for name, record in known.items()})
