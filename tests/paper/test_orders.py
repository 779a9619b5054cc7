"""Orders over REST: what is taken, what is refused and with which slug, and how orders end."""

from typing import Any

import pytest

from tests.paper.desk import WEI, Running, Start, until


@pytest.mark.parametrize(
    ("changes", "slug"),
    [
        ({"price": "0.461"}, "create_order_invalid_decimal_value"),
        ({"price": "0"}, "create_order_price_field_zero"),
        ({"price": "1"}, "create_order_price_out_of_range"),
        ({"size": "1"}, "create_order_min_order_value_not_met"),
        ({"fee": 100}, "create_order_fee_rate_too_low"),
        ({"expiration": 1_700_000_000}, "create_order_expiry_too_soon"),
        ({"isFillOrKill": True}, "create_order_fill_or_kill_not_supported"),
        (
            {"reservedBalancePolicy": "SKIP_RESERVED_BALANCE_CHECKS"},
            "create_order_reserved_balance_policy_invalid",
        ),
        ({"size": "100000"}, "create_order_insufficient_collateral_balance"),
        ({"action": "sell"}, "create_order_insufficient_shares_balance"),
    ],
)
async def test_bad_order_gets_its_slug(venue: Running, changes: dict[str, Any], slug: str) -> None:
    trader = await venue.trader(1)
    order = {"action": "buy", "outcome": "yes", "price": "0.46", "size": "10", **changes}
    status, answer = await trader.place(9001, **order)
    assert (status, answer["error"]) == (400, slug)
    assert (await trader.truth())["orders"] == []


@pytest.mark.parametrize("body", [b"{", b'{"data":{}}', b"{}x", b"\xff"])
async def test_unreadable_body_is_a_bad_request(venue: Running, body: bytes) -> None:
    trader = await venue.trader(1)
    headers = {"Authorization": f"Bearer {trader.token}"}
    async with venue.session.post(venue.base + "/v1/orders", data=body, headers=headers) as answer:
        assert (answer.status, (await answer.json())["error"]) == (400, "bad_request")


async def test_side_as_text_is_a_bad_request(venue: Running) -> None:
    trader = await venue.trader(1)
    body = await trader.body(9001, "buy", "yes", "0.46", "10")
    body["data"]["order"]["side"] = "0"
    status, answer = await trader.call("POST", "/v1/orders", body)
    assert (status, answer["error"]) == (400, "bad_request")


async def test_price_as_number_is_coerced(venue: Running) -> None:
    trader = await venue.trader(1)
    body = await trader.body(9001, "buy", "yes", "0.46", "10", unknownField=1)
    body["data"]["pricePerShare"] = int(body["data"]["pricePerShare"])
    assert (await trader.call("POST", "/v1/orders", body))[0] == 201


async def test_wrong_exchange_domain_mismatches_hash(venue: Running) -> None:
    trader = await venue.trader(1)
    (await trader.market(9001))["isNegRisk"] = True
    status, answer = await trader.place(9001, "buy", "yes", "0.46", "10")
    assert (status, answer["error"]) == (400, "create_order_hash_mismatch")


async def test_neg_risk_and_yield_markets_take_orders(venue: Running) -> None:
    trader = await venue.trader(1)
    for market_id in (9005, 9006):
        await trader.accepted(market_id, "buy", "no", "0.46", "10")


async def test_three_decimal_market_takes_fine_price(venue: Running) -> None:
    trader = await venue.trader(1)
    await trader.accepted(9007, "buy", "yes", "0.085", "100")


async def test_order_of_another_wallet_is_refused(venue: Running) -> None:
    trader, other = await venue.trader(1), await venue.trader(2)
    body = await trader.body(9001, "buy", "yes", "0.46", "10")
    status, answer = await other.call("POST", "/v1/orders", body)
    assert (status, answer["error"]) == (401, "unauthorized")


async def test_same_body_twice_is_one_order(venue: Running) -> None:
    trader = await venue.trader(1)
    body = await trader.body(9001, "buy", "yes", "0.46", "10")
    status, answer = await trader.call("POST", "/v1/orders", body)
    assert (status, answer["data"]["code"], answer["data"]["removalLockedUntil"]) == (201, "OK", None)
    assert answer["data"]["orderId"].isdigit()
    for _ in range(2):
        status, again = await trader.call("POST", "/v1/orders", body)
        assert (status, again["error"]) == (400, "create_order_duplicate_order")
    truth = await trader.truth()
    assert truth["accepted"] == {answer["data"]["orderHash"]: 1}
    assert truth["duplicatePostCount"] == 2


