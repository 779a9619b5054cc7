"""Orders: recorded, journaled, answered, announced. The executor and the dispatch call this; nobody else writes orders.

Every change of status is a conditional UPDATE that names the statuses it may come from (`trading.orders`), so two
processes can never both take the same step, and evidence that arrives late never undoes evidence that came first.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection, AsyncCursor

from accounts.ledger.rows import COLUMNS, STANDING, Answer, NewOrder, OrderRow, Standing, VenueWord
from trading.enums import OrderStatus
from trading.orders import TERMINAL, TRANSITIONS

Connection = AsyncConnection[Any]

INSERT_ORDER = """
INSERT INTO accounts_order (
    id, account_id, market_id, outcome, action, order_type, post_only, price, size, filled, status, reason, origin,
    mode, exposure_id, strategy_id, cause, leg, rung, salt, expires_at_s, order_hash, venue_order_id, body, sender,
    attempts, cause_at, created_at, submitted_at, closed_at, updated_at, announced
) VALUES (
    %(id)s, %(account_id)s, %(market_key)s, %(outcome)s, %(action)s, %(order_type)s, %(post_only)s, %(price)s,
    %(size)s, 0, %(status)s, %(reason)s, %(origin)s, %(mode)s, %(exposure_id)s, %(strategy_id)s, %(cause)s, %(leg)s,
    %(rung)s, %(salt)s, %(expires_at_s)s, %(order_hash)s, '', %(body)s, %(sender)s, 0, %(cause_at)s, %(now)s,
    %(submitted_at)s, %(closed_at)s, %(now)s, ''
) ON CONFLICT (id) DO NOTHING
"""
"""An order id is a pure function of its cause, so the same decision made twice is one row."""

_JOINED = """
accounts_order o JOIN accounts_account a ON a.id = o.account_id JOIN markets_market m ON m.id = o.market_id
"""

RECORD_CANCEL_REQUEST = """
UPDATE accounts_order SET cancel_requested_at = coalesce(cancel_requested_at, %s), updated_at = %s WHERE id = %s
"""

_JOURNAL = """
UPDATE accounts_order
SET status = 'submitted', order_hash = %s, body = %s, salt = %s, sender = %s, submitted_at = %s, updated_at = %s
WHERE id = %s AND status = 'initialized'
"""

_ANSWER = """
WITH said AS (
    SELECT *, t.status = ANY(%s::text[]) AS closes
    FROM json_to_recordset(%s::json) AS t(
        client_order_id uuid, status text, venue_order_id text, reason text,
        sent_at timestamptz, answered_at timestamptz
    )
), changed AS (
    UPDATE accounts_order o SET
        status = CASE WHEN o.status || '>' || said.status = ANY(%s::text[]) THEN said.status ELSE o.status END,
        venue_order_id = CASE WHEN said.venue_order_id <> '' THEN said.venue_order_id ELSE o.venue_order_id END,
        reason = CASE WHEN said.reason <> '' THEN left(said.reason, 255) ELSE o.reason END,
        sent_at = coalesce(o.sent_at, said.sent_at),
        answered_at = coalesce(said.answered_at, o.answered_at),
        latency_us = coalesce(o.latency_us,
            (extract(epoch FROM (said.sent_at - o.cause_at)) * 1000000)::int),
        attempts = o.attempts + 1,
        closed_at = CASE WHEN said.closes THEN coalesce(o.closed_at, %s) ELSE o.closed_at END,
        updated_at = %s
    FROM said WHERE o.id = said.client_order_id
    RETURNING o.*
)
SELECT {} FROM changed o
JOIN accounts_account a ON a.id = o.account_id JOIN markets_market m ON m.id = o.market_id
"""
_ANSWER_ROWS, _ANSWER_STANDINGS = _ANSWER.format(COLUMNS), _ANSWER.format(STANDING)

_WORD = f"""
WITH said AS (
    SELECT * FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bool[])
        AS t(account_id, order_hash, status, venue_order_id, reason, closes)
), changed AS (
    UPDATE accounts_order o SET
        status = said.status,
        venue_order_id = CASE WHEN said.venue_order_id <> '' THEN said.venue_order_id ELSE o.venue_order_id END,
        reason = CASE WHEN said.reason <> '' THEN left(said.reason, 255) ELSE o.reason END,
        closed_at = CASE WHEN said.closes THEN coalesce(o.closed_at, %s) ELSE o.closed_at END,
        doubted_since = CASE WHEN said.status IN ('cancelled', 'expired') AND o.exposure_id IS NOT NULL
                             THEN %s::timestamptz END,
        updated_at = %s
    FROM said
    WHERE o.order_hash = said.order_hash AND o.account_id = said.account_id
      AND o.status || '>' || said.status = ANY(%s::text[])
    RETURNING o.*
)
SELECT {COLUMNS} FROM changed o
JOIN accounts_account a ON a.id = o.account_id JOIN markets_market m ON m.id = o.market_id
"""


def _array(words: Iterable[str]) -> str:
    """A text[] as PostgreSQL writes it, made once: psycopg would make it anew for every statement."""
    return "{" + ",".join(words) + "}"


_FILLS_ALONE = frozenset({OrderStatus.FILLED, OrderStatus.PARTIALLY_FILLED})
"""Statuses no answer and no venue word sets: only recorded fills do."""

_LEGAL = _array(
    f"{before.value}>{after.value}"
    for before, steps in TRANSITIONS.items()
    for after in steps
    if after not in _FILLS_ALONE
    and before is not OrderStatus.FILLED
    and not (before is OrderStatus.PARTIALLY_FILLED and after is OrderStatus.ACCEPTED)
)
"""Compared as one text and never joined: an UPDATE that waited for another's lock looks at its own row anew, but keeps
the joined row it first met, and so would lose a word that comes while an answer is being written."""

_ENDS = _array(status.value for status in TERMINAL)

_ANNOUNCED = """
UPDATE accounts_order o SET announced = t.status
FROM unnest(string_to_array(%s, ',')::uuid[], string_to_array(%s, ',')) AS t(id, status)
WHERE o.id = t.id AND o.status = t.status AND o.announced <> t.status
"""


def order_parameters(order: NewOrder, now: datetime) -> dict[str, Any]:
    """The INSERT's parameters; shared with the sync twin."""
    parameters: dict[str, Any] = {name: getattr(order, name) for name in order.__struct_fields__}
    for name in ("outcome", "action", "order_type", "status", "origin", "mode"):
        parameters[name] = str(parameters[name])
    parameters["reason"] = order.reason[:255]
    parameters["now"] = now
    parameters["submitted_at"] = now if order.status is OrderStatus.SUBMITTED else None
    parameters["closed_at"] = now if order.status is OrderStatus.DENIED else None
    return parameters


