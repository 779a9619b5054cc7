"""Django's registration of the strategies app."""

from django.apps import AppConfig


class StrategiesConfig(AppConfig):
    """Names the app and its primary keys."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "strategies"
    verbose_name = "Strategies"
