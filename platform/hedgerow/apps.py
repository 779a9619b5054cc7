"""Django's registration of the hedgerow app."""

from django.apps import AppConfig


class HedgerowConfig(AppConfig):
    """Names the app and its primary keys."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "hedgerow"
    verbose_name = "Hedgerow"
