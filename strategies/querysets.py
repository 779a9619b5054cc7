"""What pages and the admin read of strategies and exposures. Each function is a fixed number of queries at any size."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Count, F, Min, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Abs, Coalesce

from accounts.models import Fill
from markets.fields import AmountField
from strategies.models import Decision, Exposure, Pair, Strategy
from trading.enums import TradingState

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


@dataclass(frozen=True)
class Owed:
    """What one strategy's open exposures owe: shares in shares, what is at risk in collateral."""

    exposures: int
    shares: Decimal
    at_risk: Decimal


def load_owed(strategy_id: uuid.UUID) -> Owed:
    """Over its exposures that still owe something. One query."""
    found = Exposure.objects.filter(OPEN, strategy_id=strategy_id).aggregate(
        exposures=Count("pk"),
        shares=Coalesce(Sum("unhedged"), Decimal(0), output_field=AmountField()),
        at_risk=Coalesce(Sum("at_risk"), Decimal(0), output_field=AmountField()),
    )
    return Owed(**found)


def count_active_strategies() -> int:
    """Strategies that may order something."""
    return Strategy.objects.exclude(state=TradingState.HALTED.value).count()


def load_strategies() -> list[Strategy]:
    """Every strategy with its enabled pairs counted and what it owes. One query."""
    owed = Exposure.objects.filter(strategy=OuterRef("pk")).order_by().values("strategy")
    return list(
        Strategy.objects.annotate(
            pairs_enabled=Count("pairs", filter=Q(pairs__enabled=True)),
            open_exposures=Subquery(owed.filter(OPEN).annotate(n=Count("id")).values("n")),
            owed=Subquery(owed.annotate(total=Sum("unhedged")).values("total")),
            risked=Subquery(owed.annotate(total=Sum("at_risk")).values("total")),
        ).order_by("name")
    )


def load_pairs(strategy_id: uuid.UUID) -> list[Pair]:
    """A strategy's pairs with their accounts, the disabled ones last."""
    pairs = Pair.objects.filter(strategy_id=strategy_id).select_related("primary", "hedge")
    return list(pairs.order_by("-enabled", "primary__name", "hedge__name"))


def load_exposures_of_strategy(strategy_id: uuid.UUID, limit: int) -> list[Exposure]:
    """One strategy's exposures, longest unhedged first."""
    rows = Exposure.objects.filter(strategy_id=strategy_id).defer("lots")
    rows = rows.select_related("market", "primary_account", "hedge_account")
    return list(rows.order_by(F("unhedged_since").asc(nulls_last=True), "-updated_at")[:limit])


def count_open_exposures(strategy_id: uuid.UUID) -> int:
    """Its exposures that still owe something."""
    return Exposure.objects.filter(OPEN, strategy_id=strategy_id).count()


def load_decisions(strategy_id: uuid.UUID, limit: int) -> list[Decision]:
    """One strategy's last decisions, newest first, each with its exposure's accounts and market."""
    rows = Decision.objects.filter(exposure__strategy_id=strategy_id).defer("exposure__lots")
    accounts = ("exposure__market", "exposure__primary_account", "exposure__hedge_account")
    return list(rows.select_related("exposure", *accounts).order_by("-id")[:limit])


def load_primary_fills(account_ids: Collection[uuid.UUID], limit: int) -> list[Fill]:
    """The last fills of these accounts that were no hedges, oldest first, with their markets."""
    fills = Fill.objects.filter(account_id__in=account_ids, exposure_id__isnull=True).select_related(
        "account", "market"
    )
    return list(reversed(fills.order_by("-received_at", "-id")[:limit]))


def load_decisions_of(
    exposure_ids: Collection[uuid.UUID], since: datetime, until: datetime, limit: int
) -> list[Decision]:
    """Decisions on these exposures in a stretch of time, oldest first."""
    rows = Decision.objects.filter(exposure_id__in=exposure_ids, at__gte=since, at__lte=until)
    return list(rows.order_by("id")[:limit])
