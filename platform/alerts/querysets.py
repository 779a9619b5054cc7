"""Alert rows as pages and the bot ask for them."""

from django.db.models import Count, QuerySet

from alerts.models import Alert
from trading.enums import Severity


def load_open() -> QuerySet[Alert]:
    """Alerts nobody has acknowledged and whose cause lasts, the last seen first."""
    return Alert.objects.filter(acknowledged_at__isnull=True, resolved_at__isnull=True).order_by("-last_seen_at")


def count_open() -> dict[str, int]:
    """How many open alerts there are of each severity that has any, the worst first."""
    found = dict(load_open().order_by().values_list("severity").annotate(count=Count("id")))
    return {severity: found[severity] for severity in reversed(Severity) if severity in found}
