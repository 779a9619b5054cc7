"""Alerts: what needs a person, and who has taken note."""

from django.contrib import admin

from alerts.models import Alert
from identity.back_office import ReadOnlyAdmin


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """Alerts, last seen first. Acknowledging one lets the same thing raise a new one."""

    list_display = ("last_seen_at", "severity", "kind", "subject", "count", "raised_at", "acknowledged_by")
    list_filter = ("severity", "kind", ("acknowledged_at", admin.EmptyFieldListFilter))
    search_fields = ("subject", "text", "kind")
    ordering = ("-last_seen_at",)
    list_select_related = ("acknowledged_by",)
