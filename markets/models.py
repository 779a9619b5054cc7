"""Market rows: what the venue said of each market, as far as trading depends on it."""

from decimal import Decimal

from django.db import models

from markets.fields import AmountField, choices
from trading.enums import MarketStatus, Platform


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

    class Meta:
        ordering = ["platform", "market_id"]
        constraints = [models.UniqueConstraint(fields=["platform", "market_id"], name="market_once")]

    def __str__(self) -> str:
        return self.title or self.id


def market_key(platform: str, market_id: str) -> str:
    """The primary key of a venue's market."""
    return f"{platform}:{market_id}"
