"""`manage.py quoter`: keep the demo desk's primaries quoting on the paper venue, until stopped. Paper mode only."""

import signal
import threading
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from strategies.quoter import make_quoter


class Command(BaseCommand):
    """Runs the quoter in the foreground."""

    help = "Keep the demo desk's primaries quoting on the paper venue, until stopped. Paper mode only."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--seed", type=int, default=1, help="sizes and sides follow from it")

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.LIVE:
            raise CommandError("The quoter trades paper money only; this process is in live mode.")
        ended = threading.Event()

        def end(number: int, frame: FrameType | None) -> None:
            ended.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, end)
        make_quoter(options["seed"]).run(ended)
