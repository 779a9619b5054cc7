"""The public side against a venue whose catalogue has its oddities."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.venues import faulty as fault
from tests.venues.faulty import FaultyVenue
from trading.instruments import MarketSpec
from venues.predict.config import PredictEndpoints
from venues.predict.market_data import PredictMarketData

PAYLOADS = Path(__file__).parent / "payloads"


def payload(name: str) -> Any:
    return json.loads((PAYLOADS / f"{name}.json").read_text())


def data_of(faulty: FaultyVenue) -> PredictMarketData:
    return PredictMarketData(
        PredictEndpoints(api_url=faulty.base + "/v1/", ws_url="", rpc_url="", chain_id=56, api_key="fake-api-key")
    )


async def listed(data: PredictMarketData) -> list[MarketSpec]:
    try:
        return [market async for market in data.fetch_markets()]
    finally:
        await data.close()


async def test_pages_are_followed_to_the_last(faulty: FaultyVenue) -> None:
    category = payload("category")["data"]
    first = {"success": True, "cursor": "MTY=", "data": [category]}
    last = {"success": True, "cursor": None, "data": [category]}
    faulty.behave["GET /v1/categories?status=OPEN&first=50"] = fault.answer(200, first)
    faulty.behave["GET /v1/categories?status=OPEN&first=50&after=MTY%3D"] = fault.answer(200, last)
    assert len(await listed(data_of(faulty))) == 2
    assert {request.headers["x-api-key"] for request in faulty.requests} == {"fake-api-key"}


async def test_one_odd_market_does_not_hide_the_others(faulty: FaultyVenue) -> None:
    category = payload("category")["data"]
    odd = {**category["markets"][0], "outcomes": category["markets"][0]["outcomes"][:1]}
    category["markets"] = [odd, {"id": "shapeless"}, category["markets"][0]]
    page = {"success": True, "cursor": None, "data": [category]}
    faulty.behave["GET /v1/categories?status=OPEN&first=50"] = fault.answer(200, page)
    assert [market.market_id for market in await listed(data_of(faulty))] == ["2497624"]


async def test_market_without_its_category_is_still_a_market(faulty: FaultyVenue) -> None:
    faulty.behave["GET /v1/markets/2880279"] = fault.answer(200, payload("market"))
    faulty.behave["GET /v1/markets/2880279/orderbook"] = fault.answer(200, payload("book"))
    data = data_of(faulty)
    market = await data.fetch_market("2880279")
    assert (market.market_id, market.ends_at_ms) == ("2880279", None)
    book = await data.fetch_book("2880279")
    await data.close()
    assert book.bids[0].price == Decimal("0.86")
