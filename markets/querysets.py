"""Market rows as sync, pages and the API ask for them."""

from datetime import datetime

from django.db.models import QuerySet

from markets.models import Market
from trading.enums import MarketStatus, Platform


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
