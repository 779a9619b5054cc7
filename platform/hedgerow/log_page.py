"""The logs page: events and trades from ClickHouse, searched, filtered, page by page, and the same as CSV."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django import forms
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from hedgerow.log_api import warehouse
from hedgerow.log_rows import tell_rows
from identity.access import is_fragment, page_for
from identity.roles import Role
from streams.names import EVENT_STREAMS
from trading.enums import Platform
from trading.events import EVENT_TYPES
from trading.values import text
from warehouse.clickhouse import OUTAGES
from warehouse.queries import MOST_ROWS, EventFilter, load_events, load_trades

SHOWN = 50
EXPORTED = 50_000
"""Rows of one CSV file at most; its last line says when there are more."""
EVENT_COLUMNS = ("timestamp", "stream", "type", "platform", "account_name", "market_id", "event_id", "data")
TRADE_COLUMNS = (
    "timestamp", "type", "platform", "account_name", "market_id", "action", "side", "price", "shares", "fee",
    "fee_kind", "status", "latency_us", "trade_id", "order_hash", "event_id",
)  # fmt: skip
SPANS = {"": None, "hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}

log = structlog.get_logger()


class LogForm(forms.Form):
    """What is looked for. Everything may stay empty."""

    what = forms.ChoiceField(choices=[("events", "Events"), ("trades", "Trades")], required=False, label="Log")
    text = forms.CharField(max_length=200, required=False, label="Text in the event")
    stream = forms.ChoiceField(choices=[("", "any"), *((name, name) for name in EVENT_STREAMS)], required=False)
    type = forms.CharField(
        max_length=64, required=False, widget=forms.TextInput(attrs={"list": "log-types", "autocomplete": "off"})
    )
    account = forms.CharField(max_length=64, required=False, label="Account (name or id)")
    market_id = forms.CharField(
        max_length=100,
        required=False,
        label="Market",
        widget=forms.TextInput(
            attrs={
                "list": "market-picks",
                "autocomplete": "off",
                "placeholder": "title, then choose",
                "hx-get": "/markets/picks?by=id",
                "hx-trigger": "focus once, input changed delay:150ms",
                "hx-target": "#market-picks",
            }
        ),
    )
    platform = forms.ChoiceField(
        choices=[("", "any"), *((item.value, item.value) for item in Platform)], required=False, label="Venue"
    )
    span = forms.ChoiceField(
        choices=[("", "all"), ("hour", "last hour"), ("day", "last day"), ("week", "last week")],
        required=False,
        label="Time",
    )
    before = forms.DateTimeField(required=False, widget=forms.HiddenInput)
    before_id = forms.UUIDField(required=False, widget=forms.HiddenInput)


@dataclass(frozen=True)
class Found:
    """One page of rows; `following` is the next page's query, and `away` is set while ClickHouse is."""

    rows: list[Any]
    following: str = ""
    away: bool = False


@require_safe
@never_cache
@page_for(Role.VIEWER)
def show_logs(request: HttpRequest) -> HttpResponse:
    """The page; for HTMX the rows alone."""
    form = LogForm(request.GET)
    now = timezone.now()
    found = find(request, form, now) if form.is_valid() else Found([])
    is_trades = form.is_valid() and form.cleaned_data["what"] == "trades"
    export = request.GET.copy()
    for name in ("before", "before_id"):
        export.pop(name, None)
    context = {
        "form": form,
        "found": found,
        "rows": tell_rows(found.rows),
        "types": EVENT_TYPES,
        "is_trades": is_trades,
        "now": now,
        "query": request.GET.urlencode(),
        "export": export.urlencode(),
        "is_first": not request.GET.get("before"),
    }
    template = "hedgerow/logs/rows.html" if is_fragment(request) else "hedgerow/logs/page.html"
    return render(request, template, context)


