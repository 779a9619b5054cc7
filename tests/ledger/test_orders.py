"""Orders in the ledger, written by several processes at once."""

import asyncio
from typing import Any

import psycopg
import pytest

from accounts.ledger.orders import record_answers, record_orders, record_updates
from accounts.ledger.rows import Answer, VenueWord
from accounts.models import Account, Order
from markets.models import Market
from tests.ledger.conftest import NOW, new_order
from trading.enums import OrderStatus


@pytest.mark.parametrize("first", ["answer", "word"])
async def test_word_that_waits_for_an_answer_is_not_lost(
    first: str,
    conn: psycopg.AsyncConnection[Any],
    other_conn: psycopg.AsyncConnection[Any],
    primary: Account,
    market: Market,
) -> None:
    """A post-only order is answered "accepted" and cancelled in the same moment; two engines write the two."""
    order = new_order(primary, order_hash="0xaa")
    await record_orders(conn, [order], NOW)
    answer = Answer(client_order_id=order.id, status=OrderStatus.ACCEPTED)
    word = VenueWord(account_id=primary.id, order_hash="0xaa", status=OrderStatus.CANCELLED)
    async with conn.transaction():
        if first == "answer":
            await record_answers(conn, [answer], NOW)
            waiting = asyncio.create_task(record_updates(other_conn, [word], NOW))
        else:
            await record_updates(conn, [word], NOW)
            waiting = asyncio.create_task(record_answers(other_conn, [answer], NOW))
        await asyncio.sleep(0.2)
        assert not waiting.done(), "it waits for the row"
    await waiting
    assert await Order.objects.values_list("status", flat=True).aget(pk=order.id) == "cancelled"
