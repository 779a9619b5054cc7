"""`manage.py setup`: everything a database needs before processes start. Run at each start after `migrate`; idempotent.

1. Make the vault's key pair, if there is none and this process is told where the private key lies.
2. Give the roles their permissions.
3. Make the operator's login, and print its password this one time.
4. In paper mode, make the demo desk.
"""

import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from accounts.vault import VaultError, ensure_vault
from identity.audit import record_audit
from identity.models import AuditEntry, User
from identity.roles import Role, record_role_permissions
from strategies.demo import ensure_demo_desk

OPERATOR = "operator"
PASSWORD_BYTES = 15


class Command(BaseCommand):
    """Vault, roles, operator, demo desk."""

    help = "Make the vault, the roles, the operator's login and, in paper mode, the demo desk. Changes nothing twice."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--accounts", type=int, default=10, help="paper accounts of the demo desk; 0 for none")
        parser.add_argument("--reset-operator", action="store_true", help="give the operator a new password, print it")

    def handle(self, *args: Any, **options: Any) -> None:
        self._ensure_vault()
        record_role_permissions()
        password = record_operator(reset=options["reset_operator"])
        if password is not None:
            self.stdout.write(f"Operator login: {OPERATOR}   password: {password}")
            self.stdout.write("It is shown only now. `manage.py setup --reset-operator` makes a new one.")
        if not settings.LIVE and options["accounts"]:
            ensure_demo_desk(accounts=options["accounts"])

    def _ensure_vault(self) -> None:
        """Only a process that is told the private key's place may make it; the web tier is not."""
        if not settings.VAULT_PRIVATE_KEY_FILE:
            return
        directory = Path(settings.VAULT_PRIVATE_KEY_FILE).parent
        try:
            files = ensure_vault(directory)
        except VaultError as error:
            raise CommandError(str(error)) from error
        for made, named, variable in (
            (files.private, settings.VAULT_PRIVATE_KEY_FILE, "HEDGEROW_VAULT_PRIVATE_KEY_FILE"),
            (files.public, settings.VAULT_PUBLIC_KEY_FILE, "HEDGEROW_VAULT_PUBLIC_KEY_FILE"),
        ):
            if made != Path(named) and not Path(named).exists():
                raise CommandError(f"{variable} names {named}, but the vault's key is {made}. Set it to that path.")


def record_operator(*, reset: bool) -> str | None:
    """Make the operator, or with `reset` give them a new password. Gives it, or None when nothing was done."""
    with transaction.atomic():
        operator = User.objects.select_for_update().filter(username=OPERATOR).first()
        if operator is not None and not reset:
            return None
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        made = operator is None
        if operator is None:
            operator = User(username=OPERATOR, is_staff=True, is_superuser=True)
        operator.is_active = True
        operator.set_password(password)
        operator.save()
        operator.groups.add(Group.objects.get(name=Role.ADMIN.value))
        record_audit(
            "user.created" if made else "user.password_reset",
            who="manage.py setup",
            subject=operator,
            source=AuditEntry.Source.COMMAND,
        )
    return password
