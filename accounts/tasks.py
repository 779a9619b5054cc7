"""Celery tasks of the accounts: what the schedule in `hedgerow.celery` runs in a worker that has the vault's key."""

from functools import cache
from uuid import UUID

import structlog
from celery import shared_task
from django.utils import timezone

from accounts.connection_check import run_connection_test
from accounts.equity import record_equity as record_equity_point
from accounts.equity import remove_old_points
from accounts.reconcile_rounds import Rounds
from accounts.registration import announce_unannounced
from accounts.rotation import rotate_vault
from accounts.vault import VaultError
from identity.models import AuditEntry, User
from venues.contract import VenuePosition
from web.progress import Progress

ADMIN = AuditEntry.Source.ADMIN.value

log = structlog.get_logger()


@cache
def _rounds() -> Rounds:
    """This worker process's own; made with its first task, after the fork."""
    return Rounds()


def read_positions() -> dict[UUID, list[VenuePosition]]:
    """What each account's venue says it holds, for tasks of the floors above; unreadable accounts are left out."""
    return _rounds().read_positions()


@shared_task(ignore_result=True)
def refresh_balances() -> int:
    """Read every account's collateral and what open orders reserve of it; returns how many were read."""
    return _rounds().refresh_balances()


@shared_task(ignore_result=True)
def reconcile_accounts() -> int:
    """Compare every account's fills and orders with its venue, and announce accounts whose creation nobody was told.

    Returns how many missing fills went to the bus.
    """
    announce_unannounced()
    return _rounds().reconcile()


@shared_task(ignore_result=True)
def record_equity() -> None:
    """Keep one point of the desk's equity curve, and drop those too old to be looked at."""
    now = timezone.now()
    record_equity_point(now)
    remove_old_points(now)


@shared_task(ignore_result=True)
def test_connection(test_id: str) -> str:
    """Carry out a connection test somebody asked for (`accounts.connection_test`)."""
    return run_connection_test(UUID(test_id))


@shared_task(ignore_result=True)
def rotate_vault_key(person_id: int, reason: str, replacing: str, token: str) -> None:
    """Rotate the vault's key for whoever asked on its page, which follows it by `token`. Delivered twice, done once."""

    def tell(text: str, done: int, total: int) -> None:
        Progress(f"vault:{token}", text).note(done, total)

    def told(step: str, done: int, total: int) -> None:
        if step == "rows" and done < total:
            tell(f"{done} of {total} secrets sealed anew", done, total)

    try:
        person = User.objects.get(pk=person_id)
        done = rotate_vault(by=person, reason=reason, source=ADMIN, replacing=replacing, told=told)
    except VaultError as error:
        log.error("vault_not_rotated", problem=str(error))
        tell(f"Not rotated: {error}.", 1, 1)
    else:
        left = f" {len(done.left)} did not open and stay as they were; see below." if done.left else ""
        tell(f"Done: {done.rows} secrets are sealed anew, with vault key {done.vault_key}.{left}", 1, 1)
