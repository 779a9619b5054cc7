"""The exchange's memory on disk: a snapshot and an append-only journal of the entries after it.

An entry is written before it takes effect and before anybody is answered, so that a killed process loses nothing it
acknowledged. A torn last line was never acknowledged and is cut off.
"""

import fcntl
import os
from pathlib import Path

import msgspec

from paper.entries import AnyEntry
from paper.exchange import Exchange
from paper.records import State

_encode = msgspec.json.Encoder().encode
_line = msgspec.json.Decoder(tuple[int, AnyEntry])


_WORTH_COMPACTING = 1_000


class JournalError(Exception):
    """The files on disk don't fit together; starting would invent or lose state."""


def _lock(path: Path) -> int:
    """Held while the process lives; two venues on one folder would tear it apart."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise JournalError(f"another venue runs on {path.parent}") from None
    return handle


class Journal:
    """One exchange, kept. `record` is the only way to change it."""

    def __init__(self, folder: Path, unit: int, compact_after: int = 50_000) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(folder / "lock")
        self._snapshot = folder / "snapshot.json"
        self._log = folder / "journal.jsonl"
        self._compact_after = compact_after
        state = State(unit=unit)
        if self._snapshot.exists():
            state = msgspec.json.decode(self._snapshot.read_bytes(), type=State)
        if state.unit != unit:
            raise JournalError(f"{folder} was written with unit {state.unit}, not {unit}")
        self.exchange = Exchange(state)
        self.replayed = self._replay()
        self._length = self.replayed
        self._size = self._log.stat().st_size if self._log.exists() else 0
        self._file = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def _replay(self) -> int:
        if not self._log.exists():
            return 0
        data = self._log.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.truncate(self._log, whole)
        count = 0
        state = self.exchange.state
        for line in data[:whole].splitlines():
            seq, entry = _line.decode(line)
            if seq <= state.seq:
                continue
            if seq != state.seq + 1:
                raise JournalError(f"entry {state.seq + 1} is missing from {self._log}")
            state.seq = seq
            self.exchange.apply(entry)
            count += 1
        self.exchange.changed_books.clear()
        return count

    def record(self, entry: AnyEntry) -> None:
        """Write the entry down; the caller applies it next."""
        seq = self.exchange.state.seq + 1
        data = _encode((seq, entry)) + b"\n"
        try:
            written = os.write(self._file, data)
        except OSError as error:
            raise JournalError(f"the journal can't be written: {error.strerror}") from error
        if written != len(data):
            os.ftruncate(self._file, self._size)
            raise JournalError("the journal took only part of an entry; is the disk full?")
        self._size += written
        self.exchange.state.seq = seq
        self._length += 1

    @property
    def is_long(self) -> bool:
        return self._length >= self._compact_after

    def compact(self) -> None:
        """Write the whole state to a new snapshot, then start an empty journal. Safe to be killed at any point."""
        state = self.exchange.state
        state.resting = self.exchange.resting_orders()
        fresh = self._snapshot.with_suffix(".new")
        with fresh.open("wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(_encode(state))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._snapshot)
        os.ftruncate(self._file, 0)
        self._size = 0
        self._length = 0

    def close(self) -> None:
        """On a clean end: leave a short journal, so that the next start is quick."""
        if self._length > _WORTH_COMPACTING:
            self.compact()
        os.close(self._file)
        os.close(self._lock)
