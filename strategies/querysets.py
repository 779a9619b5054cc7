"""What pages and the admin read of strategies and exposures. Each function is a fixed number of queries at any size."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Count, F, Min, Q, Sum
from django.db.models.functions import Abs, Coalesce

from accounts.models import Order
from markets.fields import AmountField
from strategies.models import Exposure, Strategy
from trading.enums import OrderStatus, TradingState

OPEN = Q(unhedged_since__isnull=False) | ~Q(need=0) | ~Q(in_flight=0)
"""An exposure that still owes something: shares unhedged, or a hedge on its way."""


def load_exposures(limit: int) -> list[Exposure]:
    """Exposures, longest unhedged first, then the ones moved last; with everything a row shows of them."""
    exposures = Exposure.objects.select_related("strategy", "market", "primary_account", "hedge_account").defer("lots")
    return list(exposures.order_by(F("unhedged_since").asc(nulls_last=True), "-updated_at")[:limit])


def load_open_shares() -> dict[uuid.UUID, Decimal]:
    """Shares not yet hedged per primary account: what is needed and what is in flight, without sign."""
    rows = Exposure.objects.filter(OPEN).order_by().values_list("primary_account_id")
    return dict(rows.annotate(total=Sum(Abs(F("need") + F("in_flight")))))


def load_exposures_of(pairs: Collection[tuple[uuid.UUID, str]]) -> dict[tuple[uuid.UUID, str], list[Exposure]]:
    """The exposures behind (primary account, market) pairs."""
    found: dict[tuple[uuid.UUID, str], list[Exposure]] = {}
    if not pairs:
        return found
    accounts, markets = {account for account, _ in pairs}, {market for _, market in pairs}
    rows = Exposure.objects.filter(primary_account_id__in=accounts, market_id__in=markets).defer("lots")
    for exposure in rows:
        found.setdefault((exposure.primary_account_id, exposure.market_id), []).append(exposure)
    return found


def load_oldest_unhedged() -> datetime | None:
    """Since when some exposure has been unhedged without pause; None when all is hedged."""
    oldest: datetime | None = Exposure.objects.aggregate(oldest=Min("unhedged_since"))["oldest"]
    return oldest


@dataclass(frozen=True)
class Unhedged:
    """What is open over all exposures."""

    exposures: int
    shares: Decimal
    at_risk: Decimal
    """Collateral that is lost if all those shares lose."""
    since: datetime | None
    climbing: int
    """Exposures beyond the first rung of their ladder."""


def load_unhedged() -> Unhedged:
    """The desk's sum of `strategies.watching`."""
    found = Exposure.objects.filter(unhedged_since__isnull=False).aggregate(
        exposures=Count("pk"),
        shares=Coalesce(Sum("unhedged"), Decimal(0), output_field=AmountField()),
        at_risk=Coalesce(Sum("at_risk"), Decimal(0), output_field=AmountField()),
        since=Min("unhedged_since"),
        climbing=Count("pk", filter=Q(rung__gt=0)),
    )
    return Unhedged(**found)


def load_denied_counts() -> dict[str, int]:
    """How many orders we refused ourselves, by reason code."""
    rows = Order.objects.filter(status=OrderStatus.DENIED.value).order_by()
    return dict(rows.values_list("reason").annotate(total=Count("pk")))


def count_active_strategies() -> int:
    """Strategies that may order something."""
    return Strategy.objects.exclude(state=TradingState.HALTED.value).count()
