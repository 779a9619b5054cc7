"""Alerts: what needs a person, and who has taken note."""

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from alerts.models import Alert
from alerts.raising import acknowledge
from identity.admin_actions import Given, ReasonedAction
from identity.audit import record_audit
from identity.back_office import ADMIN_SOURCE, ReadOnlyAdmin, person_of


def take_note(request: HttpRequest, alert: Alert, given: Given) -> str:
    """An action's step for one alert."""
    person = person_of(request)
    with transaction.atomic():
        if not acknowledge(alert.pk, person):
            return f"{alert.subject} was acknowledged before."
        record_audit("alert.acknowledged", user=person, subject=alert, reason=given["reason"], source=ADMIN_SOURCE)
    return f"{alert.subject} is acknowledged. The same thing will raise a new alert."


class Standing(admin.SimpleListFilter):
    """Whether anything is left to do about it."""

    title = "standing"
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Open"), ("acknowledged", "Acknowledged, its cause not gone"), ("resolved", "Resolved")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Alert]) -> QuerySet[Alert]:
        match self.value():
            case "open":
                return queryset.filter(resolved_at__isnull=True, acknowledged_at__isnull=True)
            case "acknowledged":
                return queryset.filter(resolved_at__isnull=True, acknowledged_at__isnull=False)
            case "resolved":
                return queryset.filter(resolved_at__isnull=False)
        return queryset


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """Alerts, last seen first. Acknowledging one lets the same thing raise a new one."""

    list_display = ("last_seen_at", "severity", "kind", "subject", "text", "count", "raised_at", "resolved_at",
                    "acknowledged_by")  # fmt: skip
    list_filter = (Standing, "severity", "kind")
    date_hierarchy = "last_seen_at"
    search_fields = ("subject", "kind")
    ordering = ("-last_seen_at",)
    list_select_related = ("acknowledged_by",)
    reasoned = (ReasonedAction("acknowledge_alerts", "Acknowledge", take_note),)
