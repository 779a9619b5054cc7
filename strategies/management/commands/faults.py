"""`manage.py faults`: what the paper venue does wrong, on request. Paper mode only.

    manage.py faults                                     show the rules in force, and how often each has struck
    manage.py faults set latency_ms=400@0.2 drop_events@0.1 http_5xx:3
    manage.py faults clear

A rule is KIND[=MILLISECONDS][@PROBABILITY][:COUNT]. `set` replaces all rules; they outlive the venue's process.
"""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from strategies.fault_rules import describe_rule, parse_rule
from strategies.paper_venue import PaperVenue
from trading.errors import TradingError


class Command(BaseCommand):
    """Shows, replaces or clears the fault rules."""

    help = "Show or set the faults of the paper venue. Paper mode only."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", nargs="?", choices=("show", "set", "clear"), default="show")
        parser.add_argument("rules", nargs="*", help="KIND[=MILLISECONDS][@PROBABILITY][:COUNT]")
        parser.add_argument("--seed", type=int, help="of the venue's dice, for a storm that can be told again")

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.LIVE:
            raise CommandError("Only the paper venue commits faults on request; this process is in live mode.")
        action, rules = options["action"], options["rules"]
        if bool(rules) != (action == "set"):
            raise CommandError("`set` needs at least one rule; `show` and `clear` take none.")
        try:
            venue = PaperVenue(settings.PREDICT_API_URL)
            if action == "show":
                standing = venue.load_faults()
            else:
                standing = venue.set_faults([parse_rule(rule) for rule in rules], options["seed"])
        except TradingError as error:
            raise CommandError(str(error)) from error
        for rule in standing:
            self.stdout.write(describe_rule(rule))
        if not standing:
            self.stdout.write("No faults: the venue behaves.")
