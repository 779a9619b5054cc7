"""Alerts: what needs a person, and who has taken note."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from alerts.models import Alert
from alerts.raising import acknowledge
from identity.back_office import ReadOnlyAdmin, person_of
from identity.roles import Role, has_role


@admin.action(description="Acknowledge")
def acknowledge_alerts(model_admin: ReadOnlyAdmin, request: HttpRequest, alerts: QuerySet[Alert]) -> None:
    """Close the chosen alerts in this person's name."""
    if not has_role(request.user, Role.TRADER):
        messages.error(request, "This needs the role trader.")
        return
    closed = sum(acknowledge(alert.pk, person_of(request)) for alert in alerts)
    messages.success(request, f"{closed} acknowledged. The same thing will raise a new alert.")


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """Alerts, last seen first. Acknowledging one lets the same thing raise a new one."""

    list_display = ("last_seen_at", "severity", "kind", "subject", "count", "raised_at", "acknowledged_by")
    list_filter = ("severity", "kind", ("acknowledged_at", admin.EmptyFieldListFilter))
    search_fields = ("subject", "text", "kind")
    ordering = ("-last_seen_at",)
    list_select_related = ("acknowledged_by",)
    actions = (acknowledge_alerts,)
