"""What every venue adapter must do, numbered. Runs each against its paper venue on a real socket."""

import asyncio
import time
from decimal import Decimal

import pytest

from tests.contracts.venue import Venue
from trading.enums import Action, Liquidity, MarketStatus, OrderStatus, OrderType, Outcome
from trading.errors import NotFound, Rejected, UnknownOutcome
from venues.contract import WalletEventKind

K = WalletEventKind
YES, NO, BUY, SELL = Outcome.YES, Outcome.NO, Action.BUY, Action.SELL


async def test_01_markets_are_listed_with_what_orders_need(venue: Venue) -> None:
    made = await venue.new_market()
    data = venue.market_data()
    try:
        listed = {market.market_id: market async for market in data.fetch_markets()}
        assert listed[made.market_id] == made == await data.fetch_market(made.market_id)
        assert made.status is MarketStatus.OPEN
        assert made.yes_token != made.no_token
        assert made.ends_at_ms is not None
        assert made.min_size % made.lot == 0
        with pytest.raises(NotFound):
            await data.fetch_market("999999999")
    finally:
        await data.close()


async def test_02_submitted_order_rests_and_is_found_by_hash(venue: Venue) -> None:
    desk = await venue.open_desk()
    before = time.time_ns()
    order = desk.order(YES, BUY, "0.40", "10")
    taken = await desk.client.submit(order)
    assert taken.order_hash == order.order_hash
    assert taken.venue_order_id
    assert not taken.duplicate
    assert before < taken.sent_at_ns < taken.answered_at_ns < time.time_ns()
    state = await desk.client.fetch_order(order.order_hash)
    assert (state.status, state.size, state.filled) == (OrderStatus.ACCEPTED, 10, 0)
    assert state.market_id == desk.market.market_id
    assert [s.order_hash for s in await desk.client.fetch_open_orders()] == [order.order_hash]


async def test_03_same_bytes_twice_are_one_order(venue: Venue) -> None:
    desk = await venue.open_desk()
    order = desk.order(YES, BUY, "0.40", "10")
    await desk.client.submit(order)
    again = await desk.client.submit(order)
    assert again.duplicate
    assert again.order_hash == order.order_hash
    assert len(await desk.client.fetch_open_orders()) == 1


async def test_04_an_order_beyond_the_funds_is_rejected(venue: Venue) -> None:
    desk = await venue.open_desk(funds="5")
    with pytest.raises(Rejected):
        await desk.client.submit(desk.order(YES, BUY, "0.60", "100"))
    with pytest.raises(Rejected):
        await desk.client.submit(desk.order(YES, SELL, "0.60", "10"))
    assert await desk.client.fetch_open_orders() == []


async def test_05_cancelled_order_leaves_the_book(venue: Venue) -> None:
    desk = await venue.open_desk()
    orders = [desk.order(YES, BUY, f"0.{cents}", "10") for cents in (31, 32, 33)]
    for order in orders:
        await desk.client.submit(order)
    hashes = [order.order_hash for order in orders]
    answer = await desk.client.cancel(hashes[:2])
    assert answer.cancelled == set(hashes[:2])
    assert not answer.gone
    assert not answer.refused
    assert (await desk.client.cancel(hashes[:1])).gone == {hashes[0]}
    assert (await desk.client.fetch_order(hashes[0])).status is OrderStatus.CANCELLED
    assert [s.order_hash for s in await desk.client.fetch_open_orders()] == [hashes[2]]


async def test_06_one_unknown_hash_does_not_save_the_others(venue: Venue) -> None:
    desk = await venue.open_desk()
    order = desk.order(YES, BUY, "0.30", "10")
    await desk.client.submit(order)
    never_sent = desk.order(YES, BUY, "0.30", "11").order_hash
    answer = await desk.client.cancel([never_sent, order.order_hash])
    assert answer.cancelled == {order.order_hash}
    assert answer.refused == {never_sent}


async def test_07_unknown_order_is_not_found(venue: Venue) -> None:
    desk = await venue.open_desk()
    with pytest.raises(NotFound):
        await desk.client.fetch_order(desk.order(YES, BUY, "0.40", "10").order_hash)


