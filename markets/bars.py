"""A market's kept prices in even steps of time, for the API: what a chart needs, however long the span.

Prices are kept once a minute (`markets.history`); a coarser step keeps its last price and the span the middle moved in.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from markets.models import Market
from warehouse.clickhouse import Client

RESOLUTIONS = {"1m": 60, "5m": 300, "15m": 900, "1h": 3_600, "4h": 14_400, "1d": 86_400}
"""Name → seconds."""
MOST_BARS = 1_500

_BARS = """
SELECT toStartOfInterval(time, INTERVAL {step:UInt32} SECOND, 'UTC') AS at,
       argMax(tuple(best_bid), time).1, argMax(tuple(best_ask), time).1, argMax(tuple(mid), time).1,
       min(mid), max(mid), count()
FROM market_history FINAL
WHERE platform = {platform:String} AND market_id = {market:String}
  AND time >= {since:DateTime64(3, 'UTC')} AND time < {until:DateTime64(3, 'UTC')}
GROUP BY at ORDER BY at LIMIT {most:UInt32}
"""


@dataclass(frozen=True)
class Bar:
    """One step: the last best prices of YES in it, the least and greatest middle, and of how many looks it is made.
    None where a side was empty."""

    time: datetime
    bid: Decimal | None
    ask: Decimal | None
    mid: Decimal | None
    low: Decimal | None
    high: Decimal | None
    samples: int


def load_bars(client: Client, market: Market, since: datetime, until: datetime, step_s: int) -> list[Bar]:
    """The steps that have a price, oldest first, at most MOST_BARS. Raises one of OUTAGES."""
    found = client.query(
        _BARS,
        parameters={
            "platform": market.platform,
            "market": market.market_id,
            "since": since,
            "until": until,
            "step": step_s,
            "most": MOST_BARS,
        },
    )
    return [Bar(*row) for row in found.result_rows]
