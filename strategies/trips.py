"""The dispatch's transaction on the wire: two round trips, spoken to libpq in as few steps as it takes.

    begin        sends BEGIN and `dispatch_open`, and returns: what can be done meanwhile is done meanwhile
    write_ahead  sends `dispatch_close` before the answer is there, for who foresees what will be written
    opened       waits for the answer. Between here and the end the connection may be used as any other, unless
                 something was written ahead
    commit       `dispatch_close`, unless it was written ahead, and COMMIT: one flush, one wait
    take_back    when what was written ahead is not what is to be committed (`WrittenWrong`); then it all begins anew
    abandon      whatever else happens

Nothing is committed but by `commit`, whose caller has decided on the rows that `opened` gave.

psycopg's pipeline and transaction blocks send the same messages, and take four times the Python for it.
"""

import asyncio
from collections.abc import Sequence
from itertools import count
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

Connection = AsyncConnection[Any]
Command = tuple[bytes, Sequence[bytes] | None]
Writes = tuple[bytes, bytes, bytes, bytes]
"""The parameters of `dispatch_close`: the ledger's part, exposures, decisions, and the time."""

_OPEN, _CLOSE, _BEGIN, _COMMIT = b"trip_open", b"trip_close", b"trip_begin", b"trip_commit"
_ROLLBACK = b"trip_rollback"
_STATEMENTS = (
    (_BEGIN, b"BEGIN"),
    (_OPEN, b"SELECT dispatch_open($1::jsonb, $2::uuid[], $3::timestamptz)::text"),
    (_CLOSE, b"SELECT dispatch_close($1::jsonb, $2::jsonb, $3::jsonb, $4::timestamptz)::text"),
    (_COMMIT, b"COMMIT"),
    (_ROLLBACK, b"ROLLBACK"),
)
_numbers = count(1)
_FINE = frozenset({ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK})
_KNOWN = frozenset({TransactionStatus.IDLE, TransactionStatus.INTRANS, TransactionStatus.INERROR})
"""Between two statements: what the connection is asked for now, it can do."""


class WrittenWrong(Exception):
    """What was written ahead is not what is to be committed. The transaction is to be abandoned and begun anew."""


