"""`manage.py deadletters list|replay|purge`: messages that could not be handled (streams/deadletters.py)."""

from typing import Any

import redis
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from streams.connection import connect_now
from streams.deadletters import DeadLetter, get_dead_letter, load_dead_letters, purge, replay
from streams.names import ALL_STREAMS


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

    def handle(self, *args: Any, **options: Any) -> None:
        client = connect_now(settings.REDIS_URL)
        try:
            if options["action"] == "list":
                self._list(load_dead_letters(client, options["stream"], options["limit"]))
            else:
                self._act(client, options["action"], self._chosen(client, options))
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

    def _chosen(self, client: redis.Redis, options: dict[str, Any]) -> list[DeadLetter]:
        stream = options["stream"]
        if options["all"]:
            return load_dead_letters(client, stream, limit=1_000_000)
        letters = {entry_id: get_dead_letter(client, stream, entry_id) for entry_id in options["ids"]}
        missing = [entry_id for entry_id, letter in letters.items() if letter is None]
        if missing:
            raise CommandError(f"{stream} has no dead letter {', '.join(missing)}. See `manage.py deadletters list`.")
        return [letter for letter in letters.values() if letter is not None]

    def _act(self, client: redis.Redis, action: str, letters: list[DeadLetter]) -> None:
        # Oldest first, so that what is replayed keeps its order.
        done = 0
        for letter in reversed(letters) if action == "replay" else letters:
            done += bool(replay(client, letter) if action == "replay" else purge(client, letter))
        self.stdout.write(f"{'Replayed' if action == 'replay' else 'Purged'} {done} of {len(letters)}.")
