"""What the bot remembers: whose chat it is and what they want to hear, what is to be sent, what was already done."""

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from markets.fields import AmountField


class Kind(models.TextChoices):
    """What a chat can choose to hear of."""

    FILL = "fill", "fills"
    ORDER_ERROR = "order_error", "orders denied or rejected"
    ORDER_UNKNOWN = "order_unknown", "orders nobody knows the state of"
    IMBALANCE = "imbalance", "positions out of balance"
    UNHEDGED = "unhedged", "shares unhedged too long"
    HALT = "halt", "stops, halts and starts"
    CONNECTION = "connection", "connections lost and found"
    RECONCILE = "reconcile", "settlements and reconciles that failed"
    ALERT = "alert", "every other alert"
    SUMMARY = "summary", "the daily summary"


def every_kind() -> list[str]:
    """A new chat hears of everything."""
    return list(Kind.values)


class TelegramChat(models.Model):
    """A Telegram user's private chat, linked to a person of the platform. Its rights are that person's, always."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="telegram_chats")
    telegram_id = models.BigIntegerField(unique=True, help_text="The Telegram user's id, which is the chat's too.")
    name = models.CharField(max_length=128, blank=True)
    is_blocked = models.BooleanField(default=False, help_text="Gets nothing and may do nothing.")
    is_deaf = models.BooleanField(default=False, editable=False, help_text="The person blocked the bot in Telegram.")
    linked_at = models.DateTimeField()

    kinds = ArrayField(models.CharField(max_length=16, choices=Kind.choices), default=every_kind, blank=True)
    accounts = ArrayField(models.UUIDField(), default=list, blank=True, help_text="Only these; empty for all.")
    fill_least = AmountField(default=Decimal(0), help_text="Fills of fewer shares are not told.")
    imbalance_least = AmountField(default=Decimal(100), help_text="Shares owed on one exposure.")
    unhedged_after_s = models.PositiveIntegerField(default=60)
    quiet_from = models.TimeField(null=True, blank=True, help_text="UTC. Only critical alerts between these hours.")
    quiet_to = models.TimeField(null=True, blank=True)
    muted_until = models.DateTimeField(null=True, blank=True)
    summary_hour = models.PositiveSmallIntegerField(default=7, help_text="The UTC hour of the daily summary.")
    summarized_on = models.DateField(null=True, editable=False)

    class Meta:
        ordering = ["user", "telegram_id"]
        verbose_name = "chat"

    def __str__(self) -> str:
        return f"{self.user}: {self.name or self.telegram_id}"


class LinkCode(models.Model):
    """A one-time code that links a chat to `user`. Only its hash is kept."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    made_by = models.CharField(max_length=150)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"code for {self.user}"


class OutboxMessage(models.Model):
    """One message to one chat. `key` makes it one, however often its cause is read; `status` says how far it is."""

    class Status(models.TextChoices):
        WAITING = "waiting"
        SENDING = "sending"
        SENT = "sent"
        FAILED = "failed"

    chat = models.ForeignKey(TelegramChat, on_delete=models.CASCADE, related_name="messages")
    key = models.CharField(max_length=200)
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.ALERT)
    group = models.CharField(max_length=32, blank=True, help_text="Waiting messages of one group become one message.")
    text = models.TextField()
    buttons = models.JSONField(default=list, blank=True, help_text="Rows of [label, action, {argument: value}].")
    picture = models.BinaryField(null=True, blank=True)
    document = models.BinaryField(null=True, blank=True)
    document_name = models.CharField(max_length=80, blank=True)
    silent = models.BooleanField(default=False)
    priority = models.SmallIntegerField(default=0, help_text="Higher leaves first.")
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    reason = models.CharField(max_length=255, blank=True)
    message_id = models.BigIntegerField(null=True)
    due_at = models.DateTimeField()
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        verbose_name = "message"
        constraints = [models.UniqueConstraint(fields=["chat", "key"], name="told_once")]
        indexes = [
            models.Index(fields=["due_at"], name="outbox_due", condition=Q(status__in=["waiting", "sending"])),
            models.Index(fields=["created_at"], name="outbox_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} to {self.chat}: {self.status}"


class Callback(models.Model):
    """What a button does. Telegram carries only its id and a signature; who may press it, and until when, is here."""

    LIFE = timedelta(days=2)

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    telegram_id = models.BigIntegerField()
    action = models.CharField(max_length=32)
    arguments = models.JSONField(default=dict)
    is_once = models.BooleanField(default=False)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["expires_at"], name="callback_by_end")]

    def __str__(self) -> str:
        return self.action


class SeenUpdate(models.Model):
    """An update taken from Telegram. Taken once: what it asks for is done at most once, even after a crash."""

    update_id = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.update_id)
