"""Strategies, their pairs, and the durable exposure rows from which every hedge is decided."""

import uuid
from decimal import Decimal

from django.db import models

from accounts.models import Account
from markets.fields import AmountField, choices
from trading.enums import Outcome, TradingState


class Strategy(models.Model):
    """A strategy and its typed configuration. Read anew with every event: a change holds from the next one on."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=32, default="delta_neutral")
    config = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=10, choices=choices(TradingState), default=TradingState.HALTED.value)
    state_reason = models.CharField(max_length=255, blank=True)
    version = models.PositiveIntegerField(default=1, editable=False)
    started_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="First start: fills before it are not this strategy's."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "strategies"

    def __str__(self) -> str:
        return self.name


class Pair(models.Model):
    """(primary, hedge): what fills on the primary is hedged on the hedge account."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    strategy = models.ForeignKey(Strategy, on_delete=models.CASCADE, related_name="pairs")
    primary = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="primary_pairs")
    hedge = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="hedge_pairs")
    enabled = models.BooleanField(default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["strategy", "primary", "hedge"], name="pair_once"),
            models.CheckConstraint(condition=~models.Q(primary=models.F("hedge")), name="pair_of_two"),
        ]

    def __str__(self) -> str:
        return f"{self.primary} → {self.hedge}"


class Exposure(models.Model):
    """What one pair owes in one market. `need` = −ratio·primary − hedged − in flight is always computed from here."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    strategy = models.ForeignKey(Strategy, on_delete=models.PROTECT, related_name="exposures")
    pair = models.ForeignKey(Pair, on_delete=models.PROTECT, db_index=False, related_name="exposures")
    market = models.ForeignKey("markets.Market", on_delete=models.PROTECT, db_index=False, related_name="exposures")
    primary_account = models.ForeignKey(Account, on_delete=models.PROTECT, db_index=False, related_name="+")
    hedge_account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    primary = AmountField(default=Decimal(0), help_text="Σ delta of the primary's fills, fees in shares taken off.")
    hedged = AmountField(default=Decimal(0), help_text="Σ delta of this strategy's own fills on the hedge account.")
    lots = models.JSONField(default=list, help_text="Unhedged primary shares, oldest first: [[delta, yes price], …]")
    in_flight = AmountField(default=Decimal(0), help_text="As of the last decision; orders are the truth.")
    need = AmountField(default=Decimal(0), help_text="As of the last decision.")
    rung = models.SmallIntegerField(default=0, help_text="The place on the strategy's ladder, from 0.")
    rung_since = models.DateTimeField(null=True, blank=True)
    next_rung = models.SmallIntegerField(null=True, blank=True, help_text="Set while the rung is ending.")
    rung_owed = AmountField(default=Decimal(0), help_text="Shares the rung began with that are not covered yet.")
    unhedged = AmountField(default=Decimal(0), help_text="Shares no fill has covered yet, in flight or not.")
    at_risk = AmountField(default=Decimal(0), help_text="Collateral that is lost if those shares lose.")
    reason = models.CharField(max_length=255, blank=True, help_text="Why nothing (more) is sent.")
    unhedged_since = models.DateTimeField(null=True, blank=True)
    dust_since = models.DateTimeField(null=True, blank=True)
    revision = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["pair", "market", "primary_account"], name="exposure_once"),
        ]
        indexes = [
            models.Index(fields=["primary_account", "market"], name="exposure_by_primary"),
            models.Index(fields=["market"], name="exposure_by_market"),
        ]

    @property
    def rung_name(self) -> str:
        """What the ladder's present rung does; empty without a ladder."""
        ladder = self.strategy.config.get("ladder") or []
        return str(ladder[self.rung].get("kind", "")) if self.rung < len(ladder) else ""

    def __str__(self) -> str:
        return f"{self.primary_account} → {self.hedge_account} in {self.market}"


class Decision(models.Model):
    """One evaluation of one exposure: what was known, what was decided, and why."""

    exposure = models.ForeignKey(Exposure, on_delete=models.CASCADE, db_index=False, related_name="decisions")
    cause = models.CharField(max_length=200)
    primary = AmountField()
    hedged = AmountField()
    in_flight = AmountField()
    need = AmountField()
    orders = models.JSONField(default=list, help_text="Client order ids of what was ordered or denied.")
    reason = models.CharField(max_length=255, blank=True)
    book = models.JSONField(null=True, blank=True, help_text="The top of the book it looked at, in YES prices.")
    at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["exposure", "-id"], name="decision_by_exposure")]

    def __str__(self) -> str:
        return f"{self.cause}: {self.reason or 'ordered'}"


class Imbalance(models.Model):
    """A difference between what a venue holds for an account and what the ledger says. Gone once they agree again."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="imbalances")
    market_key = models.CharField(max_length=160, help_text="The market, known to the catalogue or not.")
    outcome = models.CharField(max_length=3, choices=choices(Outcome))
    at_venue = AmountField()
    in_ledger = AmountField()
    difference = AmountField(help_text="Shares the venue has beyond what the ledger can explain, at the last read.")
    believed = AmountField(default=Decimal(0), help_text="The part of it that two reads apart both showed.")
    reads = models.PositiveIntegerField(default=1)
    first_seen_at = models.DateTimeField()
    read_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "market_key", "outcome"], name="imbalance_once"),
        ]

    def __str__(self) -> str:
        return f"{self.account}: {self.difference.normalize():f} {self.outcome} of {self.market_key}"