async def test_08_matched_order_streams_accepted_matched_settled(venue: Venue) -> None:
    maker, taker = await venue.open_desk(), await venue.open_desk()
    await maker.watch()
    await taker.watch()
    resting = maker.order(YES, BUY, "0.40", "10")
    await maker.client.submit(resting)
    await taker.client.submit(taker.order(NO, BUY, "0.65", "4"))
    settled = await maker.wait_for(K.SETTLED)
    kinds = [event.kind for event in maker.told]
    assert kinds == [K.CONNECTED, K.ACCEPTED, K.MATCHED, K.SETTLED]
    matched = await maker.wait_for(K.MATCHED)
    assert matched.trade_id == settled.trade_id != ""
    assert matched.order_hash == resting.order_hash
    assert (matched.outcome, matched.action, matched.price, matched.size) == (YES, BUY, Decimal("0.4"), 4)
    assert matched.received_at_ns < settled.received_at_ns <= time.time_ns()
    assert (settled.liquidity, settled.fee) == (Liquidity.MAKER, 0)
    other = await taker.wait_for(K.SETTLED)
    assert (other.outcome, other.action, other.price, other.size) == (NO, BUY, Decimal("0.6"), 4)
    assert other.liquidity is Liquidity.TAKER
    assert other.fee is not None
    assert other.fee > 0


async def test_09_rest_fills_say_what_the_stream_said(venue: Venue) -> None:
    maker, taker = await venue.open_desk(), await venue.open_desk()
    for desk in (maker, taker):
        await desk.watch()
    since_ms = int(time.time() * 1000)
    await maker.client.submit(maker.order(YES, BUY, "0.40", "3"))
    await maker.client.submit(maker.order(YES, BUY, "0.39", "3"))
    await taker.client.submit(taker.order(NO, BUY, "0.65", "5"))
    await maker.wait_for(K.SETTLED, 2)
    await taker.wait_for(K.SETTLED)
    for desk, count in ((maker, 2), (taker, 1)):
        fills = {fill.trade_id: fill for fill in await desk.client.fetch_fills(since_ms)}
        told = {event.trade_id: event for event in desk.told if event.kind is K.SETTLED}
        assert fills.keys() == told.keys()
        assert len(fills) == count
        for trade_id, fill in fills.items():
            event = told[trade_id]
            assert (fill.order_hash, fill.market_id) == (event.order_hash, event.market_id)
            assert (fill.outcome, fill.action, fill.price, fill.size) == (
                event.outcome,
                event.action,
                event.price,
                event.size,
            )
            assert (fill.liquidity, fill.fee, fill.fee_kind) == (event.liquidity, event.fee, event.fee_kind)
    ordered = await maker.client.fetch_fills(since_ms)
    assert [fill.price for fill in ordered] == [Decimal("0.4"), Decimal("0.39")] or len(
        {fill.settlement_id for fill in ordered}
    ) == 1
    assert await maker.client.fetch_fills(since_ms + 60_000) == []


async def test_10_positions_and_balance_follow_the_fill(venue: Venue) -> None:
    maker, taker = await venue.open_desk("100"), await venue.open_desk("100")
    await maker.watch()
    resting = maker.order(YES, BUY, "0.40", "10")
    await maker.client.submit(resting)
    held = await maker.client.fetch_balance()
    assert (held.total, held.reserved) == (100, 4)
    await taker.client.submit(taker.order(NO, BUY, "0.60", "4"))
    await maker.wait_for(K.SETTLED)
    balance = await maker.client.fetch_balance()
    assert (balance.total, balance.reserved) == (Decimal("98.4"), Decimal("2.4"))
    (position,) = await maker.client.fetch_positions()
    assert (position.market_id, position.outcome, position.size) == (maker.market.market_id, YES, 4)
    state = await maker.client.fetch_order(resting.order_hash)
    assert (state.status, state.filled) == (OrderStatus.PARTIALLY_FILLED, 4)


async def test_11_market_order_takes_and_never_rests(venue: Venue) -> None:
    maker, taker = await venue.open_desk(), await venue.open_desk()
    await taker.watch()
    await maker.client.submit(maker.order(NO, BUY, "0.55", "5"))
    await taker.client.submit(taker.order(YES, BUY, "0.50", "8", OrderType.MARKET))
    settled = await taker.wait_for(K.SETTLED)
    assert (settled.price, settled.size) == (Decimal("0.45"), 5)
    assert await taker.client.fetch_open_orders() == []