async def record_orders(conn: Connection, orders: Sequence[NewOrder], now: datetime) -> list[AsyncCursor[Any]]:
    """Insert the rows; one whose id exists already stays as it is, and its cursor's `rowcount` is 0: do not send it.

    In a pipeline nothing is awaited from the server, so ask for the row counts after the commit.
    """
    return [await conn.execute(INSERT_ORDER, order_parameters(order, now), prepare=True) for order in orders]


async def record_journal(
    conn: Connection, client_order_id: UUID, order_hash: str, body: bytes, salt: int, sender: str, now: datetime
) -> bool:
    """INITIALIZED → SUBMITTED with the signed bytes; False when another process took it or it moved on."""
    cursor = await conn.execute(_JOURNAL, (order_hash, body, salt, sender, now, now, client_order_id), prepare=True)
    return cursor.rowcount == 1


async def record_answers(conn: Connection, answers: Sequence[Answer], now: datetime) -> list[OrderRow]:
    """Write what the senders learned; a status that would be an illegal step (a fill came first) is left as it is.

    Returns every row touched, as it now stands. `answers` holds each order at most once.
    """
    return [OrderRow(*row) for row in await _answer(conn, _ANSWER_ROWS, answers, now)]


async def record_spoken(conn: Connection, answers: Sequence[Answer], now: datetime) -> list[Standing]:
    """`record_answers`, for who only has to tell the bus: a third of the work. One statement, so that on a connection
    outside a transaction it is durable when this returns."""
    return [Standing(*row) for row in await _answer(conn, _ANSWER_STANDINGS, answers, now)]


