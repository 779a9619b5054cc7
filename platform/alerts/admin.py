"""Alerts: what needs a person, and who has taken note."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from alerts.kinds import title_of
from alerts.models import Alert
from alerts.raising import acknowledge
from identity.admin_actions import Given, ReasonedAction
from identity.audit import record_audit
from identity.back_office import ADMIN_SOURCE, ReadOnlyAdmin, marked, person_of, worded

SEVERITY = marked("severity", {"critical": "bad", "warning": "warn"})


@admin.display(description="kind", ordering="kind")
def kind_title(alert: Alert) -> str:
    """The kind by its title, as on the desk's pages and in messages."""
    return title_of(alert.kind)


def tell_alert(alert: Alert, given: Given) -> Iterable[str]:
    """What it says, for whoever is about to take note of it."""
    yield f"{kind_title(alert)}: {alert.text}"


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

    list_display = ("last_seen_at", SEVERITY, "subject", "text", kind_title, "count", "acknowledged_by", "resolved_at")
    told = {"severity": SEVERITY, "kind": kind_title}
    list_filter = (Standing, "severity", ("kind", worded(title_of)))
    date_hierarchy = "last_seen_at"
    search_fields = ("subject", "kind")
    ordering = ("-last_seen_at",)
    list_select_related = ("acknowledged_by",)
    reasoned = (ReasonedAction("acknowledge_alerts", "Acknowledge", take_note, preview=tell_alert),)
