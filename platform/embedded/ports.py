"""Ports on loopback: chosen free once, remembered in `run/ports.json`, moved only when a stranger took them."""

import contextlib
import random
import socket
import threading
import time
from pathlib import Path

from embedded.errors import StartFailed
from embedded.state import load_json, write_json

HOST = "127.0.0.1"
#: Below the range from which the kernel picks ports for outgoing connections (32768 and up on Linux).
LOWEST, HIGHEST = 15000, 31999


_lock = threading.Lock()


class Ports:
    """The remembered ports of one state folder. Safe to use from several threads of one process."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def take(self, name: str) -> tuple[int, int | None]:
        """The port of `name`, and the one it had before if that is now taken by somebody else."""
        with _lock:
            known: dict[str, int] = load_json(self._path) if self._path.exists() else {}
            before = known.get(name)
            if before is not None and wait_free(before, seconds=2.0):
                return before, None
            known[name] = self._choose(set(known.values()))
            write_json(self._path, known)
            return known[name], before

    def _choose(self, taken: set[int]) -> int:
        for _ in range(200):
            port = random.randint(LOWEST, HIGHEST)  # noqa: S311 - a port number is no secret
            if port not in taken and is_free(port):
                return port
        raise StartFailed(f"No free port was found between {LOWEST} and {HIGHEST} on {HOST}.")


def is_free(port: int, host: str = HOST) -> bool:
    """True when a server could listen on `port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind((host, port))
            return True
    return False


def wait_free(port: int, seconds: float) -> bool:
    """Wait for a dying process to let go of `port`."""
    deadline = time.monotonic() + seconds
    while not is_free(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