class Trips:
    """One connection's transactions, one at a time. Parameters and answers are in PostgreSQL's text form."""

    def __init__(self, conn: Connection) -> None:
        """`conn` is in autocommit mode and nobody else's while a transaction is under way."""
        self._conn = conn
        self._names: dict[bytes, bytes] = {}
        self._under_way = False
        self.is_ahead = False
        """Whether something was written that is not decided yet."""
        self._due = 0
        """Flushes whose answers are not read yet."""

    def begin(self, executions: bytes, ids: bytes, at: bytes) -> None:
        """Send BEGIN and `dispatch_open`. Raises psycopg.OperationalError when the connection is gone."""
        self._under_way = True
        self._send([(_BEGIN, None), (_OPEN, (executions, ids, at))])

    def write_ahead(self, writes: Writes) -> None:
        """Send `dispatch_close` at once: `commit` or `take_back` it."""
        self._send([(_CLOSE, writes)])
        self.is_ahead = True

    async def opened(self) -> bytes:
        """The answer of `dispatch_open`. Raises what PostgreSQL raised."""
        return _value((await self._answers())[-1])

    def connection(self) -> Connection:
        """The connection, for other statements of this transaction. Raises WrittenWrong when something was written
        ahead: whoever foresaw that did not foresee these."""
        if self.is_ahead:
            raise WrittenWrong
        return self._conn

    async def commit(self, writes: Writes | None) -> bytes:
        """`dispatch_close` (None: as it was written ahead) and COMMIT: its answer, once it is durable. Raises what
        PostgreSQL raised."""
        if writes is None:
            self._send([(_COMMIT, None)])
            closed, committed = (await self._answers())[-1], (await self._answers())[-1]
        else:
            self._send([(_CLOSE, writes), (_COMMIT, None)])
            closed, committed = (await self._answers())[-2:]
        if committed.command_status != b"COMMIT":
            raise psycopg.InternalError(f"the transaction ended with {committed.command_status!r}")
        self._under_way = self.is_ahead = False
        return _value(closed)

    async def take_back(self) -> None:
        """Roll everything back, after WrittenWrong. Raises psycopg.Error when that cannot be had."""
        self._send([(_ROLLBACK, None)])
        while self._due:
            results = await self._segment()
        self._conn.pgconn.exit_pipeline_mode()
        if results[-1].command_status != b"ROLLBACK":
            raise psycopg.InternalError("the transaction did not end")
        self._under_way = self.is_ahead = False

    async def abandon(self) -> None:
        """Roll back what is under way; a connection that cannot say what it did is closed. Never raises."""
        # Statements are made anew afterwards: an error may have come from their being gone.
        self._names = {}
        if not self._under_way:
            return
        self._under_way = self.is_ahead = False
        self._due = 0
        pgconn = self._conn.pgconn
        if pgconn.pipeline_status or pgconn.transaction_status not in _KNOWN:
            # Cut short in the middle of an answer. PostgreSQL ends the transaction with the connection.
            pgconn.finish()
            return
        try:
            await self._conn.rollback()
        except psycopg.Error:
            pgconn.finish()

    def _send(self, commands: Sequence[Command]) -> None:
        pgconn = self._conn.pgconn
        if pgconn.status != ConnStatus.OK:
            raise psycopg.OperationalError("the connection is closed")
        pgconn.enter_pipeline_mode()
        if not self._names:
            # A new name each time: the old ones may be there, or gone with a rollback (psycopg deallocates them all).
            number = next(_numbers)
            self._names = {name: b"%s_%d" % (name, number) for name, _ in _STATEMENTS}
            for name, statement in _STATEMENTS:
                pgconn.send_prepare(self._names[name], statement)
        for name, parameters in commands:
            pgconn.send_query_prepared(self._names[name], parameters)
        pgconn.pipeline_sync()
        self._due += 1

    async def _answers(self) -> list[PGresult]:
        """The results of the oldest flush. Raises the first error among them, once all that was sent is answered:
        behind an error PostgreSQL refuses the rest."""
        results = await self._segment()
        failed = next((result for result in results if result.status not in _FINE), None)
        while failed is not None and self._due:
            await self._segment()
        if not self._due:
            self._conn.pgconn.exit_pipeline_mode()
        if failed is not None:
            raise error_from_result(failed, encoding="utf-8")
        return results

    async def _segment(self) -> list[PGresult]:
        """Every result up to the next sync."""
        pgconn = self._conn.pgconn
        results: list[PGresult] = []
        while True:
            while pgconn.flush():
                await _ready(pgconn.socket, writing=True)
                pgconn.consume_input()
            while pgconn.is_busy():
                await _ready(pgconn.socket)
                pgconn.consume_input()
            result = pgconn.get_result()
            if result is None:  # the end of one command's results
                if pgconn.status != ConnStatus.OK:
                    raise psycopg.OperationalError("the connection was lost")
                continue
            if result.status == ExecStatus.PIPELINE_SYNC:
                self._due -= 1
                return results
            results.append(result)


def _value(result: PGresult) -> bytes:
    value = result.get_value(0, 0)
    assert value is not None
    return value


async def _ready(fileno: int, *, writing: bool = False) -> None:
    """Until the socket can be read (or written, when asked for)."""
    loop = asyncio.get_running_loop()
    waiting: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not waiting.done():
            waiting.set_result(None)

    loop.add_reader(fileno, wake)
    if writing:
        loop.add_writer(fileno, wake)
    try:
        await waiting
    finally:
        loop.remove_reader(fileno)
        if writing:
            loop.remove_writer(fileno)
