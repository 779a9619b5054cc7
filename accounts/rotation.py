"""Rotating the vault's key: a new pair, every secret sealed anew for it, the old private key kept until it is removed.

Run by `manage.py rotate_vault` and by a worker (`accounts.tasks.rotate_vault_key`): only where the private key is. It
may be killed anywhere: every secret opens at any moment, and the next run goes on where this one stopped. Plaintext is
never written; a secret's row changes only once its new seal was opened and held the same.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import SealedSecret
from accounts.querysets import count_by_vault_key
from accounts.vault import Opener, Sealer, VaultError, load_private_keys
from accounts.vault_keys import (
    KeyFiles,
    find_retired,
    install_private,
    install_public,
    keep_present,
    load_sealing_key,
    minutes_until_settled,
    prepare_next,
)
from identity.audit import record_audit
from identity.models import AuditEntry, User

SYSTEM = AuditEntry.Source.SYSTEM.value
ONE_AT_A_TIME = 5_870_231_104
"""The number of PostgreSQL's advisory lock: one rotation of a database, wherever it is asked for."""
BATCH = 50
"""Secrets sealed anew in one transaction; they are locked meanwhile."""
STEPS = (("prepared", prepare_next), ("kept", keep_present), ("sealing", install_public), ("present", install_private))

Told = Callable[[str, int, int], None]
"""Hears each step's name once it is durable; of sealing anew (`rows`) how many of how many are done."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Rotation:
    """What a run did. `left` are secrets that do not open, each with the reason: the old key stays for them."""

    before: str
    vault_key: str
    """What is sealed with now. The same as `before` when this run ended an earlier one, or had nothing to do."""
    rows: int
    left: tuple[str, ...]


def ignore(step: str, done: int, total: int) -> None:
    """Nobody follows it."""


def vault_files() -> KeyFiles:
    """The vault of the settings. Raises VaultError in a process that was not given the private key."""
    Opener(settings.VAULT_PRIVATE_KEY_FILE)
    return KeyFiles(Path(settings.VAULT_PRIVATE_KEY_FILE), Path(settings.VAULT_PUBLIC_KEY_FILE))


def rotate_vault(
    *, by: User | str, reason: str, source: str = SYSTEM, replacing: str = "", told: Told = ignore
) -> Rotation:
    """Rotate the vault's key; audited at its begin and end. An unfinished rotation is ended instead of a new one begun.

    With `replacing` only that key is replaced: asked twice, it is done once. Raises VaultError when the files are not
    as they should be, cannot be written, or another rotation runs.
    """
    with _alone():
        files = vault_files()
        before = load_sealing_key(files)
        begun = files.coming.exists() or _openable(files).exclude(vault_key=before).exists()
        if not begun and replacing not in ("", before):
            return Rotation(before, before, 0, ())
        _audit("vault.rotation_resumed" if begun else "vault.rotation_began", by, source, reason, before=before)
        if not begun or files.coming.exists():
            _exchange(files, told)
        sealer = Sealer(files.public)
        rows, left = seal_anew(Opener(files.private), sealer, told)
        after = {"vault_key": sealer.fingerprint, "rows": rows, "left": list(left)}
        ended = "vault.rotation_incomplete" if left else "vault.rotated"
        _audit(ended, by, source, reason, before=before, after=after)
        log.info(ended, before=before, rows=rows, left=len(left))
        return Rotation(before, sealer.fingerprint, rows, left)


def seal_anew(opener: Opener, sealer: Sealer, told: Told = ignore) -> tuple[int, tuple[str, ...]]:
    """Seal every secret of another key for `sealer`'s; returns how many, and what did not open, with the reason."""
    waiting = SealedSecret.objects.exclude(vault_key=sealer.fingerprint)
    total, done = waiting.count(), 0
    left: dict[int, str] = {}
    while True:
        with transaction.atomic(durable=True):
            # Locked: who replaces a secret meanwhile waits for us, or we see theirs and pass it over.
            rows = waiting.exclude(pk__in=left).select_related("account").select_for_update(of=("self",))
            batch = list(rows.order_by("pk")[:BATCH])
            for row in batch:
                try:
                    _seal_one_anew(row, opener, sealer)
                except VaultError as error:
                    left[row.pk] = f"{row.kind} of {row.account.name}: {error}"
        if not batch:
            return done, tuple(left.values())
        fresh = sum(row.pk not in left for row in batch)
        for _ in range(fresh):
            done += 1
            told("rows", done, max(total, done))


def remove_retired(
    *, by: User | str, reason: str, source: str = SYSTEM, now: datetime | None = None
) -> tuple[list[str], dict[str, str]]:
    """Remove the files of retired private keys no secret needs: (those removed, those kept with the reason).

    A backup from before the rotation needs the key that was then: keep one offline as long as you keep the backup.
    """
    removed: list[str] = []
    kept: dict[str, str] = {}
    with _alone(), transaction.atomic():
        files = vault_files()
        load_sealing_key(files)
        if files.coming.exists():
            raise VaultError("a rotation is unfinished: run `manage.py rotate_vault` first")
        with connection.cursor() as cursor:
            # Whoever is about to keep a secret is done before we count, or waits.
            cursor.execute("LOCK TABLE accounts_sealedsecret IN SHARE MODE")
        needed, minutes = count_by_vault_key(), minutes_until_settled(files, now or timezone.now())
        for name, path in find_retired(files).items():
            if needed.get(name):
                kept[name] = f"{needed[name]} secrets are sealed with it"
            elif minutes:
                kept[name] = f"something may still be sealed with it: in {minutes} minutes it can go"
            else:
                _audit("vault.key_removed", by, source, reason, before=name)
                path.unlink()
                removed.append(name)
    return removed, kept


def _seal_one_anew(row: SealedSecret, opener: Opener, sealer: Sealer) -> None:
    secret = opener.open(bytes(row.sealed), row.vault_key)
    sealed = sealer.seal(secret)
    if opener.open(sealed, sealer.fingerprint) != secret:
        raise VaultError("its new seal does not hold what it should")
    # Not through save(): the secret is the same, so nobody connects anew for it.
    SealedSecret.objects.filter(pk=row.pk, vault_key=row.vault_key).update(sealed=sealed, vault_key=sealer.fingerprint)


def _exchange(files: KeyFiles, told: Told) -> None:
    try:
        for number, (name, step) in enumerate(STEPS, start=1):
            step(files)
            told(name, number, len(STEPS))
    except OSError as error:
        raise VaultError(
            f"the vault's files cannot be written: {error.strerror}. Nothing is lost; run it again when they can be"
        ) from None


def _openable(files: KeyFiles) -> QuerySet[SealedSecret]:
    """Secrets that a private key here is for; of any other nothing can be done by rotating."""
    return SealedSecret.objects.filter(vault_key__in=load_private_keys(files.private))


@contextmanager
def _alone() -> Iterator[None]:
    """One rotation at a time; the lock goes with the connection of a process that is killed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [ONE_AT_A_TIME])
        if not cursor.fetchone()[0]:
            raise VaultError("the vault's key is being rotated already: look again when that is over")
    try:
        yield
    finally:
        with suppress(DatabaseError, InterfaceError), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [ONE_AT_A_TIME])


def _audit(
    action: str, by: User | str, source: str, reason: str, *, before: str, after: dict[str, Any] | None = None
) -> None:
    record_audit(
        action,
        user=by if isinstance(by, User) else None,
        who=str(by),
        before={"vault_key": before},
        after=after,
        reason=reason,
        source=source,
    )
