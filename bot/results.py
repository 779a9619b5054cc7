"""What the desk has earned, as the bot says it: the dashboard's own figures, from `accounts.equity`, and no others."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db.models import Sum
from django.template.defaultfilters import pluralize

from accounts import equity
from accounts import querysets as ledger
from accounts.models import EquityPoint, Position
from bot.picture import draw_result
from bot.replies import amount, bold, clip, esc, signed
from markets.models import Market
from trading.values import ZERO

FRESH = timedelta(seconds=90)
"""A point is recorded every half minute. While nobody records, the desk is measured when asked."""
DAY = timedelta(hours=24)
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Result:
    """The last point, and how far the result moved since midnight and in 24 hours. None is unknown, never zero."""

    point: EquityPoint
    today: Decimal | None
    day: Decimal | None


def load_point(now: datetime) -> EquityPoint:
    """The dashboard's latest point, or a fresh one when that is old. Two queries at most."""
    latest = EquityPoint.objects.order_by("-at").first()
    return latest if latest is not None and latest.at >= now - FRESH else equity.measure(now)


def load_result(now: datetime) -> Result:
    """Five queries at most."""
    point = load_point(now)
    if not EquityPoint.objects.exists():
        return Result(point, None, None)  # nobody ever measured: when it began is not known
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    today, day = (equity.load_moved(since, point) for since in (midnight, now - DAY))
    return Result(point, today, day)


def draw(result: Result, now: datetime) -> bytes:
    """The last 24 hours as a curve, and what each account realized."""
    points = [(point.at, point.profit) for point in equity.load_equity(now - DAY, now)]
    if not points or points[-1][0] < result.point.at:
        points.append((result.point.at, result.point.profit))
    names = {account.pk: account.name for account in ledger.load_fleet()}
    bars = [(names.get(pk, "?"), value) for pk, value in ledger.load_realized().items()]
    return draw_result(f"Hedgerow {settings.MODE.value}: result, 24 hours", points, bars)


def describe(result: Result, now: datetime) -> str:
    """The words under the picture."""
    point, by_market = result.point, equity.measure_markets()
    titles = dict(Market.objects.filter(pk__in=by_market).values_list("pk", "title"))
    moved = sorted(by_market.items(), key=lambda item: (item[1] is not None, -abs(item[1] or ZERO)))
    fees = Position.objects.aggregate(fees=Sum("fees"))["fees"] or ZERO
    lines = [
        f"Result in all: {bold(money(point.profit))} USDT at {point.at:%H:%M:%S} UTC",
        f"Today {money(result.today)} · 24 hours {money(result.day)} · realized {money(point.realized)} USDT",
        f"Equity: {bold(UNKNOWN if point.equity is None else amount(point.equity, 2))} USDT"
        f" · fees {amount(fees, 2)} USDT · {len(by_market)} market{pluralize(len(by_market))}",
    ]
    if point.unmarked:
        have = pluralize(point.unmarked, " has,s have")
        lines.append(f"⚠️ {point.unmarked} holding{have} no price yet, so the whole is not known.")
    if moved:
        lines.append(f"By market, in USDT, at this moment ({now:%H:%M:%S}):")
    lines += [f"{money(value)} · {esc(clip(titles.get(key) or key, 50))}" for key, value in moved[:5]]
    return "\n".join(lines)


def money(value: Decimal | None) -> str:
    """With its sign; what is not known says so."""
    return UNKNOWN if value is None else signed(value)
