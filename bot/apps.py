"""Django's registration of the bot app."""

from django.apps import AppConfig


class BotConfig(AppConfig):
    """Names the app and its primary keys."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "bot"
    verbose_name = "Telegram"
