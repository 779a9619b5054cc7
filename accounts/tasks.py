"""Celery tasks of the accounts: what the schedule in `hedgerow.celery` runs in a worker that has the vault's key."""

from functools import cache
from uuid import UUID

from celery import shared_task
from django.utils import timezone

from accounts.connection_check import run_connection_test
from accounts.equity import record_equity as record_equity_point
from accounts.equity import remove_old_points
from accounts.reconcile_rounds import Rounds
from accounts.registration import announce_unannounced
from venues.contract import VenuePosition


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
