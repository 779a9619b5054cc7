"""Connections to the chDB engine as ClickHouse sessions: own settings, temporary tables and current database.

Used by the ClickHouse server process only; chDB is imported nowhere else, because a process that has imported it
cannot fork. Every connection of chDB is a session of its own on the one engine that a process can hold.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chdb import _chdb

from embedded.chdb_request import BadRequest, ExternalTable

SESSION_IS_LOCKED = 373
SESSION_NOT_FOUND = 372
LONGEST_SESSION = 3600


def quote_text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def quote_name(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


class Session:
    """One chDB connection. Used by one request at a time."""

    def __init__(self, path: str) -> None:
        self.connection: Any = _chdb.connect(path)  # type: ignore[attr-defined]
        self.lock = threading.Lock()
        self.expires = 0.0
        self._before: dict[str, str] = {}
        self._applied: dict[str, str] = {}

    def use(self, database: str) -> None:
        self.connection.query(f"USE {quote_name(database)}", "TabSeparated")

    def apply_settings(self, wanted: dict[str, str]) -> None:
        """Make exactly `wanted` hold on top of what the session has set itself.

        A request's settings end with the request, so earlier ones are taken back first. Raises the engine's
        error for an unknown setting.
        """
        if wanted == self._applied:
            return
        self.take_back_settings()
        if not wanted:
            return
        names = ", ".join(quote_text(name) for name in wanted)
        sql = f"SELECT name, value FROM system.settings WHERE name IN ({names}) FORMAT TabSeparatedRaw"
        rows = bytes(self.connection.query(sql, "TabSeparatedRaw").bytes()).decode().splitlines()
        self._before = dict(row.split("\t", 1) for row in rows)
        self._applied = dict(wanted)
        try:
            self._set(wanted)
        except RuntimeError:
            self.take_back_settings()
            raise

    def take_back_settings(self) -> None:
        if self._before:
            self._set(self._before)
        self._before, self._applied = {}, {}

    def bind(self, values: dict[str, str]) -> None:
        """Set the values of placeholders for a statement that cannot carry them itself."""
        if values:
            self._set({f"param_{name}": value for name, value in values.items()})

    def create_external(self, table: ExternalTable) -> None:
        self.connection.query(f"CREATE TEMPORARY TABLE {quote_name(table.name)} ({table.structure})", "TabSeparated")
        inserter = self.connection.send_insert(f"INSERT INTO {quote_name(table.name)}", table.format)
        self.connection.insert_append(inserter, table.data)
        self.connection.insert_done(inserter)

    def drop_external(self, table: ExternalTable) -> None:
        self.connection.query(f"DROP TEMPORARY TABLE IF EXISTS {quote_name(table.name)}", "TabSeparated")

    def close(self) -> None:
        self.connection.close()

    def _set(self, values: dict[str, str]) -> None:
        assignments = ", ".join(f"{quote_name(name)} = {quote_text(value)}" for name, value in values.items())
        self.connection.query(f"SET {assignments}", "TabSeparated")


class Sessions:
    """All sessions of the engine on one data folder. Safe to use from many threads."""

    def __init__(self, path: Path, database: str) -> None:
        self._path = str(path)
        self._database = database
        self._anchor = Session(self._path)  # the engine lives as long as one connection does
        self._anchor.connection.query(f"CREATE DATABASE IF NOT EXISTS {quote_name(database)}", "TabSeparated")
        self._named: dict[str, Session] = {}
        self._lock = threading.Lock()

    @contextmanager
    def open(self, parameters: dict[str, str]) -> Iterator[Session]:
        """The session a request belongs to: the named one, kept until it expires, or one just for the request."""
        name = parameters.get("session_id", "")
        session = self._take(name, parameters) if name else Session(self._path)
        try:
            if parameters.get("database"):
                session.use(parameters["database"])
            elif not name:
                session.use(self._database)
            yield session
        finally:
            if name:
                seconds = min(int(parameters.get("session_timeout") or 60), LONGEST_SESSION)
                session.expires = time.monotonic() + seconds
                session.lock.release()
            else:
                session.close()

    def close_expired(self) -> None:
        """Forget sessions that nobody used for their timeout."""
        with self._lock:
            for name, session in list(self._named.items()):
                if session.expires < time.monotonic() and session.lock.acquire(blocking=False):
                    del self._named[name]
                    session.close()

    def close(self) -> None:
        with self._lock:
            for session in self._named.values():
                session.close()
            self._named.clear()
        self._anchor.close()

    def _take(self, name: str, parameters: dict[str, str]) -> Session:
        self.close_expired()
        with self._lock:
            session = self._named.get(name)
            if session is None:
                if parameters.get("session_check") == "1":
                    raise BadRequest(SESSION_NOT_FOUND, f"Session {name} not found. (SESSION_NOT_FOUND)")
                session = Session(self._path)
                session.use(self._database)
                self._named[name] = session
            if not session.lock.acquire(blocking=False):
                raise BadRequest(
                    SESSION_IS_LOCKED, f"Session {name} is locked by a concurrent client. (SESSION_IS_LOCKED)"
                )
            return session
