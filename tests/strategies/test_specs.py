"""What the engine keeps of markets follows the catalogue."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.utils import timezone

from markets.models import Market
from strategies.specs import SpecBook
from trading.enums import MarketStatus


@pytest.fixture
async def conn(database_url: str, transactional_db: None) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as conn:
        yield conn


async def make(number: str) -> None:
    await Market.objects.acreate(
        id=f"predict:{number}", platform="predict", market_id=number, title="?", status="open", yes_token="11",
        no_token="12", tick=Decimal("0.01"), lot=Decimal("0.01"), min_size=Decimal("0.01"), min_value=Decimal("0.9"),
        fee_rate_bps=0, synced_at=timezone.now(),
    )  # fmt: skip


async def test_changed_market_is_read_again_and_others_stay(conn: psycopg.AsyncConnection[Any]) -> None:
    for number in ("1", "2"):
        await make(number)
    book = SpecBook()
    await book.ensure(conn, ["predict:1", "predict:2", "predict:unknown"])
    await book.refresh(conn)
    before = dict(book)
    await Market.objects.filter(pk="predict:1").aupdate(status="closed", synced_at=timezone.now())
    await book.refresh(conn)
    assert book["predict:1"].status is MarketStatus.CLOSED
    assert book["predict:2"] is before["predict:2"], "what signed ahead for it still holds"


async def test_market_held_since_the_last_refresh_follows_too(conn: psycopg.AsyncConnection[Any]) -> None:
    for number in ("1", "2"):
        await make(number)
    book = SpecBook()
    await book.ensure(conn, ["predict:1"])
    await book.refresh(conn)
    await book.ensure(conn, ["predict:2"])
    await Market.objects.filter(pk="predict:2").aupdate(fee_rate_bps=200)
    await book.refresh(conn)
    assert book["predict:2"].fee_rate_bps == 200


async def test_market_that_is_gone_is_held_no_more(conn: psycopg.AsyncConnection[Any]) -> None:
    for number in ("1", "2"):
        await make(number)
    book = SpecBook()
    await book.ensure(conn, ["predict:1", "predict:2"])
    await book.refresh(conn)
    await Market.objects.filter(pk="predict:1").aupdate(synced_at=None)
    await book.refresh(conn)
    assert list(book) == ["predict:2"]


async def test_markets_that_come_in_during_a_refresh_stay(
    database_url: str, conn: psycopg.AsyncConnection[Any]
) -> None:
    for number in range(40):
        await make(str(number))
    book = SpecBook()
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as other:
        await book.ensure(conn, ["predict:0"])
        for number in range(1, 40):
            await Market.objects.filter(pk="predict:0").aupdate(fee_rate_bps=number)
            await asyncio.gather(book.refresh(conn), book.ensure(other, [f"predict:{number}"]))
    assert len(book) == 40
    assert book["predict:0"].fee_rate_bps == 39
