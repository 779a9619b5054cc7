"""Faults on request: what the venue does to a client that must survive it."""

import asyncio

import aiohttp
import pytest

from paper.predict.gate import VENUE
from tests.paper.desk import Running, Start, Trader, until
from tests.paper.feed import open_feed


async def lost_post(trader: Trader) -> str:
    """Post an order whose answer never comes; its hash."""
    body = await trader.body(9001, "buy", "yes", "0.46", "10")
    with pytest.raises(aiohttp.ClientError):
        await trader.call("POST", "/v1/orders", body)
    return str(body["data"]["order"]["hash"])


async def test_timeout_before_leaves_no_order(venue: Running) -> None:
    trader = await venue.trader(1)
    await venue.faults({"kind": "timeout_before_accept", "count": 1})
    lost = await lost_post(trader)
    assert (await trader.call("GET", f"/v1/orders/{lost}"))[0] == 404
    assert (await trader.truth())["orders"] == []
    await trader.accepted(9001, "buy", "yes", "0.46", "10")


async def test_timeout_after_leaves_the_order(venue: Running) -> None:
    trader = await venue.trader(1)
    await venue.faults({"kind": "timeout_after_accept", "count": 1})
    lost = await lost_post(trader)
    assert (await trader.order(lost))["status"] == "OPEN"


@pytest.mark.parametrize(("kind", "status"), [("http_429", 429), ("http_5xx", 503)])
async def test_http_faults_answer_without_effect(venue: Running, kind: str, status: int) -> None:
    trader = await venue.trader(1)
    await venue.faults({"kind": kind, "count": 1})
    assert (await trader.place(9001, "buy", "yes", "0.46", "10"))[0] == status
    assert (await trader.truth())["orders"] == []
    assert (await trader.place(9001, "buy", "yes", "0.46", "10"))[0] == 201


async def test_fault_strikes_only_its_address(venue: Running) -> None:
    victim, other = await venue.trader(1), await venue.trader(2)
    await venue.faults({"kind": "http_5xx", "address": victim.address})
    assert (await victim.place(9001, "buy", "yes", "0.40", "10"))[0] == 503
    assert (await other.place(9001, "buy", "yes", "0.40", "10"))[0] == 201


async def test_latency_delays_the_answer(venue: Running) -> None:
    trader = await venue.trader(1)
    await venue.faults({"kind": "latency_ms", "ms": 150})
    started = asyncio.get_running_loop().time()
    await trader.accepted(9001, "buy", "yes", "0.46", "10")
    assert asyncio.get_running_loop().time() - started >= 0.15


async def test_failed_settlement_invalidates_both_orders(venue: Running) -> None:
    maker, taker = await venue.trader(1), await venue.trader(2)
    await venue.faults({"kind": "fail_settlement", "count": 1})
    async with open_feed(venue) as feed:
        await feed.ask("subscribe", f"predictWalletEvents/{maker.token}")
        first = await maker.accepted(9001, "buy", "yes", "0.46", "10")
        second = await taker.accepted(9001, "buy", "no", "0.54", "10")
        await feed.expect(3)
        assert feed.of("predictWalletEvents")[2]["type"] == "orderTransactionFailed"
    for trader, placed in ((maker, first), (taker, second)):
        shown = await trader.order(placed["orderHash"])
        assert (shown["status"], shown["amountFilled"]) == ("INVALIDATED", "0")
        assert (await trader.truth())["conservation"] == []
    assert (await maker.call("GET", "/v1/orders/matches"))[1]["data"] == []
    assert (await maker.truth())["matches"][0]["state"] == "failed"


@pytest.mark.parametrize(
    ("kind", "heard"),
    [("drop_events", []), ("duplicate_events", ["orderAccepted", "orderAccepted"])],
)
async def test_wallet_events_are_lost_or_repeated(venue: Running, kind: str, heard: list[str]) -> None:
    trader = await venue.trader(1)
    await venue.faults({"kind": kind})
    async with open_feed(venue) as feed:
        await feed.ask("subscribe", f"predictWalletEvents/{trader.token}")
        await trader.accepted(9001, "buy", "yes", "0.46", "10")
        await asyncio.sleep(0.1)
        assert [event["type"] for event in feed.of("predictWalletEvents")] == heard


