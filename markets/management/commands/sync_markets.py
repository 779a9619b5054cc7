"""`manage.py sync_markets`: bring market rows in step with the venues, once, and say what changed."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from markets.endpoints import load_endpoints
from markets.sync import sync_markets
from trading.enums import Platform
from trading.errors import VenueError


class Command(BaseCommand):
    """One run of the sync that the worker does every minute."""

    help = "Bring market rows in step with the venues, once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--platform", choices=[platform.value for platform in Platform], help="only this one")

    def handle(self, *args: Any, **options: Any) -> None:
        for platform, endpoints in load_endpoints().items():
            if options["platform"] in (None, platform.value):
                self._sync(platform, endpoints)

    def _sync(self, platform: Platform, endpoints: Any) -> None:
        try:
            sync_markets(
                platform, endpoints, timezone.now(), lambda text: self.stdout.write(f"{platform.value}: {text}")
            )
        except VenueError as error:
            raise CommandError(f"{platform.value} can't be read now ({error.slug}); nothing was changed.") from error
