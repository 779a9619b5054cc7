"""Alerts: what needs a person, and who has taken note."""

from django.contrib import admin
from django.db import transaction
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


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """Alerts, last seen first. Acknowledging one lets the same thing raise a new one."""

    list_display = ("last_seen_at", "severity", "kind", "subject", "text", "count", "raised_at", "resolved_at",
                    "acknowledged_by")  # fmt: skip
    list_filter = ("severity", ("acknowledged_at", admin.EmptyFieldListFilter),
                   ("resolved_at", admin.EmptyFieldListFilter), "kind")  # fmt: skip
    date_hierarchy = "last_seen_at"
    search_fields = ("subject", "kind")
    ordering = ("-last_seen_at",)
    list_select_related = ("acknowledged_by",)
    reasoned = (ReasonedAction("acknowledge_alerts", "Acknowledge", take_note),)
