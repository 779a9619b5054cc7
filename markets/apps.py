"""Django's registration of the markets app."""

from django.apps import AppConfig


class MarketsConfig(AppConfig):
    """Names the app and its primary keys."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "markets"
    verbose_name = "Markets"
