"""Django's registration of the alerts app."""

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    """Names the app and its primary keys."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "alerts"
    verbose_name = "Alerts"
