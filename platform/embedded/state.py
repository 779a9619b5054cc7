"""The one folder that holds all state of a system: its layout, its secrets, and its lock.

Every other module asks here for a path. Files are replaced whole, so a kill never leaves half a file.
"""

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from embedded.errors import AlreadyRunning


class StateDir:
    """Paths below a state folder (`var/` by default).

    The folder itself may be passed through but not read by other users (mode 711), because PostgreSQL does not
    run as root; all that is private lies in folders of mode 700.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.run = self.root / "run"
        self.log = self.root / "log"
        self.secrets = self.root / "secrets"

    def create(self) -> None:
        """Make the folders that are missing. Existing ones keep their mode."""
        if not self.root.exists():
            self.root.mkdir(parents=True)
            self.root.chmod(0o711)
        for folder in (self.run, self.log, self.secrets):
            if not folder.exists():
                folder.mkdir(mode=0o700)

    def log_file(self, name: str) -> Path:
        return self.log / f"{name}.log"

    def load_secret(self, name: str, make: Callable[[], dict[str, str]]) -> dict[str, str]:
        """The secret `name`, made once by `make` and then always the same. Mode 600."""
        path = self.secrets / f"{name}.json"
        if not path.exists():
            write_json(path, make(), mode=0o600)
        loaded: dict[str, str] = load_json(path)
        return loaded

    def load_login(self, name: str) -> tuple[str, str]:
        """User and password of an engine. The password is hexadecimal, so it needs no quoting anywhere."""
        secret = self.load_secret(name, lambda: {"user": "hedgerow", "password": secrets.token_hex(24)})
        return secret["user"], secret["password"]

    @contextlib.contextmanager
    def locked(self, address: str = "") -> Iterator[None]:
        """Hold the folder for this process. The kernel lets go when the process dies, however it dies.

        Raises AlreadyRunning with the holder's pid and address.
        """
        self.create()
        fd = os.open(self.run / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunning(self._describe_holder()) from None
            os.truncate(fd, 0)
            os.pwrite(fd, json.dumps({"pid": os.getpid(), "address": address}).encode(), 0)
            yield
            os.truncate(fd, 0)
        finally:
            os.close(fd)

    def load_holder(self) -> dict[str, Any] | None:
        """{"pid", "address"} of the process that holds this folder now, or None when nobody does."""
        try:
            fd = os.open(self.run / "lock", os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.pread(fd, 4096, 0)
            holder: dict[str, Any] = json.loads(text) if text else {"pid": 0, "address": ""}
            return holder
        else:
            return None
        finally:
            os.close(fd)

    def _describe_holder(self) -> str:
        holder = self.load_holder() or {}
        where = f", at {holder['address']}" if holder.get("address") else ""
        return (
            f"Hedgerow is already running on {self.root}: pid {holder.get('pid', 'unknown')}{where}. "
            "Stop it with Ctrl-C or `make stop`, or choose another folder with --state."
        )


def load_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, value: Any, mode: int = 0o600) -> None:
    """Replace `path` whole: readers see the old or the new content, never a part."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
