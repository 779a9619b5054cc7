"""Logs of a bounded size: `<name>.log` and three older ones. Called by the supervisor from time to time."""

import contextlib
import os
import shutil
from pathlib import Path

LARGEST = 20 * 1024 * 1024
KEPT = 3


def rotate_logs(folder: Path, largest: int = LARGEST) -> None:
    """Copy each log that has grown too large aside and empty it.

    The writers append to an open file, so the file itself stays; lines written during the copy may be lost.
    """
    for log in folder.glob("*.log"):
        with contextlib.suppress(FileNotFoundError):
            if log.stat().st_size > largest:
                _rotate(log)


def _rotate(log: Path) -> None:
    for number in range(KEPT - 1, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        if older.exists():
            os.replace(older, log.with_name(f"{log.name}.{number + 1}"))
    copy = log.with_name(f"{log.name}.1")
    shutil.copyfile(log, copy)
    copy.chmod(0o600)
    os.truncate(log, 0)
