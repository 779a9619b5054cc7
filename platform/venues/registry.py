"""From platform to adapter, so that no caller imports a venue's folder. A new venue adds its lines here."""

from decimal import Decimal

from trading.enums import Platform
from trading.errors import InvalidValue
from venues.contract import Credentials, MarketData, OrderSigner, VenueClient
from venues.predict.amounts import sendable_size as predict_sendable_size
from venues.predict.client import PredictClient
from venues.predict.config import PredictEndpoints
from venues.predict.market_data import PredictMarketData
from venues.predict.signing import PredictSigner
from venues.ratelimit import RateBudget

Endpoints = PredictEndpoints
"""Where a venue is: every platform has its own kind."""


def venue_endpoints(
    platform: Platform, *, api_url: str, ws_url: str, rpc_url: str, chain_id: int, api_key: str | None = None
) -> Endpoints:
    """A platform's endpoints from plain settings."""
    _check(platform)
    return PredictEndpoints(api_url=api_url, ws_url=ws_url, rpc_url=rpc_url, chain_id=chain_id, api_key=api_key)


def venue_client(
    platform: Platform, credentials: Credentials, endpoints: Endpoints, *, budget: RateBudget | None = None
) -> VenueClient:
    """One account's client. Raises InvalidValue for a key, address or proxy that cannot be right."""
    _check(platform)
    return PredictClient(credentials, endpoints, budget=budget)


def order_signer(platform: Platform, credentials: Credentials, endpoints: Endpoints) -> OrderSigner:
    """One account's signer. Raises InvalidValue when key and address do not belong together."""
    _check(platform)
    return PredictSigner(credentials, endpoints.chain_id)


def market_data(
    platform: Platform, endpoints: Endpoints, *, proxy_url: str | None = None, budget: RateBudget | None = None
) -> MarketData:
    """A platform's public side."""
    _check(platform)
    return PredictMarketData(endpoints, proxy_url=proxy_url, budget=budget)


def sendable_size(platform: Platform, size: Decimal) -> Decimal:
    """The greatest size not above `size` that one order on `platform` can carry; the signer refuses any other."""
    _check(platform)
    return predict_sendable_size(size)


def _check(platform: Platform) -> None:
    if platform is not Platform.PREDICT:
        raise InvalidValue(f"there is no adapter for {platform} yet")
