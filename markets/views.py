"""The pages of markets: search and filter, one market with its book and its price history.

The book is read from the venue's public side when somebody looks; a venue or warehouse that is away is said so.
"""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from urllib.parse import urlencode

import structlog
from asgiref.sync import async_to_sync
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from identity.access import is_fragment, page_for
from identity.models import User
from identity.roles import Role, has_role
from markets.history import LastFill, Quote, fetch_book, load_history, load_last_fills, load_last_quotes, warehouse
from markets.models import Market
from markets.querysets import MarketFilter, load_market_page, load_picks
from trading.enums import MarketStatus, Platform
from trading.errors import InvalidValue, VenueError
from trading.instruments import Book
from trading.values import text
from warehouse.clickhouse import OUTAGES

FILTERS = ("q", "platform", "status")
LEVELS = 12
SHOWN = timedelta(days=1)
WIDTH, HEIGHT = 600, 120
PICK_FIELDS = ("q", "market", "market_id")
"""What the fields are called that offer markets."""

log = structlog.get_logger()


@dataclass(frozen=True)
class MarketRow:
    """One market of the list with its last kept prices and our last fill there, if any."""

    market: Market
    quote: Quote | None
    last: LastFill | None


@require_safe
@never_cache
@page_for(Role.VIEWER, keeps_scope=True)
def show_markets(request: HttpRequest) -> HttpResponse:
    """Markets by title, filtered; a page at a time."""
    wanted, cursor = MarketFilter.read(request.GET.dict()), request.GET.get("cursor", "")
    markets, following = load_market_page(wanted, cursor)
    asked = {name: value for name in FILTERS if (value := getattr(wanted, name))}
    tells_fills = not visitor_tags(request)
    quotes, fills = find_prices(markets, tells_fills=tells_fills)
    context: dict[str, object] = {
        "rows": [MarketRow(market, quotes.get(market.pk), fills.get(market.pk)) for market in markets],
        "tells_fills": tells_fills,
        "following": following,
        "wanted": wanted,
        "query": urlencode(asked),
        "cursor": cursor,
        "is_filtered": bool(asked),
    }
    if is_fragment(request) and request.GET.get("part") == "list":
        return render(request, "markets/list.html", context)
    context |= {
        "may_sync": has_role(request.user, Role.TRADER),
        "platforms": [platform.value for platform in Platform],
        "statuses": [status.value for status in MarketStatus],
    }
    return render(request, "markets/page.html", context)


@require_safe
@never_cache
@page_for(Role.VIEWER, keeps_scope=True)
def show_picks(request: HttpRequest) -> HttpResponse:
    """The markets a form's field offers while somebody types: options of a datalist. `by=id` gives the venue's ids."""
    typed = next((request.GET[name] for name in PICK_FIELDS if name in request.GET), "")
    context = {"picks": load_picks(typed), "by_id": request.GET.get("by") == "id"}
    return render(request, "markets/picks.html", context)


@require_safe
@never_cache
@page_for(Role.VIEWER, keeps_scope=True)
def answer_history(request: HttpRequest, key: str) -> JsonResponse:
    """The kept prices of the last day for the chart: whole seconds, and decimal strings or null. Empty without any."""
    market = get_object_or_404(Market, pk=key)
    quotes: list[Quote] = load_quotes(market)[0]
    return JsonResponse(
        {
            "at": [int(quote.time.timestamp()) for quote in quotes],
            "bid": [None if quote.bid is None else text(quote.bid) for quote in quotes],
            "ask": [None if quote.ask is None else text(quote.ask) for quote in quotes],
        }
    )


@require_safe
@never_cache
@page_for(Role.VIEWER, keeps_scope=True)
def show_market(request: HttpRequest, key: str) -> HttpResponse:
    """One market: its grid, its book now, its prices of the last day, and where to go from here."""
    market = get_object_or_404(Market, pk=key)
    context: dict[str, object] = {"market": market, "now": timezone.now()}
    part = request.GET.get("part", "")
    if not (is_fragment(request) and part == "history"):
        context |= look_at_book(market)
        if is_fragment(request) and part == "book":
            return render(request, "markets/book.html", context)
    context |= draw_history(market)
    if is_fragment(request) and part == "history":
        return render(request, "markets/history.html", context)
    return render(request, "markets/market.html", context | {"may_trade": has_role(request.user, Role.TRADER)})


def look_at_book(market: Market) -> dict[str, object]:
    """The book's best levels, or why there is none."""
    try:
        book: Book = async_to_sync(fetch_book)(Platform(market.platform), market.market_id)
    except (VenueError, InvalidValue, KeyError, OSError) as error:
        log.info("book_not_read", market=market.pk, error=type(error).__name__)
        return {"book": None, "book_problem": getattr(error, "slug", "no adapter for this venue yet")}
    return {"book": book, "bids": book.bids[:LEVELS], "asks": book.asks[:LEVELS]}


def find_prices(markets: list[Market], *, tells_fills: bool) -> tuple[dict[str, Quote], dict[str, LastFill]]:
    """The last kept prices and our last fills; neither while the warehouse is away."""
    since = timezone.now() - SHOWN
    try:
        client = warehouse(settings.CLICKHOUSE_URL)
        quotes = load_last_quotes(client, markets, since)
        return quotes, load_last_fills(client, markets, since) if tells_fills else {}
    except OUTAGES as error:
        log.info("warehouse_away", error=type(error).__name__)
        return {}, {}


def visitor_tags(request: HttpRequest) -> list[str]:
    """The tags of the accounts that the visitor is kept to; none for who sees all."""
    return request.user.account_tags if isinstance(request.user, User) else []


def load_quotes(market: Market) -> tuple[list[Quote], bool]:
    """The prices kept during the last day, and whether the warehouse is away."""
    try:
        return load_history(warehouse(settings.CLICKHOUSE_URL), market, timezone.now() - SHOWN), False
    except OUTAGES as error:
        log.info("warehouse_away", error=type(error).__name__)
        return [], True


def draw_history(market: Market) -> dict[str, object]:
    """The kept prices as lines of an SVG, or that there are none."""
    quotes, is_away = load_quotes(market)
    if len(quotes) < 2:
        return {"quotes": [], "is_warehouse_away": is_away}
    bids = [(quote.time, quote.bid) for quote in quotes if quote.bid is not None]
    asks = [(quote.time, quote.ask) for quote in quotes if quote.ask is not None]
    prices = [price for _, price in (*bids, *asks)]
    if not prices:
        return {"quotes": []}
    low, high = min(prices), max(prices)
    span = (high - low) or Decimal("0.01")
    begins, lasts = quotes[0].time, (quotes[-1].time - quotes[0].time) or timedelta(seconds=1)

    def points(line: list[tuple[object, Decimal]]) -> str:
        """Whole pixels: the picture is for the eye, the figures beside it are exact."""
        return " ".join(
            f"{(at - begins) * WIDTH // lasts},{HEIGHT - 4 - int((price - low) * (HEIGHT - 8) / span)}"  # type: ignore[operator]
            for at, price in line
        )

    return {
        "quotes": quotes,
        "low": low,
        "high": high,
        "last": quotes[-1],
        "first": quotes[0],
        "bid_points": points(bids),  # type: ignore[arg-type]
        "ask_points": points(asks),  # type: ignore[arg-type]
        "width": WIDTH,
        "height": HEIGHT,
    }
