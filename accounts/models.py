"""Accounts and what happens on them. Orders, fills and positions are written by `accounts.ledger` alone.

Money, prices and sizes are NUMERIC(38,18): the venue's 18 decimal places, exactly.
"""

import uuid
from decimal import Decimal

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from markets.fields import AmountField, choices
from trading.enums import (
    Action,
    FeeKind,
    Liquidity,
    Mode,
    OrderOrigin,
    OrderStatus,
    OrderType,
    Outcome,
    Platform,
    Settlement,
    SignerKind,
    TradingState,
)
from trading.orders import IN_FLIGHT


class Account(models.Model):
    """One account at one venue. Its keys are in `SealedSecret`, which nobody can read back."""

    class Connection(models.TextChoices):
        OFFLINE = "offline"
        CONNECTING = "connecting"
        CONNECTED = "connected"
        UNAVAILABLE = "unavailable"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=64, unique=True)
    platform = models.CharField(max_length=16, choices=choices(Platform))
    mode = models.CharField(max_length=8, choices=choices(Mode), default=Mode.PAPER.value, editable=False)
    address = models.CharField(max_length=42, help_text="The maker: the wallet itself, or the smart account.")
    owner_address = models.CharField(max_length=42, blank=True, help_text="The smart account's owner key; else empty.")
    signer_kind = models.CharField(max_length=20, choices=choices(SignerKind), default=SignerKind.EOA.value)
    tags = ArrayField(models.CharField(max_length=32), default=list, blank=True)
    notes = models.TextField(blank=True)
    proxy_label = models.CharField(
        max_length=255, blank=True, editable=False, help_text="host:port of the proxy; its password is sealed."
    )
    state = models.CharField(max_length=10, choices=choices(TradingState), default=TradingState.ACTIVE.value)
    state_reason = models.CharField(max_length=255, blank=True)
    max_order = AmountField(null=True, blank=True, help_text="Largest single order, in shares.")
    max_position = AmountField(null=True, blank=True, help_text="Largest position per outcome, in shares.")
    max_notional_per_day = AmountField(null=True, blank=True, help_text="Price × size of a UTC day's orders.")
    connection = models.CharField(max_length=12, choices=Connection.choices, default=Connection.OFFLINE, editable=False)
    connection_at = models.DateTimeField(null=True, editable=False)
    reconciled_at = models.DateTimeField(null=True, editable=False)
    collateral = AmountField(default=Decimal(0), editable=False)
    reserved = AmountField(default=Decimal(0), editable=False)
    balance_at = models.DateTimeField(null=True, editable=False)
    announced_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["platform", "address"], name="account_address_once")]

    def __str__(self) -> str:
        return self.name


class SealedSecret(models.Model):
    """A secret sealed with the vault's public key: the web tier writes it and can never read it."""

    class Kind(models.TextChoices):
        PRIVATE_KEY = "private_key"
        API_KEY = "api_key"
        PROXY_URL = "proxy_url"

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="secrets")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    sealed = models.BinaryField()
    vault_key = models.CharField(max_length=16, help_text="Fingerprint of the public key that sealed it.")
    created_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "kind"], name="secret_once_per_kind")]

    def __str__(self) -> str:
        return f"{self.kind.replace('_', ' ')} of {self.account}"


