"""Markets as the venue described them. Synced, so only read here."""

from django.contrib import admin

from identity.back_office import STATE_COLOURS, ReadOnlyAdmin, amount, marked, plain, worded_field
from markets.models import Market, MarketLimit, VenueState

STATE = marked("state", STATE_COLOURS)


@admin.register(Market)
class MarketAdmin(ReadOnlyAdmin):
    """The catalogue. A market without a sync time was met in a fill before any sync described it."""

    list_display = (
        "title", "platform", "market_id", "status", amount("tick"), amount("min_value", "minimum value, collateral"),
        "fee_rate_bps", "ends_at", "synced_at",
    )  # fmt: skip
    told = {
        "lot": worded_field("lot", "lot, shares", plain),
        "min_size": worded_field("min_size", "minimum size, shares", plain),
        "min_value": worded_field("min_value", "minimum value, collateral", plain),
        "fee_rate_bps": worded_field("fee_rate_bps", "fee rate, basis points", str),
        "payout_yes": worded_field("payout_yes", "payout of a YES share, collateral", plain),
    }
    list_filter = ("platform", "status", "category", "is_neg_risk", ("synced_at", admin.EmptyFieldListFilter))
    search_fields = ("id", "market_id", "title", "slug", "condition_id")
    ordering = ("title", "id")


@admin.register(VenueState)
class VenueStateAdmin(ReadOnlyAdmin):
    """Whether we trade at a venue at all, since when and why."""

    list_display = ("platform", STATE, "reason", "changed_by", "changed_at")
    told = {"state": STATE}
    ordering = ("platform",)


@admin.register(MarketLimit)
class MarketLimitAdmin(ReadOnlyAdmin):
    """What all accounts together may do in one market; the row without a market holds for every other."""

    list_display = ("__str__", amount("max_position"), amount("price_band"), "changed_by", "changed_at")
    search_fields = ("market__title", "=market__market_id")
    list_select_related = ("market",)
    ordering = ("-changed_at",)
