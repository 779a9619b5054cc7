"""Market rows as sync, pages and the API ask for them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Case, Q, QuerySet, When

from markets.models import Market
from trading.enums import MarketStatus, Platform
from web.paging import PageQuery, Sorting, load_page
from web.problems import Problem
from web.requests import read_words

PAGE = 50
BY_TITLE = Sorting(("title", "id"))


def load_open(platform: Platform | None = None) -> QuerySet[Market]:
    """Markets that take orders, by title."""
    rows = Market.objects.filter(status=MarketStatus.OPEN.value, synced_at__isnull=False).order_by("title", "id")
    return rows.filter(platform=platform.value) if platform else rows


def load_stubs(platform: Platform) -> QuerySet[Market]:
    """Markets met in a fill or a position that no sync has described yet."""
    return Market.objects.filter(platform=platform.value, synced_at__isnull=True)


def load_unlisted(platform: Platform, before: datetime) -> QuerySet[Market]:
    """Markets still open or paused here that the venue did not list since `before`."""
    open_here = [MarketStatus.OPEN.value, MarketStatus.PAUSED.value]
    return Market.objects.filter(platform=platform.value, status__in=open_here, synced_at__lt=before)


@dataclass(frozen=True)
class MarketFilter:
    """Which markets the page wants; an empty field asks for nothing."""

    q: str = ""
    platform: str = ""
    status: str = ""

    @classmethod
    def read(cls, given: Mapping[str, str]) -> "MarketFilter":
        """The filter of a request's query."""
        return cls(**read_words(given, cls.__match_args__))

    def where(self) -> Q:
        """The condition on markets."""
        wanted = Q()
        if self.q:
            wanted &= Q(title__icontains=self.q) | Q(question__icontains=self.q) | Q(market_id=self.q) | Q(pk=self.q)
        if self.platform in set(Platform):
            wanted &= Q(platform=self.platform)
        if self.status in set(MarketStatus):
            wanted &= Q(status=self.status)
        return wanted


def load_market_page(wanted: MarketFilter, cursor: str = "") -> tuple[list[Market], str | None]:
    """A page of markets by title, and the next one's cursor: one query. A cursor that is not ours begins anew."""
    rows = Market.objects.filter(wanted.where())
    try:
        return load_page(rows, BY_TITLE, PageQuery(cursor=cursor[:500], limit=PAGE))
    except Problem:
        return load_page(rows, BY_TITLE, PageQuery(limit=PAGE))


def load_picks(typed: str, most: int = 20) -> list[Market]:
    """Markets whose title, question or id has what was typed, those that take orders first. One query."""
    rows = Market.objects.filter(MarketFilter.read({"q": typed}).where())
    is_open = Case(When(status=MarketStatus.OPEN.value, then=0), default=1)
    return list(rows.order_by(is_open, "title", "id")[:most])


def load_titles(keys: Collection[str]) -> dict[str, str]:
    """Market key → title, of those that are known. One query."""
    return dict(Market.objects.filter(pk__in=keys).values_list("pk", "title"))


def find_market(typed: str) -> Market | None:
    """The one market a person means: by key, by the venue's id, or by a title nobody else has. None when unsure."""
    typed = typed.strip()
    for exactly in (Q(pk=typed), Q(market_id=typed), Q(title__iexact=typed)):
        found = list(Market.objects.filter(exactly)[:2])
        if found:
            return found[0] if len(found) == 1 else None
    return None
