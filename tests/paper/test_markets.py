"""Market data, positions, the JSON-RPC view of balances and the control plane."""

from typing import Any

from eth_abi.abi import encode as abi_encode
from web3 import AsyncHTTPProvider, AsyncWeb3

from paper.predict.contracts import CONTRACTS
from tests.paper.desk import WEI, Running, Trader, fake_key, until


async def fill(venue: Running) -> tuple[Trader, Trader]:
    """Ten shares of 9001: one bought YES at 0.46 as maker, two bought NO."""
    one, two = await venue.trader(1), await venue.trader(2)
    await one.accepted(9001, "buy", "yes", "0.46", "10")
    await two.accepted(9001, "buy", "no", "0.54", "10")

    async def settled() -> bool:
        return bool((await one.call("GET", "/v1/positions"))[1]["data"])

    await until(settled)
    return one, two


async def test_market_has_the_documented_fields(venue: Running) -> None:
    trader = Trader(venue.base, venue.session, fake_key(1))
    _, answer = await trader.call("GET", "/v1/markets/9001?includeStats=true")
    market = answer["data"]
    documented = """id title question description imageUrl categorySlug createdAt status tradingStatus isVisible
        isNegRisk isYieldBearing feeRateBps makerFeeBps decimalPrecision conditionId oracleQuestionId resolverAddress
        questionIndex resolution outcomes marketVariant marketType variantData team spreadThreshold shareThreshold
        isBoosted boostStartsAt boostEndsAt polymarketConditionIds kalshiMarketTicker rewards stats"""
    assert set(market) == set(documented.split())
    assert [o["indexSet"] for o in market["outcomes"]] == [1, 2]
    assert all(o["onChainId"].isdigit() for o in market["outcomes"])
    assert (market["feeRateBps"], market["tradingStatus"]) == (200, "OPEN")


async def test_first_markets_cover_every_kind(venue: Running) -> None:
    trader = Trader(venue.base, venue.session, fake_key(1))
    rows: list[Any] = []
    cursor = ""
    while cursor is not None:
        _, answer = await trader.call("GET", f"/v1/markets?first=3&status=OPEN&after={cursor}")
        rows += answer["data"]
        cursor = answer["cursor"]
    assert len({row["id"] for row in rows}) == len(rows) == 8
    assert any(row["isNegRisk"] for row in rows)
    assert any(row["isYieldBearing"] for row in rows)
    assert {row["decimalPrecision"] for row in rows} == {2, 3}
    _, answer = await trader.call("GET", "/v1/categories?first=50")
    assert sorted(m["id"] for c in answer["data"] for m in c["markets"]) == sorted(row["id"] for row in rows)
    _, answer = await trader.call("GET", "/v1/search?query=bitcoin")
    assert {m["id"] for m in answer["data"]["markets"]} == {9001, 9003}


async def test_no_orders_rest_at_yes_prices(venue: Running) -> None:
    trader = await venue.trader(1)
    await trader.accepted(9001, "buy", "no", "0.50", "10")
    await trader.accepted(9001, "buy", "yes", "0.46", "20")
    _, answer = await trader.call("GET", "/v1/markets/9001/orderbook")
    book = answer["data"]
    assert (book["asks"], book["bids"], book["lastOrderSettled"]) == ([[0.5, 10.0]], [[0.46, 20.0]], None)
    _, answer = await trader.call("GET", "/v1/markets/9001")
    yes, no = answer["data"]["outcomes"]
    assert (yes["bestBid"], yes["bestAsk"]) == ({"price": 0.46, "size": 20.0}, {"price": 0.5, "size": 10.0})
    assert (no["bestBid"], no["bestAsk"]) == ({"price": 0.5, "size": 10.0}, {"price": 0.54, "size": 20.0})
    _, answer = await trader.call("GET", "/v1/markets/orderbooks?ids=9001&ids=9002")
    assert [b["marketId"] for b in answer["data"]] == [9001, 9002]


