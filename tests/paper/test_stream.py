"""The WebSocket: topics, snapshots, wallet events, heartbeat, drain."""

import asyncio

from tests.paper.desk import WEI, Running, Start, until
from tests.paper.feed import open_feed


async def test_wallet_events_tell_a_fill_in_order(venue: Running) -> None:
    maker, taker = await venue.trader(1), await venue.trader(2)
    async with open_feed(venue) as feed:
        topic = f"predictWalletEvents/{maker.token}"
        assert (await feed.ask("subscribe", topic))["success"] is True
        placed = await maker.accepted(9001, "buy", "yes", "0.46", "10")
        await taker.accepted(9001, "buy", "no", "0.54", "4")
        await feed.expect(3)
        assert {frame["topic"] for frame in feed.pushes} == {topic}
        accepted, submitted, success = feed.of("predictWalletEvents")
        assert accepted["type"] == "orderAccepted"
        assert (accepted["orderId"], accepted["orderHash"]) == (placed["orderId"], placed["orderHash"])
        assert accepted["walletAddress"] == maker.address
        assert accepted["details"] == {
            "marketId": 9001,
            "outcomeIndex": 1,
            "outcomeName": "Yes",
            "outcome": "YES",
            "marketQuestion": (await maker.market(9001))["question"],
            "categorySlug": "bitcoin-end-of-2027",
            "quoteType": "BID",
            "strategyType": "LIMIT",
            "quantity": "10.000",
            "quantityFilled": "0.000",
            "price": "0.460",
            "value": "4.60",
            "valueFilled": "0.00",
        }
        assert (submitted["type"], success["type"]) == (
            "orderTransactionSubmitted",
            "orderTransactionSuccess",
        )
        fill = {
            "executedPriceWei": str(46 * WEI // 100),
            "executedSizeWei": str(4 * WEI),
            "executedValueWei": str(184 * WEI // 100),
        }
        assert submitted["fill"] == success["fill"] == fill
        assert success["isMaker"] is True
        assert success["fee"] == {"amountWei": "0", "type": "SHARES"}
        _, answer = await maker.call("GET", "/v1/orders/matches")
        assert answer["data"][0]["settlementId"] == submitted["settlementId"] == success["settlementId"]


async def test_market_taker_hears_its_match_plan(venue: Running) -> None:
    maker, taker = await venue.trader(1), await venue.trader(2)
    await maker.accepted(9001, "buy", "yes", "0.46", "10")
    async with open_feed(venue) as feed:
        await feed.ask("subscribe", f"predictWalletEvents/{taker.token}")
        await taker.accepted(9001, "buy", "no", "0.54", "10", strategy="MARKET")
        await feed.expect(4)
        events = feed.of("predictWalletEvents")
        assert [event["type"] for event in events] == [
            "orderAccepted",
            "orderMarketMatchPlan",
            "orderTransactionSubmitted",
            "orderTransactionSuccess",
        ]
        assert events[3]["isMaker"] is False
        fee = 2 * 46 * 10 * WEI // (100 * 54)
        assert events[3]["fee"] == {"amountWei": str(fee), "type": "SHARES"}


async def test_cancel_is_heard_but_not_by_others(venue: Running) -> None:
    trader, other = await venue.trader(1), await venue.trader(2)
    async with open_feed(venue) as feed, open_feed(venue) as elsewhere:
        await feed.ask("subscribe", f"predictWalletEvents/{trader.token}")
        await elsewhere.ask("subscribe", f"predictWalletEvents/{other.token}")
        placed = await trader.accepted(9001, "buy", "yes", "0.46", "10")
        await trader.call("POST", "/v1/orders/remove", {"data": {"ids": [placed["orderId"]]}})
        await feed.expect(2)
        assert feed.of("predictWalletEvents")[1]["type"] == "orderCancelled"
        assert elsewhere.pushes == []


async def test_false_token_is_refused(venue: Running) -> None:
    async with open_feed(venue) as feed:
        answer = await feed.ask("subscribe", "predictWalletEvents/false")
        assert (answer["success"], answer["error"]["code"]) == (False, "invalid_credentials")
        answer = await feed.ask("subscribe", "nonsense/1")
        assert answer["error"]["code"] == "invalid_topic"


async def test_only_the_first_topic_counts(venue: Running) -> None:
    trader = await venue.trader(1)
    async with open_feed(venue) as feed:
        await feed.ask("subscribe", "predictOrderbook/9001", "predictOrderbook/9002")
        await feed.expect(1)
        await trader.accepted(9002, "buy", "yes", "0.46", "10")
        await trader.accepted(9001, "buy", "yes", "0.46", "10")
        await feed.expect(2)
        await asyncio.sleep(0.1)
        assert {frame["topic"] for frame in feed.pushes} == {"predictOrderbook/9001"}


async def test_book_snapshot_comes_at_once_and_conflated(venue: Running) -> None:
    trader = await venue.trader(1, usdt=100_000)
    async with open_feed(venue) as feed:
        await feed.ask("subscribe", "predictOrderbook/9001")
        first = (await feed.expect(1))[0]["data"]
        assert (first["bids"], first["orderCount"], first["version"]) == ([], 0, 1)
        for number in range(20):
            await trader.accepted(9001, "buy", "yes", f"0.{10 + number}", "10")

        async def complete() -> bool:
            return bool(feed.pushes[-1]["data"]["orderCount"] == 20)

        await until(complete)
        assert len(feed.pushes) < 12
        last = feed.pushes[-1]["data"]
        assert last["bids"][0] == [0.29, 10.0]
        assert last["settlementsPending"] == {"asks": [], "bids": []}
        await feed.ask("unsubscribe", "predictOrderbook/9001")
        heard = len(feed.pushes)
        await trader.accepted(9001, "buy", "yes", "0.40", "10")
        await asyncio.sleep(0.12)
        assert len(feed.pushes) == heard


async def test_pending_settlements_show_in_the_book(start: Start) -> None:
    async with start(settlement_delay_ms=400) as venue:
        maker, taker = await venue.trader(1), await venue.trader(2)
        await maker.accepted(9001, "buy", "yes", "0.46", "10")
        await taker.accepted(9001, "buy", "no", "0.54", "4")
        async with open_feed(venue) as feed:
            await feed.ask("subscribe", "predictOrderbook/9001")
            book = (await feed.expect(1))[0]["data"]
            assert book["bids"] == [[0.46, 6.0]]
            assert book["settlementsPending"] == {"asks": [], "bids": [[0.46, 4.0]]}


async def test_status_topics_follow_the_market(venue: Running) -> None:
    trader = await venue.trader(1)
    async with open_feed(venue) as feed:
        await feed.ask("subscribe", "predictTradingStatus/9001")
        await feed.ask("subscribe", "predictMarketStatus/9001")
        await feed.expect(2)
        await trader.call("POST", "/paper/resolve", {"market_id": 9001, "payout": "0.5"})
        await feed.expect(4)
        assert [d["tradingStatus"] for d in feed.of("predictTradingStatus")] == ["OPEN", "CLOSED"]
        status = feed.of("predictMarketStatus")[-1]
        assert (status["kind"], status["status"]) == ("marketStatusUpdate", "RESOLVED")
        assert [o["price"] for o in status["marketOutcomes"]] == [0.5, 0.5]


async def test_missed_echo_closes_the_socket(start: Start) -> None:
    async with start(heartbeat_s=0.1) as venue, open_feed(venue, echo=False) as silent, open_feed(venue) as polite:

        async def closed() -> bool:
            return silent.closed is not None

        async def goes_on() -> bool:
            return polite.beats >= 2

        await until(closed)
        assert (silent.closed, silent.beats) == (1000, 1)
        await until(goes_on)
        assert polite.closed is None


async def test_drain_announces_then_closes(venue: Running) -> None:
    async with open_feed(venue) as feed:
        await feed.ask("subscribe", "predictOrderbook/9001")
        await venue.faults({"kind": "ws_drain", "ms": 100, "count": 1})
        await feed.expect(2)
        assert feed.pushes[1]["data"] == {"graceMs": 100}

        async def closed() -> bool:
            return feed.closed is not None

        await until(closed)
        assert feed.closed == 1001
