"""What the desk has earned, from the ledger's positions: exact, and fair to pairs that hold both outcomes.

In a market all accounts together hold Y shares of yes and N of no. min(Y, N) of each are worth 1 a pair whatever
happens; what is left over is valued at what it cost. So result = cash + min(Y, N) + left over × average cost.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Sum

from accounts import querysets as ledger
from accounts.models import Position
from bot.models import ResultPoint
from strategies import querysets as exposures
from trading.values import ZERO, divide, exact


@dataclass(frozen=True)
class Holding:
    """All accounts' shares of one outcome of one market."""

    market: str
    outcome: str
    size: Decimal
    cost: Decimal
    cash: Decimal


def market_results(holdings: Iterable[Holding]) -> dict[str, Decimal]:
    """The result by market key."""
    markets: dict[str, dict[str, Holding]] = {}
    for holding in holdings:
        markets.setdefault(holding.market, {})[holding.outcome] = holding
    return {market: _result(list(sides.values())) for market, sides in markets.items()}


def _result(sides: list[Holding]) -> Decimal:
    pairs = min((side.size for side in sides), default=ZERO) if len(sides) == 2 else ZERO
    pairs = max(pairs, ZERO)
    with exact():
        total = sum((side.cash for side in sides), ZERO) + pairs
    for side in sides:
        left = side.size - pairs
        if left:
            total += divide(side.cost, side.size) * left
    return total


def load_holdings() -> list[Holding]:
    """Every market's shares over all accounts, in one query."""
    rows = Position.objects.order_by().values_list("market_id", "outcome")
    totals = rows.annotate(size=Sum("size"), cost=Sum("cost"), cash=Sum("cash"))
    return [Holding(*row) for row in totals]


def load_result() -> Decimal:
    """The whole desk's result."""
    return sum(market_results(load_holdings()).values(), ZERO)


def record_point(now: datetime) -> None:
    """Keep the result of this moment, to the minute."""
    at = now.replace(second=0, microsecond=0)
    midnight = at.replace(hour=0, minute=0)
    ResultPoint.objects.get_or_create(
        at=at,
        defaults={
            "result": load_result(),
            "open_shares": sum(exposures.load_open_shares().values(), ZERO),
            "fills": sum(ledger.load_fill_counts(midnight).values()),
        },
    )