@require_safe
@never_cache
@page_for(Role.VIEWER)
def export_logs(request: HttpRequest) -> HttpResponseBase:
    """The same search as a CSV file, newest first. 503 while ClickHouse is away."""
    form = LogForm(request.GET)
    if not form.is_valid():
        return HttpResponse("The search cannot be read.\n", status=400, content_type="text/plain")
    is_trades = form.cleaned_data["what"] == "trades"
    wanted = wanted_of(form.cleaned_data, timezone.now())
    try:
        first = load_page(wanted, MOST_ROWS, is_trades=is_trades)
    except OUTAGES as error:
        log.warning("warehouse_away", error=type(error).__name__)
        return HttpResponse("The record is away: the desk trades on.\n", status=503, content_type="text/plain")
    answer = StreamingHttpResponse(
        write_csv(first, wanted, is_trades=is_trades), content_type="text/csv; charset=utf-8"
    )
    name = "trades" if is_trades else "events"
    answer.headers["Content-Disposition"] = f'attachment; filename="hedgerow-{name}.csv"'
    return answer


def find(request: HttpRequest, form: LogForm, now: datetime) -> Found:
    """One page of the search."""
    given = form.cleaned_data
    try:
        rows = load_page(wanted_of(given, now), SHOWN + 1, is_trades=given["what"] == "trades")
    except OUTAGES as error:
        log.warning("warehouse_away", error=type(error).__name__)
        return Found([], away=True)
    if len(rows) <= SHOWN:
        return Found(rows)
    following = request.GET.copy()
    following["before"] = rows[SHOWN - 1].timestamp.isoformat()
    following["before_id"] = str(rows[SHOWN - 1].event_id)
    return Found(rows[:SHOWN], following.urlencode())


def wanted_of(given: dict[str, Any], now: datetime) -> EventFilter:
    """The warehouse's filter. The trade log knows neither stream nor text."""
    span = SPANS[given["span"]]
    is_trades = given["what"] == "trades"
    return EventFilter(
        stream="" if is_trades else given["stream"],
        text="" if is_trades else given["text"],
        type=given["type"].replace(" ", "_"),
        platform=given["platform"],
        account=given["account"],
        market_id=given["market_id"],
        since=now - span if span else None,
        before=given["before"],
        before_id=given["before_id"],
    )


def load_page(wanted: EventFilter, limit: int, *, is_trades: bool) -> list[Any]:
    """Rows of either log, newest first. Raises one of OUTAGES."""
    client = warehouse()
    return list(load_trades(client, limit=limit, wanted=wanted) if is_trades else load_events(client, wanted, limit))


def write_csv(first: list[Any], wanted: EventFilter, *, is_trades: bool) -> Iterator[str]:
    """Lines of the file. A page is asked for once the one before it is written, so memory stays small."""
    columns = TRADE_COLUMNS if is_trades else EVENT_COLUMNS
    writer = csv.writer(Echo())
    yield writer.writerow(columns)
    rows, written = first, 0
    while rows:
        for row in rows:
            yield writer.writerow([cell(getattr(row, name)) for name in columns])
        written += len(rows)
        if len(rows) < MOST_ROWS:
            return
        if written >= EXPORTED:
            yield writer.writerow([f"more than {EXPORTED} rows: narrow the search"])
            return
        place: tuple[datetime, UUID] = (rows[-1].timestamp, rows[-1].event_id)
        following = EventFilter(**{**asdict(wanted), "before": place[0], "before_id": place[1]})
        rows = load_page(following, MOST_ROWS, is_trades=is_trades)


class Echo:
    """A file that hands each line straight back."""

    def write(self, line: str) -> str:
        return line


def asdict(wanted: EventFilter) -> dict[str, Any]:
    """The filter's fields."""
    return {name: getattr(wanted, name) for name in wanted.__struct_fields__}


def cell(value: Any) -> str:
    """A value as CSV text. A leading sign that a spreadsheet would take for a formula is quoted."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):
        return f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
    return str(value) if isinstance(value, int | UUID) else text(value)