async def test_open_orders_reserve_their_collateral(venue: Running) -> None:
    trader = await venue.trader(1, usdt=10)
    placed = await trader.accepted(9001, "buy", "yes", "0.46", "20")
    query = {"assets": [{"type": "USDT"}]}
    _, answer = await trader.call("POST", "/v1/account/reserved-balances/query", query)
    assert answer["data"] == [{"type": "USDT", "amount": str(92 * WEI // 10)}]
    status, answer = await trader.place(9001, "buy", "yes", "0.45", "10")
    assert (status, answer["error"]) == (400, "create_order_insufficient_collateral_balance")
    await trader.call("POST", "/v1/orders/remove", {"data": {"ids": [placed["orderId"]]}})
    _, answer = await trader.call("POST", "/v1/account/reserved-balances/query", query)
    assert answer["data"][0]["amount"] == "0"


async def test_removal_says_removed_then_noop(venue: Running) -> None:
    trader, other = await venue.trader(1), await venue.trader(2)
    placed = await trader.accepted(9001, "buy", "yes", "0.46", "10")
    body = {"data": {"hashes": [placed["orderHash"]]}}
    status, answer = await other.call("POST", "/v1/orders/remove-by-hash", body)
    assert (status, answer["error"]) == (401, "unauthorized")
    _, answer = await trader.call("POST", "/v1/orders/remove-by-hash", body)
    assert answer == {"success": True, "removed": [placed["orderHash"]], "noop": [], "rejected": []}
    _, answer = await trader.call("POST", "/v1/orders/remove", {"data": {"ids": [int(placed["orderId"])]}})
    assert answer["noop"] == [placed["orderId"]]
    assert (await trader.order(placed["orderHash"]))["status"] == "CANCELLED"
    status, _ = await trader.call("POST", "/v1/orders/remove-by-hash", {"data": {"hashes": ["0x" + "9" * 64]}})
    assert status == 401
    assert (await trader.call("POST", "/v1/orders/remove", {"data": {"ids": [1] * 101}}))[0] == 400


async def test_crossing_post_only_is_taken_then_cancelled(venue: Running) -> None:
    maker, taker = await venue.trader(1), await venue.trader(2)
    await maker.accepted(9001, "buy", "yes", "0.46", "10")
    crossing = await taker.accepted(9001, "buy", "no", "0.54", "10", isPostOnly=True)
    resting = await taker.accepted(9001, "buy", "no", "0.53", "10", isPostOnly=True)
    assert (await taker.order(crossing["orderHash"]))["status"] == "CANCELLED"
    assert (await taker.order(resting["orderHash"]))["status"] == "OPEN"
    assert (await taker.truth())["matches"] == []


async def test_market_order_never_rests(venue: Running) -> None:
    maker, taker = await venue.trader(1), await venue.trader(2)
    await maker.accepted(9001, "buy", "yes", "0.46", "10")
    part = await taker.accepted(9001, "buy", "no", "0.54", "25", strategy="MARKET")
    nothing = await taker.accepted(9001, "buy", "no", "0.54", "25", strategy="MARKET")
    assert (await taker.order(nothing["orderHash"]))["status"] == "CANCELLED"

    async def filled() -> bool:
        return bool((await taker.order(part["orderHash"]))["status"] == "FILLED")

    await until(filled)
    assert (await taker.order(part["orderHash"]))["amountFilled"] == str(10 * WEI)
    _, answer = await taker.call("GET", "/v1/markets/9001/orderbook")
    assert (answer["data"]["asks"], answer["data"]["bids"]) == ([], [])
    assert (await taker.truth())["accounts"][0]["reservedUsdt"] == "0"


async def test_fill_or_kill_takes_all_or_nothing(venue: Running) -> None:
    maker, taker = await venue.trader(1), await venue.trader(2)
    await maker.accepted(9001, "buy", "yes", "0.46", "10")
    options = {"strategy": "MARKET", "isFillOrKill": True}
    killed = await taker.accepted(9001, "buy", "no", "0.54", "11", **options)
    assert (await taker.order(killed["orderHash"]))["status"] == "CANCELLED"
    assert (await taker.truth())["matches"] == []
    await taker.accepted(9001, "buy", "no", "0.54", "10", **options)
    assert (await taker.truth())["matches"][0]["size"] == str(10 * WEI)


@pytest.mark.parametrize(
    ("policy", "resting", "arriving"),
    [
        ("CANCEL_MAKER", "CANCELLED", "OPEN"),
        ("CANCEL_TAKER", "OPEN", "CANCELLED"),
        ("CANCEL_BOTH", "CANCELLED", "CANCELLED"),
    ],
)
async def test_own_orders_never_trade(venue: Running, policy: str, resting: str, arriving: str) -> None:
    trader = await venue.trader(1)
    first = await trader.accepted(9001, "buy", "yes", "0.46", "10")
    second = await trader.accepted(9001, "buy", "no", "0.54", "10", selfTradePrevention=policy)
    assert (await trader.order(first["orderHash"]))["status"] == resting
    assert (await trader.order(second["orderHash"]))["status"] == arriving
    assert (await trader.truth())["matches"] == []


async def test_order_shows_filled_only_when_settled(start: Start) -> None:
    async with start(settlement_delay_ms=250) as venue:
        maker, taker = await venue.trader(1), await venue.trader(2)
        placed = await maker.accepted(9001, "buy", "yes", "0.46", "10")
        await taker.accepted(9001, "buy", "no", "0.54", "10")
        shown = await maker.order(placed["orderHash"])
        assert (shown["status"], shown["amountFilled"]) == ("OPEN", "0")
        assert (await maker.call("GET", "/v1/orders/matches"))[1]["data"] == []
        assert (await maker.call("GET", "/v1/positions"))[1]["data"] == []
        body = {"data": {"ids": [placed["orderId"]]}}
        assert (await maker.call("POST", "/v1/orders/remove", body))[1]["noop"] == [placed["orderId"]]

        async def filled() -> bool:
            return bool((await maker.order(placed["orderHash"]))["status"] == "FILLED")

        await until(filled)
        matches = (await maker.call("GET", "/v1/orders/matches"))[1]["data"]
        positions = (await maker.call("GET", "/v1/positions"))[1]["data"]
        assert [m["amountFilled"] for m in matches] == [str(10 * WEI)]
        assert [p["amount"] for p in positions] == [str(10 * WEI)]


async def test_taker_delay_locks_removal(start: Start) -> None:
    async with start(taker_delay_ms=150, visibility_delay_ms=0) as venue:
        maker, taker = await venue.trader(1), await venue.trader(2)
        await maker.accepted(9001, "buy", "yes", "0.46", "10")
        placed = await taker.accepted(9001, "buy", "no", "0.54", "10")
        assert placed["removalLockedUntil"].endswith("Z")
        _, answer = await taker.call("POST", "/v1/orders/remove", {"data": {"ids": [placed["orderId"]]}})
        assert (answer["removed"], answer["noop"], answer["rejected"]) == ([], [], [placed["orderId"]])
        assert (await taker.truth())["matches"] == []

        async def matched() -> bool:
            return len((await taker.truth())["matches"]) == 1

        await until(matched)


async def test_hash_is_unknown_until_visible(start: Start) -> None:
    async with start(visibility_delay_ms=200) as venue:
        trader = await venue.trader(1)
        placed = await trader.accepted(9001, "buy", "yes", "0.46", "10")
        assert (await trader.call("GET", f"/v1/orders/{placed['orderHash']}"))[0] == 404
        body = {"data": {"hashes": [placed["orderHash"]]}}
        status, answer = await trader.call("POST", "/v1/orders/remove-by-hash", body)
        assert (status, answer["message"]) == (401, "one or more orders do not belong to this wallet")


async def test_spending_past_reservations_drops_open_orders(venue: Running) -> None:
    maker, taker = await venue.trader(1), await venue.trader(2, usdt=10)
    await maker.accepted(9001, "buy", "yes", "0.46", "10")
    open_order = await taker.accepted(9002, "buy", "yes", "0.50", "18")
    market = {"strategy": "MARKET"}
    status, answer = await taker.place(9001, "buy", "no", "0.54", "10", **market)
    assert (status, answer["error"]) == (400, "create_order_insufficient_collateral_balance")
    market["reservedBalancePolicy"] = "SKIP_RESERVED_BALANCE_CHECKS"
    await taker.accepted(9001, "buy", "no", "0.54", "10", **market)
    assert (await taker.order(open_order["orderHash"]))["status"] == "INVALIDATED"
    assert (await taker.truth())["conservation"] == []


async def test_order_pages_hold_together(venue: Running) -> None:
    trader = await venue.trader(1)
    placed = [await trader.accepted(9001, "buy", "yes", "0.10", "10") for _ in range(7)]
    seen, cursor = [], ""
    while True:
        _, answer = await trader.call("GET", f"/v1/orders?first=3&status=OPEN&after={cursor}")
        seen += [row["id"] for row in answer["data"]]
        cursor = answer["cursor"]
        if cursor is None:
            break
        await trader.accepted(9001, "buy", "yes", "0.10", "10")
    assert seen == [p["orderId"] for p in reversed(placed)]
