"""People, their programs' tokens, and what they did: the audit log that can only grow."""

import uuid

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models


class User(AbstractUser):
    """A person who signs in. What they may do follows from their role, a Django group (see `roles.py`)."""

    account_tags = ArrayField(
        models.CharField(max_length=32),
        default=list,
        blank=True,
        help_text="Only accounts with one of these tags, over the API; empty means every account.",
    )

    class Meta(AbstractUser.Meta):
        ordering = ["username"]
        verbose_name = "person"
        verbose_name_plural = "people"


class ApiToken(models.Model):
    """A program's key to the API, in a person's name. Only its hash is kept; `tokens.py` makes and finds them."""

    class Role(models.TextChoices):
        VIEWER = "viewer"
        TRADER = "trader"
        ADMIN = "admin"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=64, help_text="What uses it.")
    role = models.CharField(
        max_length=8, choices=Role.choices, default=Role.VIEWER, help_text="At most this; never more than its person."
    )
    account_tags = ArrayField(
        models.CharField(max_length=32),
        default=list,
        blank=True,
        help_text="Only accounts with one of these tags; empty means every account its person may see.",
    )
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(editable=False)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.name} of {self.user}"


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
        verbose_name_plural = "audit log"
        indexes = [
            models.Index(fields=["object_type", "object_id", "-id"], name="audit_by_object"),
            models.Index(fields=["-at"], name="audit_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.who}: {self.action} {self.object_name}".strip()
