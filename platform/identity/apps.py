"""Django's registration of the identity app."""

from django.apps import AppConfig


class IdentityConfig(AppConfig):
    """Names the app and its primary keys."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "identity"
    verbose_name = "Identity"
