"""Markets as the venue described them. Synced, so only read here."""

from django.contrib import admin

from identity.back_office import ReadOnlyAdmin, amount
from markets.models import Market


@admin.register(Market)
class MarketAdmin(ReadOnlyAdmin):
    """The catalogue. A market without a sync time was met in a fill before any sync described it."""

    list_display = (
        "title", "platform", "market_id", "status", amount("tick"), amount("min_value", "minimum value"),
        "fee_rate_bps", "ends_at", "synced_at",
    )  # fmt: skip
    list_filter = ("platform", "status", "category", "is_neg_risk", ("synced_at", admin.EmptyFieldListFilter))
    search_fields = ("id", "market_id", "title", "slug", "condition_id")
    ordering = ("title", "id")
