"""Celery tasks of the strategies: what the schedule in `hedgerow.celery` runs in a worker that has the vault's key."""

from celery import shared_task
from django.utils import timezone

from accounts.tasks import read_positions
from accounts.watching import watch_desk as watch_accounts
from strategies.attention import resolve_exposure_alerts
from strategies.imbalance import check_imbalances


@shared_task(ignore_result=True)
def check_venue_positions() -> int:
    """Compare what every venue holds for us with the ledger; returns how many differences are believed."""
    read = read_positions()
    return len(check_imbalances(read, timezone.now()))


@shared_task(ignore_result=True)
def watch_desk() -> None:
    """Raise what is wrong with the desk now, and resolve what is not wrong any more."""
    now = timezone.now()
    watch_accounts(now)
    resolve_exposure_alerts(now)
