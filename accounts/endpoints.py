"""Where each venue is, from the settings. Every process that speaks to a venue asks here once."""

from django.conf import settings

from trading.enums import Platform
from venues.registry import Endpoints, venue_endpoints


def load_endpoints() -> dict[Platform, Endpoints]:
    """The endpoints of every platform that has an adapter."""
    return {
        Platform.PREDICT: venue_endpoints(
            Platform.PREDICT,
            api_url=settings.PREDICT_API_URL,
            ws_url=settings.PREDICT_WS_URL,
            rpc_url=settings.PREDICT_RPC_URL,
            chain_id=settings.PREDICT_CHAIN_ID,
            api_key=settings.PREDICT_API_KEY or None,
        )
    }
