"""PredictMarketData: Predict.fun's public side. Used by the market sync and by whoever needs a book."""

from collections.abc import AsyncIterator

import msgspec
import structlog

from trading.enums import Platform
from trading.errors import InvalidValue, NotFound
from trading.instruments import Book, MarketSpec
from venues.predict.config import PredictEndpoints
from venues.predict.parsing import MOST_PRECISE, parse_book, parse_market
from venues.predict.schemas import Data, Page, WireBook, WireCategory, WireMarket
from venues.predict.session import PredictSession
from venues.ratelimit import RateBudget

log = structlog.get_logger()

_listed = msgspec.json.Decoder(WireMarket)
_market = msgspec.json.Decoder(Data[WireMarket])
_category = msgspec.json.Decoder(Data[WireCategory])
_categories = msgspec.json.Decoder(Page[WireCategory])
_book = msgspec.json.Decoder(Data[WireBook])


class PredictMarketData:
    """Markets and books of one Predict.fun; needs no account."""

    platform = Platform.PREDICT

    def __init__(
        self,
        endpoints: PredictEndpoints,
        *,
        proxy_url: str | None = None,
        budget: RateBudget | None = None,
        total_timeout_s: float = 10.0,
    ) -> None:
        self._session = PredictSession(endpoints, proxy_url=proxy_url, budget=budget, total_timeout_s=total_timeout_s)
        self._decimals: dict[str, int] = {}

    async def fetch_markets(self) -> AsyncIterator[MarketSpec]:
        """Every market of every open category, page by page; look at each one's status, for some no longer trade.

        Listed by category because only a category tells when its markets end. One that cannot be read is logged and
        left out. Raises RetryLater part-way.
        """
        cursor: str | None = None
        while True:
            query: dict[str, str | int] = {
                "status": "OPEN",
                "first": 50,
                **({} if cursor is None else {"after": cursor}),
            }
            page = await self._session.read("/v1/categories", _categories, private=False, query=query)
            for category in page.data:
                for raw in category.markets:
                    try:
                        spec = self._parse(_listed.decode(raw), category)
                    except (msgspec.MsgspecError, InvalidValue) as error:
                        log.warning("predict_market_unreadable", category=category.slug, error=str(error))
                        continue
                    yield spec
            if page.cursor is None or page.cursor == cursor or not page.data:
                return
            cursor = page.cursor

    async def fetch_market(self, market_id: str) -> MarketSpec:
        """One market with its category's end. Raises NotFound."""
        market = (await self._session.read(f"/v1/markets/{market_id}", _market, private=False)).data
        path = f"/v1/categories/{market.category_slug}"
        try:
            category = (await self._session.read(path, _category, private=False)).data
        except NotFound:
            category = None
        return self._parse(market, category)

    async def fetch_book(self, market_id: str) -> Book:
        """The whole book in yes prices. Raises NotFound."""
        book = (await self._session.read(f"/v1/markets/{market_id}/orderbook", _book, private=False)).data
        return parse_book(book, self._decimals.get(market_id, MOST_PRECISE))

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    def _parse(self, market: WireMarket, category: WireCategory | None) -> MarketSpec:
        self._decimals[str(market.id)] = market.decimal_precision
        return parse_market(market, category)
