"""Every execution enters the books once, whatever is repeated, reordered or raced."""

import asyncio
from decimal import Decimal
from itertools import permutations
from typing import Any

import psycopg
import pytest

from accounts.ledger.fills import record_executions
from accounts.ledger.orders import record_orders
from accounts.ledger.rows import Received
from accounts.models import Account, Fill, Order, Position
from markets.models import Market
from tests.ledger.conftest import NOW, new_order, received
from trading.enums import Action, FeeKind, Outcome, Settlement

ONE_WEI = Decimal(1).scaleb(-18)
Connection = psycopg.AsyncConnection[Any]


async def record(conn: Connection, *executions: Received) -> list[Any]:
    async with conn.transaction():
        return await record_executions(conn, executions, NOW)


async def position_of(account: Account, outcome: str = "yes") -> Position:
    return await Position.objects.aget(account=account, outcome=outcome)


async def test_a_fill_moves_its_position_once(conn: Connection, market: Market, primary: Account) -> None:
    first = await record(conn, received(primary, "s1:0xaa"))
    again = await record(conn, received(primary, "s1:0xaa"))
    position = await position_of(primary)
    assert [fill.shares for fill in first] == [10]
    assert again == []
    assert (position.size, position.cost, position.cash) == (10, Decimal("5.5"), Decimal("-5.5"))
    assert await Fill.objects.acount() == 1


async def test_one_batch_with_repeats_records_once(conn: Connection, market: Market, primary: Account) -> None:
    fills = await record(conn, *[received(primary, "s1:0xaa")] * 3, received(primary, "s2:0xaa", size="5"))
    assert sorted(fill.shares for fill in fills) == [5, 10]
    assert (await position_of(primary)).size == 15


async def test_a_fill_advances_its_order(conn: Connection, market: Market, primary: Account) -> None:
    order = new_order(primary)
    async with conn.transaction():
        await record_orders(conn, [order], NOW)
    await record(conn, received(primary, "s1:0xaa", size="4"))
    row = await Order.objects.aget(id=order.id)
    assert (row.status, row.filled) == ("partially_filled", 4)
    (fill,) = await record(conn, received(primary, "s2:0xaa", size="6"))
    row = await Order.objects.aget(id=order.id)
    assert (row.status, row.filled, row.closed_at) == ("filled", 10, NOW)
    assert fill.order_id == order.id


async def test_a_fee_in_shares_arrives_with_the_settlement(conn: Connection, market: Market, primary: Account) -> None:
    await record(conn, received(primary, "s1:0xaa"))
    (settled,) = await record(
        conn,
        received(primary, "s1:0xaa", settlement=Settlement.SETTLED, fee="0.2", fee_kind=FeeKind.SHARES),
    )
    assert (settled.shares, settled.share_fee) == (0, Decimal("0.2"))
    position = await position_of(primary)
    assert (position.size, position.cost) == (Decimal("9.8"), Decimal("5.5"))
    fill = await Fill.objects.aget()
    assert (fill.settlement, fill.fee) == ("settled", Decimal("0.2"))


async def test_a_failed_settlement_takes_the_fill_back(conn: Connection, market: Market, primary: Account) -> None:
    order = new_order(primary)
    async with conn.transaction():
        await record_orders(conn, [order], NOW)
    await record(conn, received(primary, "s1:0xaa"))
    (failed,) = await record(conn, received(primary, "s1:0xaa", settlement=Settlement.FAILED))
    assert failed.shares == -10
    position = await position_of(primary)
    assert (position.size, position.cost, position.cash) == (0, 0, 0)
    row = await Order.objects.aget(id=order.id)
    assert (row.filled, row.closed_at) == (0, None)


@pytest.mark.parametrize("order", list(permutations(["matched", "settled", "failed"])))
async def test_settled_wins_in_any_order_of_words(
    conn: Connection, market: Market, primary: Account, order: tuple[str, ...]
) -> None:
    for word in order:
        fee = {"fee": "0.2", "fee_kind": FeeKind.SHARES} if word == "settled" else {}
        await record(conn, received(primary, "s1:0xaa", settlement=Settlement(word), **fee))
    assert (await position_of(primary)).size == Decimal("9.8")
    assert (await Fill.objects.aget()).settlement == "settled"


async def test_two_engines_racing_record_one_fill(
    conn: Connection, other_conn: Connection, market: Market, primary: Account
) -> None:
    results = await asyncio.gather(
        *(record(c, *(received(primary, f"s{n}:0xaa") for n in range(20))) for c in (conn, other_conn))
    )
    assert sum(len(result) for result in results) == 20
    assert (await position_of(primary)).size == 200


async def test_a_fill_in_an_unknown_market_is_kept(conn: Connection, primary: Account) -> None:
    await record(conn, received(primary, "s1:0xaa", market_key="predict:999"))
    stub = await Market.objects.aget(id="predict:999")
    assert (stub.market_id, stub.status, stub.synced_at) == ("999", "closed", None)


async def test_buying_and_selling_realizes_exactly(conn: Connection, market: Market, primary: Account) -> None:
    await record(conn, received(primary, "s1:0xaa", price="0.57", size="0.123456789012345678"))
    await record(conn, received(primary, "s2:0xaa", price="0.61", size="0.123456789012345678", action=Action.SELL))
    position = await position_of(primary)
    assert position.size == 0
    exact = Decimal("0.04") * Decimal("0.123456789012345678")
    assert abs(position.realized - exact) <= ONE_WEI
    assert position.realized == position.cash


async def test_outcomes_keep_positions_of_their_own(conn: Connection, market: Market, primary: Account) -> None:
    await record(conn, received(primary, "s1:0xaa"), received(primary, "s1:0xbb", outcome=Outcome.NO, size="3"))
    assert (await position_of(primary, "yes")).size == 10
    assert (await position_of(primary, "no")).size == 3
