"""One fill's waterfall: from the venue's match to the hedge accepted, each step timed, with the decisions made."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts import querysets as ledger
from accounts.models import Fill, Order
from hedgerow.desk import answer_fill
from identity.access import is_fragment, page_for
from identity.roles import Role
from markets.history import Quote, load_quote_before, warehouse
from markets.models import Market
from strategies import querysets as exposures
from strategies.causes import cause_words
from strategies.models import Decision
from strategies.reasons import decision_text
from warehouse.clickhouse import OUTAGES

WIDTH = 1_000
CLOSED = "Order closed"
DECISIONS_SHOWN = 20
AFTER = timedelta(minutes=10)
"""Decisions of this long after the fill are shown with it."""
QUOTE_WITHIN = timedelta(minutes=30)
"""A kept price older than this says nothing about a decision."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Step:
    """One moment, and the stretch since the one before it in µs. `x` and `width` place it on the waterfall."""

    what: str
    at: datetime
    took_us: int | None
    since_us: int
    x: int = 0
    width: int = 0
    note: str = ""


@require_safe
@never_cache
@page_for(Role.VIEWER)
def show_trace(request: HttpRequest, fill_id: int) -> HttpResponse:
    """The whole trace; for HTMX its body alone, so that a late answer appears."""
    fill = get_object_or_404(Fill.objects.select_related("account", "market"), pk=fill_id)
    owed = exposures.load_exposures_of({(fill.account_id, fill.market_id)})
    found = owed.get((fill.account_id, fill.market_id), [])
    orders = ledger.load_hedges({exposure.id for exposure in found}, fill.recorded_at)
    row = answer_fill(fill, found, orders)
    decisions = exposures.load_decisions_of(
        [exposure.pk for exposure in found], fill.recorded_at, fill.recorded_at + AFTER, DECISIONS_SHOWN
    )
    first = decisions[0].at if decisions else fill.recorded_at
    context = {
        "fill": fill,
        "row": row,
        "legs": [(leg, place(steps_of(fill, leg.order, decisions))) for leg in row.hedges],
        "arrival": place(steps_of(fill, None, decisions)),
        "decisions": [(decision, decision_text(decision.reason, len(decision.orders))) for decision in decisions],
        "ladders": [ladder_of(decision) for decision in decisions if decision.book],
        "quote": None if any(decision.book for decision in decisions) else find_quote(fill.market, first),
        "now": timezone.now(),
        "width": WIDTH,
    }
    template = "hedgerow/trace/body.html" if is_fragment(request) else "hedgerow/trace/page.html"
    return render(request, template, context)


@dataclass(frozen=True)
class Ladder:
    """The top of the book a decision looked at, in YES prices; (price, shares) per level, best first."""

    decision: Decision
    read_at: datetime
    bids: list[tuple[Decimal, Decimal]]
    asks: list[tuple[Decimal, Decimal]]


def ladder_of(decision: Decision) -> Ladder:
    """The book that is kept with the decision."""
    kept: dict[str, Any] = decision.book or {}
    sides = [[(Decimal(price), Decimal(size)) for price, size in kept.get(side, [])] for side in ("bids", "asks")]
    read_at = datetime.fromtimestamp(kept.get("at_ms", 0) // 1000, UTC)
    return Ladder(decision, read_at, *sides)


def find_quote(market: Market, at: datetime) -> Quote | None:
    """The best prices last kept before `at`, for a decision that needed no book; None when there are none."""
    try:
        return load_quote_before(warehouse(settings.CLICKHOUSE_URL), market, at, at - QUOTE_WITHIN)
    except OUTAGES as error:
        log.info("warehouse_away", error=type(error).__name__)
        return None


def steps_of(fill: Fill, order: Order | None, decisions: list[Decision]) -> list[Step]:
    """The moments that are known, in the order they happened in. The venue's clock is its own, so it is only told."""
    moments: list[tuple[str, datetime | None, str]] = [
        ("Fill arrived", fill.received_at, "the venue's message was read"),
        ("Recorded", fill.recorded_at, "fill, position and exposure in one transaction"),
    ]
    if order is not None:
        decided = next((d for d in decisions if str(order.pk) in d.orders), None)
        moments += [
            ("Decided", order.created_at, cause_words(decided.cause if decided else order.cause)),
            ("Journaled", order.submitted_at, "the signed bytes are kept before they leave"),
            ("Order left", order.sent_at, "its first byte is on the wire"),
            ("Venue answered", order.answered_at, "its answer was read"),
            (CLOSED, order.closed_at, order.reason or order.get_status_display()),
        ]
    known = sorted(((what, at, note) for what, at, note in moments if at is not None), key=lambda moment: moment[1])
    steps: list[Step] = []
    for what, at, note in known:
        took = micros(at - steps[-1].at) if steps else None
        steps.append(Step(what, at, took, micros(at - known[0][1]), note=note))
    return steps


def place(steps: list[Step]) -> list[Step]:
    """The steps on a scale of WIDTH: each bar begins where the step before it ended. Closing is left off the scale,
    and has no bar when it comes after all that is on it."""
    timed = [step.since_us for step in steps if step.what != CLOSED]
    whole = max(timed[-1] if timed else 0, 1)
    placed = []
    for step in steps:
        start, end = (min(us * WIDTH // whole, WIDTH) for us in (step.since_us - (step.took_us or 0), step.since_us))
        width = 0 if step.what == CLOSED and start == WIDTH else max(end - start, 3)
        placed.append(Step(step.what, step.at, step.took_us, step.since_us, start, width, step.note))
    return placed


def micros(span: timedelta) -> int:
    """Whole microseconds."""
    return span // timedelta(microseconds=1)