async def _answer(conn: Connection, statement: str, answers: Sequence[Answer], now: datetime) -> list[Any]:
    if not answers:
        return []
    values = (_ENDS, msgspec.json.encode(answers).decode(), _LEGAL, now, now)
    return await (await conn.execute(statement, values, prepare=True)).fetchall()


async def record_updates(conn: Connection, words: Sequence[VenueWord], now: datetime) -> list[OrderRow]:
    """Write the venue's word on our orders; returns the rows that changed. Repeats and illegal steps change nothing.

    A hedge that ends by such a word is doubted until its end is proved (`accounts.ends`).
    """
    latest = {(word.account_id, word.order_hash): word for word in words}
    if not latest:
        return []
    said = list(latest.values())
    cursor = await conn.execute(
        _WORD,
        (
            [word.account_id for word in said],
            [word.order_hash for word in said],
            [word.status.value for word in said],
            [word.venue_order_id for word in said],
            [word.reason for word in said],
            [word.status in TERMINAL for word in said],
            now,
            now,
            now,
            _LEGAL,
        ),
        prepare=True,
    )
    return [OrderRow(*row) for row in await cursor.fetchall()]


async def record_denied(conn: Connection, client_order_id: UUID, reason: str, now: datetime) -> list[OrderRow]:
    """INITIALIZED → DENIED with its reason code; empty when the order had moved on."""
    return await record_answers(
        conn, [Answer(client_order_id=client_order_id, status=OrderStatus.DENIED, reason=reason)], now
    )


async def record_announced(conn: Connection, rows: Iterable[OrderRow | Standing]) -> None:
    """Note that these rows' status is on the bus. One that has moved on meanwhile is its next announcer's to note."""
    latest = {str(row.id): row.status for row in rows}
    if latest:
        await conn.execute(_ANNOUNCED, (",".join(latest), ",".join(latest.values())), prepare=True)


async def record_cancel_request(conn: Connection, client_order_id: UUID, now: datetime) -> None:
    """Note that somebody wants this order off the book; a second request changes nothing."""
    await conn.execute(RECORD_CANCEL_REQUEST, (now, now, client_order_id), prepare=True)


async def load_orders(conn: Connection, ids: Sequence[UUID]) -> list[OrderRow]:
    """These orders as they stand."""
    return await _rows(conn, f"SELECT {COLUMNS} FROM {_JOINED} WHERE o.id = ANY(%s)", (list(ids),))


async def load_unsettled(conn: Connection, before: datetime, limit: int) -> list[OrderRow]:
    """Orders whose fate is open (initialized, submitted, unknown) and untouched since `before`, oldest first.

    Rows are locked for this transaction and those another process works on are skipped.
    """
    return await _rows(
        conn,
        f"SELECT {COLUMNS} FROM {_JOINED} WHERE o.status IN ('initialized', 'submitted', 'unknown')"
        " AND o.updated_at < %s ORDER BY o.updated_at LIMIT %s FOR UPDATE OF o SKIP LOCKED",
        (before, limit),
    )


async def load_unannounced(conn: Connection, before: datetime, limit: int) -> list[OrderRow]:
    """Orders whose present status never reached the bus: their process died between the commit and the publish."""
    return await _rows(
        conn,
        f"SELECT {COLUMNS} FROM {_JOINED} WHERE o.announced <> o.status AND o.updated_at < %s"
        " ORDER BY o.updated_at LIMIT %s",
        (before, limit),
    )


async def _rows(conn: Connection, query: str, parameters: tuple[object, ...]) -> list[OrderRow]:
    cursor = await conn.execute(query, parameters, prepare=True)
    return [OrderRow(*row) for row in await cursor.fetchall()]