class Order(models.Model):
    """One order of ours, from intention to its end. The table is also the outbox the executor sends from."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False, help_text="The client order id.")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_index=False, related_name="orders")
    market = models.ForeignKey("markets.Market", on_delete=models.PROTECT, db_index=False, related_name="orders")
    outcome = models.CharField(max_length=3, choices=choices(Outcome))
    action = models.CharField(max_length=4, choices=choices(Action))
    order_type = models.CharField(max_length=8, choices=choices(OrderType), default=OrderType.LIMIT.value)
    post_only = models.BooleanField(default=False)
    price = AmountField()
    size = AmountField()
    filled = AmountField(default=Decimal(0))
    status = models.CharField(max_length=16, choices=choices(OrderStatus), default=OrderStatus.INITIALIZED.value)
    reason = models.CharField(max_length=255, blank=True, help_text="Why denied, rejected or cancelled.")
    origin = models.CharField(max_length=10, choices=choices(OrderOrigin), default=OrderOrigin.USER.value)
    mode = models.CharField(max_length=8, choices=choices(Mode), default=Mode.PAPER.value)
    exposure_id = models.UUIDField(null=True, blank=True, help_text="The exposure this order hedges.")
    strategy_id = models.UUIDField(null=True, blank=True)
    cause = models.CharField(max_length=200, blank=True, help_text="What woke the decision: fill:…, order:…, sweep:…")
    leg = models.SmallIntegerField(default=0)
    rung = models.SmallIntegerField(default=0)
    salt = models.BigIntegerField(default=0)
    expires_at_s = models.BigIntegerField(null=True, blank=True)
    order_hash = models.CharField(max_length=66, null=True, blank=True)
    venue_order_id = models.CharField(max_length=80, blank=True)
    body = models.BinaryField(null=True, blank=True, help_text="The signed bytes, journaled before they leave.")
    sender = models.CharField(max_length=64, blank=True, help_text="The engine that sends it.")
    attempts = models.SmallIntegerField(default=0)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    cause_at = models.DateTimeField(null=True, blank=True, help_text="When the fill it answers arrived.")
    created_at = models.DateTimeField()
    submitted_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    doubted_since = models.DateTimeField(
        null=True, blank=True, help_text="A hedge said to be over, not proved yet: its remainder counts as in flight."
    )
    updated_at = models.DateTimeField()
    latency_us = models.IntegerField(null=True, blank=True, help_text="Fill's arrival to order bytes leaving.")
    announced = models.CharField(max_length=16, blank=True, help_text="The status last put on the bus.")

    class Meta:
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["order_hash"], name="order_hash_once")]
        indexes = [
            # `order_best`, over the functions of standing.sql, is made by migration 0017.
            models.Index(
                fields=["exposure_id"],
                name="order_in_flight",
                condition=Q(status__in=sorted(s.value for s in IN_FLIGHT), exposure_id__isnull=False),
            ),
            models.Index(
                fields=["updated_at"],
                name="order_unsettled",
                condition=Q(status__in=["initialized", "submitted", "unknown"]),
            ),
            models.Index(fields=["market"], name="order_doubted", condition=Q(doubted_since__isnull=False)),
            models.Index(
                fields=["account", "market"],
                name="order_going",
                condition=Q(status__in=sorted(s.value for s in IN_FLIGHT)),
            ),
            models.Index(fields=["updated_at"], name="order_unannounced", condition=~Q(announced=models.F("status"))),
            models.Index(fields=["market"], name="order_by_market"),
            models.Index(fields=["account", "-created_at"], name="order_by_account"),
            models.Index(fields=["exposure_id", "-created_at"], name="order_by_exposure"),
            models.Index(fields=["-created_at"], name="order_newest"),
            models.Index(fields=["venue_order_id"], name="order_by_venue_id", condition=~Q(venue_order_id="")),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.outcome} {self.size.normalize():f} @ {self.price.normalize():f}"


class Fill(models.Model):
    """One execution of one order of ours, once. Matched at the venue first, settled on the chain after."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_index=False, related_name="fills")
    market = models.ForeignKey("markets.Market", on_delete=models.PROTECT, db_index=False, related_name="fills")
    order = models.ForeignKey(Order, on_delete=models.PROTECT, null=True, blank=True, related_name="fills")
    exposure_id = models.UUIDField(null=True, blank=True, help_text="Set when the order was a hedge.")
    trade_id = models.CharField(max_length=160)
    settlement_id = models.CharField(max_length=80, blank=True)
    order_hash = models.CharField(max_length=66)
    outcome = models.CharField(max_length=3, choices=choices(Outcome))
    action = models.CharField(max_length=4, choices=choices(Action))
    price = AmountField()
    size = AmountField()
    fee = AmountField(null=True, blank=True)
    fee_kind = models.CharField(max_length=10, choices=choices(FeeKind), null=True, blank=True)
    liquidity = models.CharField(max_length=5, choices=choices(Liquidity), null=True, blank=True)
    settlement = models.CharField(max_length=7, choices=choices(Settlement), default=Settlement.MATCHED.value)
    transaction_hash = models.CharField(max_length=66, blank=True)
    venue_time = models.DateTimeField(null=True, blank=True)
    received_at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["account", "trade_id"], name="fill_once")]
        indexes = [
            models.Index(fields=["market"], name="fill_by_market"),
            models.Index(fields=["order_hash"], name="fill_by_order_hash"),
            models.Index(fields=["-received_at"], name="fill_newest"),
            models.Index(fields=["settled_at"], name="fill_failed", condition=Q(settlement="failed")),
            models.Index(fields=["account", "market"], name="fill_unsettled", condition=Q(settlement="matched")),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.outcome} {self.size.normalize():f} @ {self.price.normalize():f}"


