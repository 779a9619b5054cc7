"""Market rows: what the venue said of each market, as far as trading depends on it; and our own limits there."""

from decimal import Decimal

from django.db import models

from markets.fields import AmountField, choices
from trading.enums import MarketStatus, Platform, TradingState


class Market(models.Model):
    """One binary market at one venue. The key is `platform:market_id`, readable wherever it is seen."""

    id = models.CharField(max_length=120, primary_key=True, editable=False)
    platform = models.CharField(max_length=16, choices=choices(Platform))
    market_id = models.CharField(max_length=100, help_text="The venue's own id.")
    title = models.CharField(max_length=255)
    question = models.TextField(blank=True)
    slug = models.CharField(max_length=200, blank=True)
    category = models.CharField(max_length=200, blank=True)
    status = models.CharField(
        max_length=10,
        choices=choices(MarketStatus),
        default=MarketStatus.CLOSED.value,
    )
    yes_token = models.CharField(max_length=80, blank=True)
    no_token = models.CharField(max_length=80, blank=True)
    condition_id = models.CharField(max_length=66, blank=True)
    tick = AmountField(default=Decimal(0))
    lot = AmountField(default=Decimal(0))
    min_size = AmountField(default=Decimal(0))
    min_value = AmountField(default=Decimal(0))
    fee_rate_bps = models.IntegerField(default=0)
    is_neg_risk = models.BooleanField(default=False)
    is_yield_bearing = models.BooleanField(default=False)
    ends_at = models.DateTimeField(null=True, blank=True)
    payout_yes = AmountField(null=True, blank=True)
    synced_at = models.DateTimeField(null=True, blank=True)
    """None for a stub: a market met in a fill before the catalogue knew it."""
    mark = AmountField(null=True, blank=True, help_text="The middle of the book when last seen, in YES.")
    marked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["platform", "market_id"]
        constraints = [models.UniqueConstraint(fields=["platform", "market_id"], name="market_once")]

    def __str__(self) -> str:
        return self.title or self.id


class MarketLimit(models.Model):
    """What all our accounts together may do in one market. The row without a market holds for every market, and for
    each figure that a market's own row leaves empty. `accounts.states.change_market_limit` writes it."""

    market = models.OneToOneField(
        Market, on_delete=models.CASCADE, null=True, blank=True, related_name="limit", help_text="Empty: every market."
    )
    max_position = AmountField(
        null=True, blank=True, help_text="Most shares of one outcome, all accounts and open buys together."
    )
    price_band = AmountField(
        null=True, blank=True, help_text="Furthest an order's price may lie from the market's mark; 0.1 is ten cents."
    )
    changed_by = models.CharField(max_length=150, blank=True)
    changed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["market"], nulls_distinct=False, name="market_limit_once"),
            models.CheckConstraint(
                condition=models.Q(max_position__isnull=True) | models.Q(max_position__gte=0),
                name="market_limit_position",
            ),
            models.CheckConstraint(
                condition=models.Q(price_band__isnull=True) | models.Q(price_band__gte=0), name="market_limit_band"
            ),
        ]

    def __str__(self) -> str:
        return f"limits of {self.market or 'every market'}"


class VenueState(models.Model):
    """Whether we trade at a venue at all. A platform without a row is ACTIVE. `accounts.states` writes it."""

    platform = models.CharField(max_length=16, primary_key=True, choices=choices(Platform))
    state = models.CharField(max_length=10, choices=choices(TradingState), default=TradingState.ACTIVE.value)
    reason = models.CharField(max_length=255, blank=True)
    changed_by = models.CharField(max_length=150, blank=True)
    changed_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.platform}: {self.state}"


def market_key(platform: str, market_id: str) -> str:
    """The primary key of a venue's market."""
    return f"{platform}:{market_id}"
