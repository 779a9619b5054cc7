"""What can go wrong when a system starts. Each error's text is one sentence for the person at the keyboard."""

import errno
import shutil
from pathlib import Path

#: Below this the engines may stop in the middle of a write, so nothing is started.
NEEDED_FREE_BYTES = 300 * 1024 * 1024


class EmbeddedError(Exception):
    """A start or stop that cannot go on. The text says what to do about it and holds no secret."""


class AlreadyRunning(EmbeddedError):
    """Another supervisor holds this state folder."""


class PortInUse(EmbeddedError):
    """A port that a person asked for belongs to another program."""


class DiskFull(EmbeddedError):
    """The disk under the state folder has no room."""


class StartFailed(EmbeddedError):
    """A process exited, or was not ready in time."""


def disk_full(path: Path) -> DiskFull:
    """The sentence for a disk that is, or is about to be, full."""
    free = shutil.disk_usage(existing(path)).free // (1024 * 1024)
    needed = NEEDED_FREE_BYTES // (1024 * 1024)
    return DiskFull(
        f"The disk that holds {path} has only {free} MB free and {needed} MB are needed. "
        "Free some space and run it again; nothing was changed."
    )


def describe_low_disk(path: Path) -> str:
    """The same for a system that already runs: what cannot write now goes on once there is room."""
    free = shutil.disk_usage(existing(path)).free // (1024 * 1024)
    return f"The disk that holds {path} is nearly full: {free} MB free. Free some space; until then writes may fail."


def check_disk(path: Path, needed: int = NEEDED_FREE_BYTES) -> None:
    """Raise DiskFull unless `needed` bytes are free where `path` is, or will be."""
    if shutil.disk_usage(existing(path)).free < needed:
        raise disk_full(path)


def is_disk_full(error: OSError) -> bool:
    """True for "no space left" and "quota exceeded"."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def existing(path: Path) -> Path:
    """`path`, or its nearest parent that exists."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path