class Position(models.Model):
    """One account's shares of one outcome of one market, as the ledger's fills add up."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_index=False, related_name="positions")
    market = models.ForeignKey("markets.Market", on_delete=models.PROTECT, db_index=False, related_name="positions")
    outcome = models.CharField(max_length=3, choices=choices(Outcome))
    size = AmountField(default=Decimal(0))
    cost = AmountField(default=Decimal(0))
    realized = AmountField(default=Decimal(0))
    fees = AmountField(default=Decimal(0))
    cash = AmountField(default=Decimal(0))
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ["account", "market", "outcome"]
        constraints = [models.UniqueConstraint(fields=["account", "market", "outcome"], name="position_once")]
        indexes = [models.Index(fields=["market"], name="position_by_market")]

    def __str__(self) -> str:
        return f"{self.size.normalize():f} {self.outcome}"


class Reconciliation(models.Model):
    """How an account's books last compared with its venue. Counts are totals since the account was made."""

    account = models.OneToOneField(Account, on_delete=models.CASCADE, primary_key=True, related_name="reconciliation")
    checked_at = models.DateTimeField(help_text="The last try.")
    agreed_at = models.DateTimeField(null=True, blank=True, help_text="When nothing was left unexplained.")
    failing_since = models.DateTimeField(null=True, blank=True, help_text="Since when something stays unexplained.")
    tries = models.IntegerField(default=0, help_text="Looks in a row that left something unexplained.")
    unreachable_since = models.DateTimeField(
        null=True, blank=True, help_text="Since when nobody could look: the venue, the proxy or our engine is away."
    )
    fills_missing = models.BigIntegerField(default=0, help_text="Found at the venue and brought into the books.")
    fills_failed = models.BigIntegerField(default=0, help_text="Settlements that failed unheard.")
    orders_changed = models.BigIntegerField(default=0, help_text="Statuses the ledger learned here.")
    orders_foreign = models.IntegerField(default=0, help_text="Open at the venue and not ours, at the last look.")
    orders_undead = models.IntegerField(default=0, help_text="Ended here and open at the venue, at the last look.")
    orders_missing = models.IntegerField(default=0, help_text="Open here and unknown to the venue, at the last look.")
    positions_apart = models.IntegerField(default=0, help_text="Holdings that two looks saw differ from the ledger.")
    fills_silent = models.IntegerField(default=0, help_text="Matched long ago and never settled nor failed.")
    explanations = models.JSONField(default=list, help_text="What differed at the last look, a sentence each.")

    def __str__(self) -> str:
        return f"{self.account}: {'unreconciled' if self.failing_since else 'reconciled'}"


class ConnectionTest(models.Model):
    """One try of an account's whole way to its venue, asked for by a person and carried out by a worker."""

    class Status(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        PASSED = "passed"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="connection_tests")
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.WAITING)
    steps = models.JSONField(
        default=list, help_text="name, state (waiting, running, ok, failed, skipped), text, took_ms."
    )
    problem = models.CharField(max_length=400, blank=True, help_text="What went wrong and what to do; else empty.")
    asked_by = models.CharField(max_length=150)
    asked_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-asked_at"]
        indexes = [models.Index(fields=["account", "-asked_at"], name="connection_test_newest")]

    def __str__(self) -> str:
        return f"test of {self.account}: {self.status}"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be written on it."""
        return self.finished_at is not None


class Desk(models.Model):
    """The one row that says whether the desk may send orders. `generation` grows with every stop and every lift.

    `stopped` is the desk's HALTED, in levels. `state` is ACTIVE or REDUCING while it is not stopped.
    """

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    stopped = models.BooleanField(default=False)
    level = models.CharField(max_length=16, blank=True)
    state = models.CharField(max_length=10, choices=choices(TradingState), default=TradingState.ACTIVE.value)
    generation = models.BigIntegerField(default=0)
    changed_by = models.CharField(max_length=150, blank=True)
    reason = models.CharField(max_length=255, blank=True)
    changed_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "desk and stops"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_desk")]

    def __str__(self) -> str:
        return f"the desk, {self.standing}"

    @property
    def is_reducing(self) -> bool:
        """Whether only what lowers a holding leaves; while stopped, the stop says what leaves."""
        return not self.stopped and self.state == TradingState.REDUCING.value

    @property
    def standing(self) -> str:
        """What it does, in words."""
        return "stopped" if self.stopped else "only reducing" if self.is_reducing else "trading"


class EngineLease(models.Model):
    """A process that may send orders, and only on a fresh lease. A stop waits for its word or the lease's end."""

    name = models.CharField(max_length=64, primary_key=True)
    pid = models.IntegerField()
    generation_seen = models.BigIntegerField()
    started_at = models.DateTimeField()
    renewed_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class EquityPoint(models.Model):
    """What the whole desk was worth at one moment. Null is unknown, never zero: an unread balance, a share unpriced."""

    at = models.DateTimeField(primary_key=True)
    collateral = AmountField(null=True, help_text="Σ balances; null while some account's was never read.")
    value = AmountField(null=True, help_text="Σ shares at their mark; null while some market has no mark.")
    cost = AmountField(help_text="What these shares cost.")
    realized = AmountField()
    accounts = models.IntegerField()
    unmarked = models.IntegerField(default=0, help_text="Positions without a mark.")

    class Meta:
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S}"

    @property
    def equity(self) -> Decimal | None:
        """Collateral and shares together; None when either is unknown."""
        return None if self.collateral is None or self.value is None else self.collateral + self.value

    @property
    def profit(self) -> Decimal | None:
        """Realized and unrealized result since the first fill; deposits do not move it."""
        return None if self.value is None else self.realized + self.value - self.cost
