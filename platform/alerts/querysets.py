"""Alert rows as pages and the bot ask for them."""

from django.db.models import QuerySet

from alerts.models import Alert


def load_open() -> QuerySet[Alert]:
    """Alerts nobody has acknowledged, the last seen first."""
    return Alert.objects.filter(acknowledged_at__isnull=True).order_by("-last_seen_at")
