"""What the supervisor must know about a process: how to start it, when it is ready, how to stop it."""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class UserIds:
    """The system user a process runs as when it must not run as root."""

    uid: int
    gid: int


@dataclass(frozen=True)
class ProcessSpec:
    """One process. `env` is its whole environment and may hold secrets, so it is not in the repr.

    `ready` answers at once; without it a process counts as ready when it has lived for `settle` seconds.
    `prepare` runs before every start. Times are seconds. After an exit the pause before the next start
    doubles from `first_pause` to `longest_pause`; a minute of life resets it.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False, default_factory=dict)
    cwd: Path = Path("/")
    ready: Callable[[], bool] | None = field(repr=False, default=None)
    prepare: Callable[[], None] | None = field(repr=False, default=None)
    user: UserIds | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout: float = 15.0
    start_timeout: float = 60.0
    #: Processes of a higher tier are stopped, and gone, before a lower one: 0 engines, 1 venues, 2 the product.
    tier: int = 2
    settle: float = 1.0
    first_pause: float = 0.5
    longest_pause: float = 30.0
    #: Standard output is for the person at the keyboard and is kept out of the log (it may hold a first password).
    shown: bool = False
