"""`manage.py rehearse`: real fills on the paper venue, then venue, ledger and exposures compared. Paper mode only.

Works against the system that runs on the state folder, or starts a private one and stops it again. Progress goes to
standard error; the last line of standard output is the result as one JSON object. Exit code 0 only when nothing was
lost, doubled or left unhedged.
"""

import sys
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from strategies.paper_venue import PaperVenue
from strategies.rehearsal.patience import RanOut
from strategies.rehearsal.private import PrivateSystemFailed, rehearse_privately
from strategies.rehearsal.processes import NAMES, is_running
from strategies.rehearsal.run import Rehearsal
from trading.errors import TradingError


class Command(BaseCommand):
    """Runs one rehearsal."""

    help = "Trade real fills on the paper venue and compare venue, ledger and exposures. Paper mode only."

    _began = 0.0

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--fills", type=int, required=True, help="fills of the primaries to make")
        parser.add_argument("--accounts", type=int, default=10, help="paper accounts to trade with, an even number")
        parser.add_argument("--kill", choices=sorted(NAMES), help="kill this with SIGKILL half-way")
        parser.add_argument("--storm", action="store_true", help="random kills and venue faults all the while")
        parser.add_argument("--seed", type=int, default=1, help="the storm's seed")
        parser.add_argument("--timeout", type=float, default=900.0, help="seconds until it gives up")
        parser.add_argument("--json", action="store_true", help="print nothing but the JSON line to standard output")
        parser.add_argument("--private", action="store_true", help="start a system of its own even if one runs")

    def handle(self, *args: Any, **options: Any) -> None:
        self._began = time.monotonic()
        if settings.LIVE:
            raise CommandError("A rehearsal trades paper money only; this process is in live mode.")
        if options["fills"] < 1 or options["accounts"] < 2 or options["accounts"] % 2:
            raise CommandError("Give at least one fill, and an even number of accounts, at least 2.")
        state_dir = Path(settings.STATE_DIR)
        if options["private"] or not is_running(state_dir):
            self._rehearse_privately(options)
            return
        rehearsal = Rehearsal(
            PaperVenue(settings.PREDICT_API_URL),
            settings.REDIS_URL,
            state_dir,
            fills=options["fills"],
            accounts=options["accounts"],
            timeout_s=options["timeout"],
            kill=options["kill"],
            say=self._say,
            storm_seed=options["seed"] if options["storm"] else None,
        )
        try:
            report = rehearsal.run()
        except RanOut as error:
            raise CommandError(f"The rehearsal ran out of time ({error}); give it more with --timeout.") from error
        except TradingError as error:
            raise CommandError(str(error)) from error
        if not options["json"]:
            self.stdout.write("Passed." if report.ok else "Not passed:")
            for detail in report.details:
                self.stdout.write(f"  {detail}")
        self.stdout.write(report.encode())
        self.stdout.flush()
        if not report.ok:
            sys.exit(1)

    def _rehearse_privately(self, options: dict[str, Any]) -> None:
        self._say("no system runs here; starting a private one")
        arguments = ["rehearse", "--fills", str(options["fills"]), "--accounts", str(options["accounts"])]
        arguments += ["--timeout", str(options["timeout"])]
        arguments += ["--kill", options["kill"]] if options["kill"] else []
        arguments += ["--storm", "--seed", str(options["seed"])] if options["storm"] else []
        arguments += ["--json"] if options["json"] else []
        try:
            code = rehearse_privately(Path(settings.BASE_DIR), options["accounts"], arguments, self._say)
        except PrivateSystemFailed as error:
            raise CommandError(str(error)) from error
        if code:
            sys.exit(code)

    def _say(self, sentence: str) -> None:
        self.stderr.write(f"[{time.monotonic() - self._began:6.1f} s] {sentence}")
        self.stderr.flush()
