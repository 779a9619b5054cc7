"""Celery tasks of the strategies: what the schedule in `hedgerow.celery` runs in a worker that has the vault's key."""

from celery import shared_task
from django.utils import timezone

from accounts.tasks import read_positions
from strategies.imbalance import check_imbalances


@shared_task(ignore_result=True)
def check_venue_positions() -> int:
    """Compare what every venue holds for us with the ledger; returns how many differences are believed."""
    read = read_positions()
    return len(check_imbalances(read, timezone.now()))