async def test_last_sale_and_match_feed_agree(venue: Running) -> None:
    one, two = await fill(venue)
    _, answer = await one.call("GET", "/v1/markets/9001/last-sale")
    assert answer["data"] == {
        "quoteType": "Bid",
        "outcome": "No",
        "priceInCurrency": str(54 * WEI // 100),
        "strategy": "LIMIT",
    }
    _, answer = await one.call("GET", "/v1/markets/9001/orderbook")
    assert answer["data"]["lastOrderSettled"]["price"] == "0.54"
    _, answer = await one.call("GET", f"/v1/orders/matches?signerAddress={one.address}")
    match = answer["data"][0]
    assert (match["amountFilled"], match["priceExecuted"]) == (str(10 * WEI), str(54 * WEI // 100))
    assert match["taker"]["signer"] == two.address
    assert match["taker"]["fee"] == {"amount": str(2 * 46 * 10 * WEI // (100 * 54)), "type": "SHARES"}
    maker = match["makers"][0]
    assert (maker["quoteType"], maker["price"]) == ("Bid", str(46 * WEI // 100))
    assert maker["fee"] == {"amount": "0", "type": "SHARES"}
    assert maker["outcome"]["indexSet"] == 1


async def test_match_filters_pick_what_they_say(venue: Running) -> None:
    one, two = await fill(venue)

    async def count(query: str) -> int:
        return len((await one.call("GET", f"/v1/orders/matches?{query}"))[1]["data"])

    assert await count(f"signerAddress={one.address}&isSignerMaker=true") == 1
    assert await count(f"signerAddress={one.address}&isSignerMaker=false") == 0
    assert await count(f"signerAddress={two.address}&isSignerMaker=false") == 1
    assert await count("marketId=9002") == 0
    assert await count("category=bitcoin-end-of-2027") == 1
    assert await count(f"minValueUsdtWei={6 * WEI}") == 0
    assert await count("executedAfter=4102444800") == 0
    taken = (await one.truth())["orders"][0]["hash"]
    assert await count(f"orderHashes={taken}") == 1
    assert await count(f"orderHashes=0x{'9' * 64}") == 0


async def test_positions_are_public_and_priced(venue: Running) -> None:
    one, two = await fill(venue)
    _, own = await one.call("GET", "/v1/positions")
    _, seen = await two.call("GET", f"/v1/positions/{one.address}?marketId=9001")
    assert own == seen
    position = own["data"][0]
    assert (position["amount"], position["averageBuyPriceUsd"]) == (str(10 * WEI), "0.46")
    assert position["outcome"]["indexSet"] == 1


async def test_losing_positions_are_hidden_by_default(venue: Running) -> None:
    one, two = await fill(venue)
    await one.call("POST", "/paper/resolve", {"market_id": 9001, "payout": "1"})
    assert (await two.call("GET", "/v1/positions"))[1]["data"] == []
    lost = (await two.call("GET", "/v1/positions?includeLost=true"))[1]["data"]
    assert [(p["outcome"]["status"], p["valueUsd"]) for p in lost] == [("LOST", 0.0)]
    won = (await one.call("GET", "/v1/positions?isResolved=true"))[1]["data"]
    assert (won[0]["outcome"]["status"], won[0]["valueUsd"]) == ("WON", 10.0)
    body = {"address": one.address, "market_id": 9001, "amount_wei": "0"}
    _, answer = await one.call("POST", "/paper/redeem", body)
    assert answer == {"usdt_wei": str(1000 * WEI + 54 * WEI // 10), "yes_wei": "0", "no_wei": "0"}
    status, answer = await one.place(9001, "buy", "yes", "0.46", "10")
    assert (status, answer["error"]) == (400, "create_order_market_not_trading")


async def test_web3_reads_balances_as_on_chain(venue: Running) -> None:
    one, _ = await fill(venue)
    chain = AsyncWeb3(AsyncHTTPProvider(venue.base + "/rpc"))
    contracts = CONTRACTS[56]
    usdt = chain.eth.contract(address=chain.to_checksum_address(contracts.usdt), abi=[view("balanceOf", "address")])
    tokens = chain.eth.contract(
        address=chain.to_checksum_address(contracts.conditional_tokens),
        abi=[view("balanceOf", "address", "uint256")],
    )
    token = int((await one.market(9001))["outcomes"][0]["onChainId"])
    assert await chain.eth.chain_id == 56
    assert await usdt.functions.balanceOf(one.address).call() == 1000 * WEI - 46 * WEI // 10
    assert await tokens.functions.balanceOf(one.address, token).call() == 10 * WEI
    assert await chain.eth.get_balance(chain.to_checksum_address(one.address)) > 0
    assert await chain.eth.block_number > 0
    await chain.provider.disconnect()


def view(name: str, *inputs: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "function",
        "stateMutability": "view",
        "inputs": [{"name": f"a{n}", "type": kind} for n, kind in enumerate(inputs)],
        "outputs": [{"name": "", "type": "uint256"}],
    }


async def test_shares_live_on_their_own_contract(venue: Running) -> None:
    trader = await venue.trader(1)
    await trader.split(9006, 5)
    token = int((await trader.market(9006))["outcomes"][0]["onChainId"])
    data = "0x00fdd58e" + abi_encode(["address", "uint256"], [trader.address, token]).hex()
    found = []
    for contract in (CONTRACTS[56].yield_conditional_tokens, CONTRACTS[56].conditional_tokens):
        params = [{"to": contract, "data": data}, "latest"]
        call = {"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": params}
        async with venue.session.post(venue.base + "/rpc", json=call) as answer:
            found.append(int((await answer.json())["result"], 16))
    assert found == [5 * WEI, 0]


async def test_unknown_rpc_method_is_an_error(venue: Running) -> None:
    call = [{"jsonrpc": "2.0", "id": 7, "method": "eth_sendRawTransaction", "params": []}]
    async with venue.session.post(venue.base + "/rpc", json=call) as answer:
        assert (await answer.json())[0]["error"]["code"] == -32601


async def test_same_grant_funds_once(venue: Running) -> None:
    trader = await venue.trader(1)
    await trader.fund(1000)
    await trader.fund(5, grant_id="second")
    account = (await trader.truth())["accounts"][0]
    assert (account["usdt"], account["grants"]) == (str(1005 * WEI), ["opening", "second"])
