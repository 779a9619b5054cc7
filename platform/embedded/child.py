"""A running process that is ours: started here, or found again after its supervisor was killed.

A process is known by its pid, the boot and its start time together, so that a reused pid is never taken for ours.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from embedded.spec import ProcessSpec

LAUNCH = Path(__file__).with_name("launch.py")

# Linux sends the death signal when the *thread* that forked ends, not the process. All children are therefore
# forked by one thread that lives as long as the interpreter.
_forker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="forker")


class Child:
    """One live or exited process. Only a process whose identity still matches is ever signalled."""

    def __init__(self, pid: int, started: str, popen: "subprocess.Popen[bytes] | None" = None) -> None:
        self.pid = pid
        self.started = started
        self._popen = popen

    def is_alive(self) -> bool:
        if self._popen is not None:
            return self._popen.poll() is None
        return start_of(self.pid) == self.started

    @property
    def exit_code(self) -> int | None:
        """None while it lives, and for one that another process started."""
        return self._popen.poll() if self._popen is not None else None

    def read_output(self) -> Iterator[str]:
        """The lines of a process whose output is shown, until it ends."""
        if self._popen is not None and self._popen.stdout is not None:
            with self._popen.stdout as output:
                for line in output:
                    yield line.decode("utf-8", "replace").rstrip("\n")

    def send(self, number: signal.Signals) -> None:
        """Signal it if it still lives."""
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, seconds: float) -> bool:
        """True once it has exited."""
        deadline = time.monotonic() + seconds
        while self.is_alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = 15.0) -> bool:
        """Ask it to stop, then kill it. False when it had to be killed."""
        self.send(number)
        if self.wait(timeout):
            return True
        self.send(signal.SIGKILL)
        self.wait(5.0)
        return False


def spawn(spec: ProcessSpec, log_path: Path) -> Child:
    """Start `spec`, its output appended to `log_path`. It dies with this process (on Linux)."""
    return _forker.submit(_fork, spec, log_path).result()


def _fork(spec: ProcessSpec, log_path: Path) -> Child:
    uid, gid = (spec.user.uid, spec.user.gid) if spec.user else (-1, -1)
    tie = [str(int(spec.stop_signal)), str(os.getpid()), str(uid), str(gid)]
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        popen = subprocess.Popen(
            [sys.executable, "-I", "-S", str(LAUNCH), *tie, "--", *spec.argv],
            env=dict(spec.env),
            cwd=spec.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if spec.shown else log,
            stderr=log,
            start_new_session=True,  # a Ctrl-C at the terminal reaches the supervisor only
        )
    finally:
        os.close(log)
    return Child(popen.pid, start_of(popen.pid) or "", popen)


def start_of(pid: int) -> str | None:
    """A text that differs between two processes that had the same pid; None when it is gone or a zombie."""
    if sys.platform != "linux":
        shown = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True)
        state, _, started = shown.stdout.strip().partition(" ")
        return started.strip() if state and not state.startswith("Z") else None
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in brackets may hold spaces; state is the first field after it, start time the twentieth.
    fields = stat.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return None
    return f"{_boot_id()}/{fields[19]}"


def command_of(pid: int) -> list[str]:
    """The command line of `pid`, empty when it is gone."""
    if sys.platform != "linux":
        shown = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True)
        return shown.stdout.split()
    with contextlib.suppress(OSError):
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
        return [part.decode("utf-8", "replace") for part in raw.split(b"\0") if part]
    return []


def _boot_id() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""
