"""Which page signals an event of the bus stands for. A signal only says what changed; the page fetches the rest."""

from trading.events import (
    ACCOUNT_EVENTS,
    ALERT_EVENTS,
    FILL_EVENTS,
    MARKET_EVENTS,
    STRATEGY_EVENTS,
    TRADE_EVENTS,
    DeskStopped,
)

FILLS = "fills-changed"
TRADES = "trades-changed"
ACCOUNTS = "accounts-changed"
EXPOSURES = "exposures-changed"
ALERTS = "alerts-changed"
MARKETS = "markets-changed"
DESK = "desk-changed"
REFETCH = "desk-refetch"
"""Everything may have changed: events were missed."""

SIGNALS: dict[str, str] = {
    FILL_EVENTS: FILLS,
    TRADE_EVENTS: TRADES,
    ACCOUNT_EVENTS: ACCOUNTS,
    STRATEGY_EVENTS: EXPOSURES,
    ALERT_EVENTS: ALERTS,
    MARKET_EVENTS: MARKETS,
}
"""Stream → signal: enough for a page, and nothing is decoded."""

_DESK_STOPPED = f'"type":"{DeskStopped.type}"'.encode()


def signal_of(stream: str, body: bytes) -> str:
    """The signal of one message: its stream's, save that a stop or a lift concerns the whole desk."""
    if stream == ACCOUNT_EVENTS and _DESK_STOPPED in body:
        return DESK
    return SIGNALS[stream]
