"""Django's registration of the hedgerow app."""

from django.apps import AppConfig
from django.contrib import admin

import hedgerow.celery  # what is handed to a worker needs to know its broker
import hedgerow.checks  # noqa: F401 - registers what a live process refuses to start on


class HedgerowConfig(AppConfig):
    """Names the app and its primary keys."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "hedgerow"
    verbose_name = "Hedgerow"

    def ready(self) -> None:
        """The admin's first page says what it is."""
        admin.site.index_title = "Overview"
