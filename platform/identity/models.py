"""People and what they did: the user model, and the audit log that can only grow."""

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models


class User(AbstractUser):
    """A person who signs in. What they may do follows from their role, a Django group (see `roles.py`)."""

    class Meta(AbstractUser.Meta):
        ordering = ["username"]


class AuditEntry(models.Model):
    """Who did what to which object, from where and when. A database trigger refuses every change and removal."""

    class Source(models.TextChoices):
        PAGE = "page"
        ADMIN = "admin"
        API = "api"
        BOT = "bot"
        COMMAND = "command"
        SYSTEM = "system"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="audit_entries"
    )
    who = models.CharField(max_length=150, help_text="The user's name then, or the process that acted.")
    action = models.CharField(max_length=64, help_text="Noun and past verb: desk.stopped, strategy.changed.")
    object_type = models.CharField(max_length=64, blank=True)
    object_id = models.CharField(max_length=120, blank=True)
    object_name = models.CharField(max_length=255, blank=True)
    before = models.JSONField(null=True, blank=True, encoder=DjangoJSONEncoder)
    after = models.JSONField(null=True, blank=True, encoder=DjangoJSONEncoder)
    reason = models.CharField(max_length=255, blank=True)
    source = models.CharField(max_length=8, choices=Source.choices, default=Source.SYSTEM)
    address = models.GenericIPAddressField(null=True, blank=True)
    at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["object_type", "object_id", "-id"], name="audit_by_object"),
            models.Index(fields=["-at"], name="audit_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.who}: {self.action} {self.object_name}".strip()
