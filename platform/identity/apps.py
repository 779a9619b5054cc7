"""Django's registration of the identity app."""

from django.apps import AppConfig, apps


class IdentityConfig(AppConfig):
    """Names the app and its primary keys."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "identity"
    verbose_name = "People"

    def ready(self) -> None:
        """A role is one of Django's groups: the admin calls it what its menu does."""
        apps.get_app_config("auth").verbose_name = "Roles"
        role = apps.get_model("auth", "Group")._meta
        role.verbose_name, role.verbose_name_plural = "role", "roles"
