"""`manage.py deadletters list|replay|purge`: messages that could not be handled (streams/deadletters.py).

What is done to them stands in the audit log first, with the reason. A replay that is killed is ended by a worker.
"""

from typing import Any

import redis
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from hedgerow.replaying import record_request, run_replay
from identity.audit import record_audit
from identity.models import AuditEntry
from streams.connection import connect_now
from streams.deadletters import DeadLetter, get_dead_letter, load_dead_letters, purge
from streams.names import ALL_STREAMS
from streams.positions import split
from streams.replays import load_replay

BY = "manage.py deadletters"
COMMAND = AuditEntry.Source.COMMAND.value


class Command(BaseCommand):
    help = "List, replay or purge messages that could not be handled."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        listing = actions.add_parser("list", help="show the newest, newest first")
        listing.add_argument("--stream", choices=ALL_STREAMS)
        listing.add_argument("--limit", type=int, default=50)
        for name, about in (
            ("replay", "put messages back on their stream, to be handled again"),
            ("purge", "delete messages for good"),
        ):
            action = actions.add_parser(name, help=about)
            action.add_argument("stream", choices=ALL_STREAMS)
            which = action.add_mutually_exclusive_group(required=True)
            which.add_argument("ids", nargs="*", default=[], help="ids as `list` shows them")
            which.add_argument("--all", action="store_true", help="every dead letter of the stream")
            action.add_argument("--reason", required=True, help="why; kept in the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        client = connect_now(settings.REDIS_URL)
        try:
            if options["action"] == "list":
                self._list(load_dead_letters(client, options["stream"], options["limit"]))
            elif not options["reason"].strip():
                raise CommandError("Say why: --reason is empty.")
            elif options["action"] == "replay":
                self._replay(client, options["stream"], options["ids"], options["reason"])
            else:
                self._purge(client, options["stream"], options["ids"], options["reason"])
        except redis.ConnectionError as error:
            raise CommandError("Redis does not answer. Is the system running? (REDIS_URL)") from error
        finally:
            client.close()

    def _list(self, letters: list[DeadLetter]) -> None:
        for letter in letters:
            self.stdout.write(
                f"{letter.stream} {letter.entry_id}  {letter.died_at:%Y-%m-%d %H:%M:%S}  group {letter.group}, "
                f"delivered {letter.deliveries} times\n    {letter.reason}"
            )
        if not letters:
            self.stdout.write("No dead letters.")

    def _replay(self, client: redis.Redis, stream: str, ids: list[str], reason: str) -> None:
        letters = tuple(f"{stream} {letter.entry_id}" for letter in self._named(client, stream, ids))
        newest = load_dead_letters(client, stream, 1)
        if not newest:
            self.stdout.write(f"{stream} has no dead letters.")
            return
        which: dict[str, Any] = {"letters": letters} if ids else {"stream": stream, "until": newest[0].entry_id}
        token = record_request(client, None, reason, who=BY, source=COMMAND, **which)
        run_replay(client, token)
        done = load_replay(client, token)
        if done is None:
            raise CommandError("What became of it is gone from Redis. The audit log says whether it ended.")
        self.stdout.write(f"Replayed {done.done} of {done.plan.total}.")

    def _purge(self, client: redis.Redis, stream: str, ids: list[str], reason: str) -> None:
        letters = self._named(client, stream, ids) if ids else load_dead_letters(client, stream, limit=1_000_000)[::-1]
        if not letters:
            self.stdout.write(f"{stream} has no dead letters.")
            return
        what = {"stream": stream, "total": len(letters)}
        what |= {"letters": ids} if ids else {"until": letters[-1].entry_id}
        record_audit("dead_letters.purged", who=BY, before=what, reason=reason, source=COMMAND)
        done = sum(purge(client, letter) for letter in letters)
        self.stdout.write(f"Purged {done} of {len(letters)}.")

    def _named(self, client: redis.Redis, stream: str, ids: list[str]) -> list[DeadLetter]:
        """Those of these ids, oldest first, so that what is replayed keeps its order."""
        letters = {entry_id: get_dead_letter(client, stream, entry_id) for entry_id in ids}
        missing = [entry_id for entry_id, letter in letters.items() if letter is None]
        if missing:
            raise CommandError(f"{stream} has no dead letter {', '.join(missing)}. See `manage.py deadletters list`.")
        return sorted((letter for letter in letters.values() if letter), key=lambda letter: split(letter.entry_id))
