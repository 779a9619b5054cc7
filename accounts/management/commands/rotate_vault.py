"""`manage.py rotate_vault`: a new key pair for the vault, every secret sealed anew. Run it where the private key is.

A run that was killed is ended by the next one. The old private key stays until `--remove-retired`.
"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.rotation import remove_retired, rotate_vault
from accounts.vault import VaultError
from identity.models import AuditEntry

BY = "manage.py rotate_vault"
COMMAND = AuditEntry.Source.COMMAND.value


class Command(BaseCommand):
    """Rotate, or end an unfinished rotation; with --remove-retired only remove what nothing needs."""

    help = "Make the vault a new key pair and seal every secret anew for it. Processes may go on running."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--reason", required=True, help="why; kept in the audit log")
        parser.add_argument(
            "--remove-retired",
            action="store_true",
            help="rotate nothing: remove the private keys of before that no secret needs",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            (self._remove if options["remove_retired"] else self._rotate)(options["reason"])
        except VaultError as error:
            raise CommandError(str(error)) from error

    def _rotate(self, reason: str) -> None:
        done = rotate_vault(by=BY, reason=reason, source=COMMAND)
        if done.before == done.vault_key:
            self.stdout.write(
                f"An earlier rotation was unfinished: it is ended, {done.rows} secrets were left to seal."
            )
            self.stdout.write("The key was not changed once more. For that, run this again.")
        else:
            self.stdout.write(f"Sealed with {done.vault_key} from now on, {done.rows} secrets anew.")
            self.stdout.write(
                f"The private key of {done.before} stays until --remove-retired. Back up the new one now."
            )
        if done.left:
            told = "\n".join(f"  {line}" for line in done.left)
            raise CommandError(
                f"{len(done.left)} secrets stay as they were:\n{told}\nReplace them, then run this again."
            )

    def _remove(self, reason: str) -> None:
        removed, kept = remove_retired(by=BY, reason=reason, source=COMMAND)
        for name in removed:
            self.stdout.write(f"Removed {name}.")
        for name, why in kept.items():
            self.stdout.write(f"Kept {name}: {why}.")
        if not removed and not kept:
            self.stdout.write("There is no private key of before.")
