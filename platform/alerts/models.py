"""Alert rows: what a person should know, raised once and counted after."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from trading.enums import Severity


class Alert(models.Model):
    """One thing that went wrong. Open until a person acknowledges it or its cause is gone; the same again counts up."""

    class Level(models.TextChoices):
        INFO = Severity.INFO.value
        WARNING = Severity.WARNING.value
        CRITICAL = Severity.CRITICAL.value

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    severity = models.CharField(max_length=8, choices=Level.choices)
    kind = models.CharField(max_length=64, help_text="What sort of thing: one of alerts.kinds.")
    subject = models.CharField(max_length=200, help_text="What it is about, by name.")
    text = models.TextField()
    dedup_key = models.CharField(max_length=255, help_text="The same key while open is the same alert.")
    raised_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    count = models.PositiveIntegerField(default=1)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="acknowledged_alerts"
    )
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True, help_text="When its cause was seen to be gone.")

    class Meta:
        ordering = ["-last_seen_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["dedup_key"],
                condition=Q(acknowledged_at__isnull=True, resolved_at__isnull=True),
                name="alert_open_once",
            )
        ]
        indexes = [
            models.Index(fields=["-last_seen_at"], name="alert_newest"),
            models.Index(fields=["kind", "dedup_key"], condition=Q(resolved_at__isnull=True), name="alert_unresolved"),
        ]

    def __str__(self) -> str:
        return f"{self.severity}: {self.subject}"
