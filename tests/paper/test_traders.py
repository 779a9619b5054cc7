"""Simulated traders: books with depth, real orders preferred and taken whole, pause and resume."""

import asyncio
from typing import Any

from paper.conservation import check_conservation
from paper.predict.gate import VENUE
from tests.paper.desk import WEI, Running, Start, Trader, to_wei, until


async def control(venue: Running, **orders: Any) -> Any:
    async with venue.session.post(venue.base + "/paper/traders", json=orders) as answer:
        assert answer.status == 200
        return await answer.json()


async def book_of(trader: Trader, market_id: int) -> Any:
    return (await trader.call("GET", f"/v1/markets/{market_id}/orderbook"))[1]["data"]


async def test_every_market_has_a_deep_book(start: Start) -> None:
    async with start(traders=True, taker_every_s=0) as venue:
        trader = await venue.trader(1)

        async def all_open() -> bool:
            return bool((await book_of(trader, 9008))["asks"])

        await until(all_open)
        _, answer = await trader.call("GET", "/v1/markets?first=100")
        assert len(answer["data"]) == 8
        for market in answer["data"]:
            book = await book_of(trader, market["id"])
            tick = 10 ** -market["decimalPrecision"]
            assert abs(book["asks"][0][0] - book["bids"][0][0] - 2 * tick) < 1e-9
            for side in ("asks", "bids"):
                assert sum(size for _, size in book[side]) >= 5000


async def test_real_order_near_touch_is_taken_whole(start: Start) -> None:
    async with start(traders=True, taker_every_s=0) as venue:
        trader = await venue.trader(1, usdt=100_000)

        async def quoted() -> bool:
            return bool((await book_of(trader, 9001))["asks"])

        await until(quoted)
        best = (await book_of(trader, 9001))["bids"][0][0]
        price = f"{best:.2f}"
        placed = await trader.accepted(9001, "buy", "yes", price, "37", isPostOnly=True)
        improved = await trader.accepted(9001, "buy", "yes", f"{best + 0.01:.2f}", "12.5", isPostOnly=True)
        assert (await control(venue, trade_now=2))["traded"] == 2
        for order, size in ((placed, "37"), (improved, "12.5")):

            async def filled(wanted: str = order["orderHash"]) -> bool:
                return bool((await trader.order(wanted))["status"] == "FILLED")

            await until(filled)
            assert (await trader.order(order["orderHash"]))["amountFilled"] == str(to_wei(size))
        assert check_conservation(venue.app[VENUE].state) == []


async def test_one_order_can_be_taken_in_part(start: Start) -> None:
    async with start(traders=True, taker_every_s=0) as venue:
        trader = await venue.trader(1, usdt=100_000)
        await trader.split(9001, 100)
        placed = await trader.accepted(9001, "sell", "yes", "0.47", "50")
        body = {"order_hash": placed["orderHash"], "size_wei": str(20 * WEI)}
        status, answer = await trader.call("POST", "/paper/take", body)
        assert (status, answer["settlementId"] is not None) == (200, True)
        truth = (await trader.truth())["orders"][0]
        assert (truth["matched"], truth["resting"]) == (str(20 * WEI), True)


async def test_paused_traders_leave_the_market_alone(start: Start) -> None:
    async with start(traders=True, taker_every_s=0.01) as venue:

        async def trading() -> bool:
            return bool((await control(venue))["trades"] > 3)

        await until(trading, seconds=10)
        before = await control(venue, running=False)
        await asyncio.sleep(0.2)
        assert (await control(venue))["trades"] == before["trades"]
        await control(venue, running=True)

        async def more() -> bool:
            return bool((await control(venue))["trades"] > before["trades"])

        await until(more)


async def test_closed_simulated_orders_are_forgotten(start: Start) -> None:
    async with start(traders=True, taker_every_s=0) as venue:
        state = venue.app[VENUE].state

        async def open_books() -> bool:
            return len(state.orders) >= 90

        await until(open_books)
        await control(venue, trade_now=50)

        async def settled() -> bool:
            return all(m.state == "settled" for m in state.matches.values())

        await until(settled)
        assert all(order.status == "OPEN" for order in state.orders.values())
        assert len(state.hashes) == len(state.orders)
        assert check_conservation(state) == []
