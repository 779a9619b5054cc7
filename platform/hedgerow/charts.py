"""The equity chart: its points as JSON for uPlot, and a plain SVG curve for pages without JavaScript."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts import equity
from accounts import querysets as ledger
from accounts.models import EquityPoint
from identity.access import page_for
from identity.roles import Role
from trading.values import text

RANGES = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "quarter": timedelta(days=91),
}
DEFAULT_RANGE = "day"
WIDTH = 1_000
HEIGHT = 100


@dataclass(frozen=True)
class Curve:
    """Pieces of a line in SVG units: a gap is a time at which the figure was unknown."""

    pieces: list[str]
    low: Decimal
    high: Decimal
    width: int = WIDTH
    height: int = HEIGHT


@require_safe
@never_cache
@page_for(Role.VIEWER)
def answer_equity(request: HttpRequest) -> JsonResponse:
    """Times in whole seconds, figures as decimal strings, null where unknown."""
    now = timezone.now()
    points = equity.load_equity(now - RANGES[range_of(request)], now)
    return JsonResponse(
        {
            "at": [int(point.at.timestamp()) for point in points],
            "result": [written(point.profit) for point in points],
            "equity": [written(point.equity) for point in points],
        }
    )


def range_of(request: HttpRequest) -> str:
    """The range the address asks for, or a day."""
    asked = request.GET.get("range", "")
    return asked if asked in RANGES else DEFAULT_RANGE


def load_equity_part(now: datetime) -> dict[str, Any]:
    """The figures over the chart, and the last day's curve. Four queries."""
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    points = equity.load_equity(now - RANGES[DEFAULT_RANGE], now)
    return {
        "latest": points[-1] if points else None,
        "today": equity.load_result_since(day),
        "positions": ledger.count_positions(),
        "curve": draw_curve(points),
    }


def draw_curve(points: Sequence[EquityPoint]) -> Curve | None:
    """The result over time; None when fewer than two moments are known."""
    known = [point.profit for point in points if point.profit is not None]
    if len(known) < 2:
        return None
    low, high = min(known), max(known)
    start, end = points[0].at, points[-1].at
    span = max((end - start) // timedelta(seconds=1), 1)
    rise = (high - low) or Decimal(1)
    pieces: list[list[str]] = [[]]
    for point in points:
        if point.profit is None:
            pieces.append([])
            continue
        x = (point.at - start) // timedelta(seconds=1) * WIDTH // span
        y = HEIGHT - int((point.profit - low) * HEIGHT / rise)
        pieces[-1].append(f"{x},{y}")
    return Curve([" ".join(piece) for piece in pieces if piece], low, high)


def written(value: Decimal | None) -> str | None:
    """A figure as a decimal string."""
    return None if value is None else text(value)
