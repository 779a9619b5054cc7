"""All three engines of one state folder at once. The tests, `python -m embedded engines` and `System` use this.

    urls = start_engines(Path("var"))
    ...
    stop_engines(Path("var"))

A `DATABASE_URL`, `REDIS_URL` or `CLICKHOUSE_URL` in the environment replaces that engine, which is then not started.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from embedded.clickhouse import ClickHouse
from embedded.engine import Engine, Say, say
from embedded.postgres import OUTSIDE, Postgres
from embedded.redis import Redis
from embedded.state import StateDir

KINDS: tuple[type[Engine], ...] = (Postgres, Redis, ClickHouse)


@dataclass(frozen=True)
class EngineUrls:
    """Where the three servers are. They hold passwords, so they are not in the repr."""

    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    clickhouse_url: str = field(repr=False)

    def environment(self) -> dict[str, str]:
        return {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "CLICKHOUSE_URL": self.clickhouse_url,
        }


class Engines:
    """The engines of a state folder whose lock the caller holds."""

    def __init__(self, state: StateDir, environment: Mapping[str, str] = os.environ, say: Say = say) -> None:
        self.given = {kind.variable: environment.get(kind.variable, "") for kind in KINDS}
        self.started: list[Engine] = [kind(state, say) for kind in KINDS if not self.given[kind.variable]]

    def start(self) -> EngineUrls:
        """Start what the environment does not replace, all at the same time. All or none are left running."""
        try:
            with ThreadPoolExecutor(max_workers=len(KINDS)) as pool:
                urls = list(pool.map(lambda engine: engine.start(), self.started))
        except BaseException:
            self.stop()
            raise
        known = self.given | {engine.variable: url for engine, url in zip(self.started, urls, strict=True)}
        return EngineUrls(known["DATABASE_URL"], known["REDIS_URL"], known["CLICKHOUSE_URL"])

    def stop(self) -> None:
        """Stop them, at the same time, with their data flushed."""
        if self.started:
            with ThreadPoolExecutor(max_workers=len(KINDS)) as pool:
                list(pool.map(lambda engine: engine.stop(), self.started))


_running: dict[Path, ExitStack] = {}


def start_engines(state_dir: Path, environment: Mapping[str, str] = os.environ) -> EngineUrls:
    """Start PostgreSQL, Redis and ClickHouse with their data below `state_dir` and hold its lock.

    They end with this process, even if it is killed. Raises AlreadyRunning, DiskFull or StartFailed.
    """
    state = StateDir(state_dir)
    stack = ExitStack()
    with stack:
        stack.enter_context(state.locked())
        engines = Engines(state, environment)
        urls = engines.start()
        stack.callback(engines.stop)
        _running[state.root] = stack.pop_all()
    return urls


def stop_engines(state_dir: Path) -> None:
    """Stop what `start_engines` started there. Nothing happens when nothing runs."""
    stack = _running.pop(StateDir(state_dir).root, None)
    if stack is not None:
        stack.close()


@contextmanager
def temporary_state(prefix: str = "hedgerow-") -> Iterator[Path]:
    """A state folder for tests: reachable for PostgreSQL's user, on a real disk, and gone afterwards.

    A folder of pytest's `tmp_path` is closed to other users, so as root PostgreSQL's data would go elsewhere.
    """
    root = Path(tempfile.mkdtemp(prefix=prefix))
    root.chmod(0o711)
    try:
        yield root
    finally:
        stop_engines(root)
        remove_state(root)


def remove_state(root: Path) -> None:
    """Delete a state folder with all its data, also what had to lie outside of it. Nothing may run on it."""
    outside = Postgres(StateDir(root)).base
    if outside != root and outside.is_relative_to(OUTSIDE):
        shutil.rmtree(outside, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(root)