async def test_wallet_events_change_places(venue: Running) -> None:
    trader = await venue.trader(1)
    await venue.faults({"kind": "reorder_events", "count": 1, "ms": 80})
    async with open_feed(venue) as feed:
        await feed.ask("subscribe", f"predictWalletEvents/{trader.token}")
        placed = await trader.accepted(9001, "buy", "yes", "0.46", "10")
        await trader.call("POST", "/v1/orders/remove", {"data": {"ids": [placed["orderId"]]}})
        await feed.expect(2)
        types = [event["type"] for event in feed.of("predictWalletEvents")]
        assert types == ["orderCancelled", "orderAccepted"]


async def test_silent_socket_stays_open_and_mute(venue: Running) -> None:
    trader = await venue.trader(1)
    async with open_feed(venue) as feed:
        await feed.ask("subscribe", f"predictWalletEvents/{trader.token}")
        await venue.faults({"kind": "ws_silence"})
        await trader.accepted(9001, "buy", "yes", "0.46", "10")
        await asyncio.sleep(0.1)
        assert (feed.pushes, feed.closed) == ([], None)
        await venue.faults()
        await trader.accepted(9001, "buy", "yes", "0.45", "10")
        await feed.expect(1)


async def test_status_lag_shows_old_orders(venue: Running) -> None:
    maker, taker = await venue.trader(1), await venue.trader(2)
    await venue.faults({"kind": "status_lag_ms", "ms": 400})
    placed = await maker.accepted(9001, "buy", "yes", "0.46", "10")
    await taker.accepted(9001, "buy", "no", "0.54", "10")

    async def settled() -> bool:
        return bool((await maker.truth())["orders"][0]["status"] == "FILLED")

    await until(settled)
    shown = await maker.order(placed["orderHash"])
    assert (shown["status"], shown["amountFilled"]) == ("OPEN", "0")
    await asyncio.sleep(0.45)
    assert (await maker.order(placed["orderHash"]))["status"] == "FILLED"


async def test_unknown_fault_is_refused(venue: Running) -> None:
    trader = await venue.trader(1)
    status, _ = await trader.call("POST", "/paper/faults", {"rules": [{"kind": "earthquake"}]})
    assert status == 400
    assert (await trader.call("GET", "/paper/faults"))[1] == {"rules": []}


async def test_taking_order_is_filled_in_parts(venue: Running) -> None:
    maker, taker = await venue.trader(1), await venue.trader(2)
    await maker.accepted(9001, "buy", "yes", "0.46", "10")
    await venue.faults({"kind": "partial_fills", "ms": 60})
    placed = await taker.accepted(9001, "buy", "no", "0.54", "10")
    assert [match["size"] for match in (await taker.truth())["matches"]] == [str(5 * 10**18)]

    async def filled() -> bool:
        return bool((await taker.order(placed["orderHash"]))["status"] == "FILLED")

    await until(filled)
    truth = await taker.truth()
    assert len(truth["matches"]) == 2
    assert truth["conservation"] == []


async def test_post_only_order_is_taken_and_cancelled(venue: Running) -> None:
    trader = await venue.trader(1)
    await venue.faults({"kind": "post_only_cancel", "count": 1})
    body = await trader.body(9001, "buy", "yes", "0.46", "10")
    body["data"]["isPostOnly"] = True
    status, said = await trader.call("POST", "/v1/orders", body)
    assert status == 201
    assert (await trader.order(said["data"]["orderHash"]))["status"] == "CANCELLED"
    assert (await trader.truth())["conservation"] == []


async def test_skewed_clock_never_runs_back(venue: Running) -> None:
    clock = venue.app[VENUE].now_ms
    before = clock()
    await venue.faults({"kind": "clock_skew_ms", "ms": 60_000})
    ahead = clock()
    assert ahead - before >= 60_000
    await venue.faults({"kind": "clock_skew_ms", "ms": -60_000})
    assert clock() == ahead


async def test_faults_outlive_the_venue(start: Start) -> None:
    async with start() as venue:
        trader = await venue.trader(1)
        await venue.faults({"kind": "http_5xx", "count": 2})
        assert (await trader.place(9001, "buy", "yes", "0.46", "10"))[0] == 503
    async with start() as venue:
        trader = await venue.trader(1)
        statuses = [(await trader.place(9001, "buy", "yes", "0.46", "10"))[0] for _ in range(2)]
        assert statuses == [503, 201]
