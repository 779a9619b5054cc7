"""Fills: each execution enters the books once, with its order's progress and its position.

A batch takes two round trips inside one transaction (`ledger.sql`): the first locks, inserts and reads, the second
writes what the kernel's arithmetic made of it. The dispatch wraps both in statements of its own.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, localcontext
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection

from accounts.ledger.rows import NewOrder, OrderProgress, Received, RecordedFill
from trading.enums import Action, FeeKind, OrderStatus, Outcome, Settlement
from trading.orders import TERMINAL, status_after_fill
from trading.positions import Position
from trading.values import PRECISION, ZERO

Connection = AsyncConnection[Any]
Key = tuple[UUID, str, Outcome]


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """A fill row this batch inserted or settled; `before` is its settlement until now, None for a new one."""

    trade_id: str
    account_id: UUID
    market_key: str
    order_id: UUID | None
    exposure_id: UUID | None
    strategy_id: UUID | None
    outcome: Outcome
    action: Action
    price: Decimal
    size: Decimal
    fee: Decimal
    fee_kind: FeeKind | None
    settlement: Settlement
    received_at: datetime
    before: Settlement | None = None
    fee_before: Decimal = ZERO
    fee_kind_before: FeeKind | None = None


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A position row, locked."""

    account_id: UUID
    market_key: str
    outcome: Outcome
    size: Decimal
    cost: Decimal
    realized: Decimal
    fees: Decimal
    cash: Decimal


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """What `ledger_open` answers."""

    orders: list[OrderProgress]
    fills: list[Moved]
    settled: list[Moved]
    positions: list[Held]


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """An order's new place, as `ledger_close` takes it."""

    id: UUID
    filled: Decimal
    status: str
    closed: bool


class Closing(msgspec.Struct, frozen=True, kw_only=True):
    """What `ledger_close` writes."""

    progress: list[Progress]
    positions: list[Held]
    orders: Sequence[NewOrder]


_encoder = msgspec.json.Encoder(decimal_format="number")
_opened = msgspec.json.Decoder(Opened)
_ids = msgspec.json.Decoder(list[UUID])


class FillBatch:
    """Executions on their way into the books. Use once, inside one transaction."""

    def __init__(self, executions: Sequence[Received]) -> None:
        self.executions = _latest_word(executions)
        self.fills: list[RecordedFill] = []
        """What recording changed; set by `apply`. A repeat changes nothing."""
        self._orders: dict[UUID, OrderProgress] = {}
        self._moved_orders: set[UUID] = set()
        self._positions: dict[Key, Position] = {}
        self._moved_positions: set[Key] = set()

    def apply(self, opened: Opened) -> None:
        """Work out what the rows `ledger_open` answered with mean for orders and positions."""
        self._orders = {order.id: order for order in opened.orders}
        self._positions = {
            (held.account_id, held.market_key, held.outcome): Position(
                size=held.size, cost=held.cost, realized=held.realized, fees=held.fees, cash=held.cash
            )
            for held in opened.positions
        }
        with localcontext(prec=PRECISION):
            for row in (*opened.fills, *opened.settled):
                self.fills.append(self._apply(row))

    def progress(self) -> list[OrderProgress]:
        """The orders these fills moved, as they will stand."""
        return [self._orders[order_id] for order_id in sorted(self._moved_orders)]

    def moved(self) -> list[Held]:
        """The positions these fills moved, as they will stand."""
        return [_held(key, self._positions[key]) for key in sorted(self._moved_positions)]

    def closing(self, orders: Sequence[NewOrder] = ()) -> Closing:
        """What `ledger_close` is to write, with these new orders."""
        return Closing(
            progress=[
                Progress(
                    id=order.id,
                    filled=order.filled,
                    status=order.status,
                    closed=OrderStatus(order.status) in TERMINAL,
                )
                for order in self.progress()
            ],
            positions=self.moved(),
            orders=orders,
        )

    def _apply(self, row: Moved) -> RecordedFill:
        had = row.before not in (None, Settlement.FAILED)
        has = row.settlement is not Settlement.FAILED
        shares = (row.size if has else ZERO) - (row.size if had else ZERO)
        fee = (row.fee if has else ZERO) - (row.fee_before if had else ZERO)
        fee_kind = row.fee_kind or row.fee_kind_before
        self._move_position((row.account_id, row.market_key, row.outcome), row, shares, fee, fee_kind)
        if row.order_id in self._orders and shares:
            order = self._orders[row.order_id]
            filled = order.filled + shares
            status = status_after_fill(OrderStatus(order.status), order.size, filled)
            self._orders[order.id] = msgspec.structs.replace(order, filled=filled, status=status.value)
            self._moved_orders.add(order.id)
        return RecordedFill(
            trade_id=row.trade_id,
            account_id=row.account_id,
            market_key=row.market_key,
            order_id=row.order_id,
            exposure_id=row.exposure_id,
            strategy_id=row.strategy_id,
            outcome=row.outcome,
            action=row.action,
            price=row.price,
            shares=shares,
            share_fee=fee if fee_kind is FeeKind.SHARES else ZERO,
            settlement=row.settlement,
            received_at=row.received_at,
        )

    def _move_position(self, key: Key, row: Moved, shares: Decimal, fee: Decimal, kind: FeeKind | None) -> None:
        position = self._positions[key]
        if shares > 0:
            position = position.apply_fill(row.action, row.price, shares)
        elif shares < 0:
            position = position.reverse_fill(row.action, row.price, -shares)
        if fee and kind is not None:
            position = position.apply_fee(fee, kind, row.price)
        if position is not self._positions[key]:
            self._positions[key] = position
            self._moved_positions.add(key)


def encode(value: object) -> bytes:
    """JSON for the ledger's functions: numbers with every digit, bytes as base64."""
    return _encoder.encode(value)


async def record_executions(conn: Connection, executions: Sequence[Received], now: datetime) -> list[RecordedFill]:
    """Record a batch on its own, inside the caller's transaction; returns what changed. A repeat changes nothing."""
    batch = FillBatch(executions)
    cursor = await conn.execute(
        "SELECT ledger_open(%s::jsonb, %s)::text", (encode(batch.executions).decode(), now), prepare=True
    )
    row = await cursor.fetchone()
    assert row is not None
    batch.apply(_opened.decode(row[0]))
    await conn.execute("SELECT ledger_close(%s::jsonb, %s)", (encode(batch.closing()).decode(), now), prepare=True)
    return batch.fills


_FINALITY = {Settlement.MATCHED: 0, Settlement.FAILED: 1, Settlement.SETTLED: 2}


def _latest_word(executions: Sequence[Received]) -> list[Received]:
    """One execution per trade: within a batch the most final word on it, for a statement touches a row once."""
    latest: dict[tuple[UUID, str], Received] = {}
    for execution in executions:
        key = (execution.account_id, execution.trade_id)
        held = latest.get(key)
        if held is None or _FINALITY[execution.settlement] >= _FINALITY[held.settlement]:
            latest[key] = execution
    return sorted(latest.values(), key=lambda execution: (execution.account_id, execution.trade_id))


def _held(key: Key, position: Position) -> Held:
    return Held(
        account_id=key[0],
        market_key=key[1],
        outcome=key[2],
        size=position.size,
        cost=position.cost,
        realized=position.realized,
        fees=position.fees,
        cash=position.cash,
    )