async def test_12_book_is_told_in_yes_prices(venue: Venue) -> None:
    desk = await venue.open_desk()
    data = venue.market_data()
    try:
        await desk.client.submit(desk.order(YES, BUY, "0.37", "12.34"))
        await desk.client.submit(desk.order(NO, BUY, "0.42", "7"))
        await asyncio.sleep(0.1)
        book = await data.fetch_book(desk.market.market_id)
        assert [(level.price, level.size) for level in book.bids] == [(Decimal("0.37"), Decimal("12.34"))]
        assert [(level.price, level.size) for level in book.asks] == [(Decimal("0.58"), 7)]
    finally:
        await data.close()


async def test_13_dropped_stream_reconnects_and_says_so(venue: Venue) -> None:
    desk = await venue.open_desk()
    await desk.watch()
    await venue.drop_streams()
    await desk.wait_for(K.CONNECTED, 2)
    await desk.client.submit(desk.order(YES, BUY, "0.40", "10"))
    await desk.wait_for(K.ACCEPTED)


async def test_14_drained_stream_misses_and_doubles_nothing(venue: Venue) -> None:
    desk = await venue.open_desk()
    await desk.watch()
    await venue.drain_streams()
    sent = []
    for cents in range(20, 32):
        order = desk.order(YES, BUY, f"0.{cents}", "10")
        await desk.client.submit(order)
        sent.append(order.order_hash)
        await asyncio.sleep(0.1)
    await desk.wait_for(K.ACCEPTED, len(sent))
    assert [event.order_hash for event in desk.told if event.kind is K.ACCEPTED] == sent
    assert K.DISCONNECTED not in [event.kind for event in desk.told]
    assert len([event for event in desk.told if event.kind is K.CONNECTED]) == 2


async def test_15_heartbeats_keep_a_quiet_stream_alive(venue: Venue) -> None:
    desk = await venue.open_desk()
    await desk.watch()
    await asyncio.sleep(1.8)  # more than three of this venue's heartbeats
    assert [event.kind for event in desk.told] == [K.CONNECTED]


async def test_16_closed_client_ends_its_stream(venue: Venue) -> None:
    desk = await venue.open_desk()
    await desk.watch()
    await desk.close()
    assert desk._watch is not None
    assert desk._watch.done()


async def test_17_lost_answer_is_unknown_and_the_order_is_found(venue: Venue) -> None:
    desk = await venue.open_desk()
    order = desk.order(YES, BUY, "0.40", "10")
    await venue.lose_next_answer(desk)
    with pytest.raises(UnknownOutcome):
        await desk.client.submit(order)
    assert (await desk.client.fetch_order(order.order_hash)).status is OrderStatus.ACCEPTED
    assert (await desk.client.submit(order)).duplicate
    assert len(await desk.client.fetch_open_orders()) == 1


async def test_18_lost_request_is_unknown_and_may_be_sent_again(venue: Venue) -> None:
    desk = await venue.open_desk()
    order = desk.order(YES, BUY, "0.40", "10")
    await venue.lose_next_request(desk)
    with pytest.raises(UnknownOutcome):
        await desk.client.submit(order)
    with pytest.raises(NotFound):
        await desk.client.fetch_order(order.order_hash)
    assert not (await desk.client.submit(order)).duplicate
    assert len(await desk.client.fetch_open_orders()) == 1


async def test_19_failed_settlement_takes_the_same_trade_back(venue: Venue) -> None:
    maker, taker = await venue.open_desk(), await venue.open_desk()
    await maker.watch()
    await maker.client.submit(maker.order(YES, BUY, "0.40", "10"))
    await venue.fail_next_settlement()
    await taker.client.submit(taker.order(NO, BUY, "0.60", "4"))
    failed = await maker.wait_for(K.SETTLEMENT_FAILED)
    matched = await maker.wait_for(K.MATCHED)
    assert failed.trade_id == matched.trade_id
    assert (failed.size, failed.outcome, failed.action) == (4, YES, BUY)
    assert await maker.client.fetch_fills(0) == []
    assert await maker.client.fetch_positions() == []
