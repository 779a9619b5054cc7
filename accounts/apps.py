"""Django's registration of the accounts app."""

from contextlib import suppress
from typing import Any

from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    """Names the app and its primary keys, and keeps the desk's one row."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "accounts"
    verbose_name = "Accounts"

    def ready(self) -> None:
        post_migrate.connect(_keep_desk, sender=self)


def _keep_desk(sender: AppConfig, **given: Any) -> None:
    """After a migration, with the models of that moment, and after a flush, which names none."""
    models = given.get("apps") or apps
    with suppress(LookupError):
        models.get_model("accounts", "Desk").objects.using(given["using"]).get_or_create(pk=1)
