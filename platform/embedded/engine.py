"""The shape every embedded engine has: start → url, ready, stop, adopt. One subclass a file.

An engine that a killed run left behind is found, stopped the gentle way, and started anew, so that its life is
always tied to the process that uses it. Acknowledged data survive kill -9 of the engine and of its parent.
"""

import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from embedded.child import Child, spawn
from embedded.errors import StartFailed, check_disk, disk_full, is_disk_full
from embedded.ports import Ports, is_free, wait_free
from embedded.runfile import ProcessRecord, forget_process, load_processes, record_process
from embedded.spec import ProcessSpec
from embedded.state import StateDir

Say = Callable[[str], None]


def say(sentence: str) -> None:
    """The default place for progress: standard error, so that standard output stays machine-readable."""
    print(sentence, file=sys.stderr, flush=True)  # noqa: T201 - this is the command's voice


class Engine(ABC):
    """A database server of our own on a port of loopback."""

    name: ClassVar[str]
    #: The environment variable that names a real server to use instead of this one.
    variable: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, state: StateDir, say: Say = say) -> None:
        self.state = state
        self.say = say
        self.ports = Ports(state.run / "ports.json")
        self.port = 0
        self.child: Child | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients connect, with user and password. Known once started."""

    @abstractmethod
    def spec(self) -> ProcessSpec:
        """How the server process is started on `self.port`."""

    @abstractmethod
    def ready(self) -> bool:
        """True when the server answers with our password. Never waits long."""

    def install(self) -> None:  # noqa: B027 - most engines need nothing
        """Before the first start: make the data folder."""

    def clean(self) -> None:  # noqa: B027
        """Before every start: remove what a killed server left in the way."""

    def found(self) -> None:  # noqa: B027
        """After the server is ready: make the database if it is missing."""

    def adopt(self) -> Child | None:
        """The server that a killed run left behind on this state folder, or None."""
        record = load_processes(self.state.root).get(self.name)
        return record.adopt() if record else None

    def start(self) -> str:
        """Start the server and wait until it answers. Returns its url.

        Raises DiskFull or StartFailed with the end of the server's log.
        """
        try:
            check_disk(self.state.root)
            self.state.create()
            self._stop_leftover()
            self.install()
            for attempt in range(3):
                self._take_port()
                self.clean()
                self.run(spawn(self.spec(), self.state.log_file(self.name)))
                if self.wait_ready():
                    break
                self.stop()
                if attempt == 2:
                    raise StartFailed(self._describe_failure())
                time.sleep(0.5)
            self.found()
        except OSError as error:
            if is_disk_full(error):
                raise disk_full(self.state.root) from error
            raise
        return self.url

    def run(self, child: Child, restarts: int = 0) -> None:
        """Remember `child` as this engine's server, here and in the run file."""
        self.child = child
        record_process(self.state, describe(self.spec(), child, restarts))

    def wait_ready(self) -> bool:
        """Wait until ready; False when the server exited or the time is up."""
        deadline = time.monotonic() + self.spec().start_timeout
        while self.child is not None and self.child.is_alive() and time.monotonic() < deadline:
            if self.ready():
                return True
            time.sleep(0.02)
        return False

    def prepare_restart(self) -> None:
        """Before the supervisor starts the server again: the port must stay, clients know it."""
        wait_free(self.port, seconds=10.0)
        self.clean()

    def stop(self) -> None:
        """Stop the server the gentle way, with its data flushed. Nothing happens when it is not running."""
        if self.child is not None:
            spec = self.spec()
            self.child.stop(spec.stop_signal, spec.stop_timeout)
            self.child = None
            forget_process(self.state, self.name)

    def _stop_leftover(self) -> None:
        leftover = self.adopt()
        if leftover is not None:
            self.say(f"{self.title}: stopping the server that an earlier run left behind (pid {leftover.pid}).")
            spec = self.spec()
            leftover.stop(spec.stop_signal, spec.stop_timeout)

    def _take_port(self) -> None:
        self.port, before = self.ports.take(self.name)
        if before is not None:
            self.say(f"{self.title}: port {before} was taken by another program; using {self.port} instead.")

    def _describe_failure(self) -> str:
        log = self.state.log_file(self.name)
        taken = "" if is_free(self.port) else f" Port {self.port} is in use."
        return f"{self.title} did not start.{taken} The end of {log}:\n{tail(log)}"


def describe(spec: ProcessSpec, child: Child, restarts: int = 0) -> ProcessRecord:
    """The run-file record of a process that was just started."""
    return ProcessRecord(
        name=spec.name,
        pid=child.pid,
        started=child.started,
        started_at=time.time(),
        restarts=restarts,
        stop_signal=int(spec.stop_signal),
    )


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, for a person."""
    if not path.exists():
        return "(no log)"
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 20_000))
        text = file.read().decode("utf-8", "replace")
    return "\n".join(text.splitlines()[-lines:])


def plain_environment() -> Mapping[str, str]:
    """What a server needs of our environment: nothing that could hold a secret."""
    kept = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "SYSTEMROOT")
    return {"LANG": "C.UTF-8", "TZ": "UTC"} | {name: os.environ[name] for name in kept if name in os.environ}
