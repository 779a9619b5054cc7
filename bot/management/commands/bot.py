"""`manage.py bot`: the Telegram bot until SIGTERM or Ctrl-C (bot/process.py). Several may run; one leads."""

import asyncio
import signal
from typing import Any

from aiogram.utils.token import TokenValidationError, validate_token
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from bot.hands import widen_pool
from bot.process import BotProcess, BotSettings


class Command(BaseCommand):
    help = "Run the Telegram bot: alerts out, commands in. Needs TELEGRAM_BOT_TOKEN."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.TELEGRAM_BOT_TOKEN:
            raise CommandError("TELEGRAM_BOT_TOKEN is not set: ask @BotFather for a bot, then set it.")
        try:
            validate_token(settings.TELEGRAM_BOT_TOKEN)
        except TokenValidationError:
            raise CommandError("TELEGRAM_BOT_TOKEN is not a bot's token; it looks like 123456:ABC…") from None
        if settings.LIVE and not settings.TELEGRAM_API_URL.startswith(
            ("https://", "http://127.0.0.1:", "http://[::1]:")
        ):
            raise CommandError("TELEGRAM_API_URL must be https:// in live mode: the token travels in it.")
        if settings.TELEGRAM_WEBHOOK_URL and not settings.TELEGRAM_WEBHOOK_SECRET:
            raise CommandError("TELEGRAM_WEBHOOK_URL needs TELEGRAM_WEBHOOK_SECRET: any long random word.")
        widen_pool(settings.DATABASES)
        asyncio.run(run())


async def run() -> None:
    """Run one bot until this process is told to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await BotProcess(
        BotSettings(
            token=settings.TELEGRAM_BOT_TOKEN,
            api_url=settings.TELEGRAM_API_URL,
            database_url=settings.DATABASE_URL,
            redis_url=settings.REDIS_URL,
            webhook_url=settings.TELEGRAM_WEBHOOK_URL,
            webhook_secret=settings.TELEGRAM_WEBHOOK_SECRET,
            webhook_host=settings.TELEGRAM_WEBHOOK_HOST,
            webhook_port=settings.TELEGRAM_WEBHOOK_PORT,
        )
    ).run(stop)
