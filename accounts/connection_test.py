"""Asking for a test of an account's connection, and following it. Pages, admin, API and bot call this.

Nobody here opens a key: a row is written, a worker that has the vault's key takes it (`accounts.connection_check`),
and the row tells step by step how far it is. An account has one test at a time.
"""

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from celery import current_app
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from accounts.models import Account, ConnectionTest
from identity.audit import record_audit
from identity.models import AuditEntry, User
from trading.errors import InvalidValue
from web.throttle import take

SYSTEM = AuditEntry.Source.SYSTEM.value
TASK = "accounts.tasks.test_connection"
QUEUE = "worker"
STEPS = ("keys", "reachable", "login", "balance", "positions", "stream")
"""In this order: what fails ends the test, what comes after it is skipped."""

TAKEN_WITHIN = timedelta(seconds=60)
"""No worker took it for so long: it is not going to happen."""
DONE_WITHIN = timedelta(seconds=90)
"""The steps' own time limits add up to less."""
PER_MINUTE = 6
"""Of one account: each logs in anew at the venue."""
KEPT = 20
"""Tests of an account; older ones go."""
NOT_TAKEN = "No worker took the test within a minute: look at the workers on the system page, then test again."
NOT_ENDED = "The worker stopped in the middle of the test: test again."
NO_BUS = "The test could not be handed to a worker, because Redis is away: look at /readyz, then test again."

log = structlog.get_logger()


class TooManyTests(InvalidValue):
    """The account was tested many times just now. `after_s` is when it may be again."""

    def __init__(self, after_s: int) -> None:
        super().__init__(f"this account was tested {PER_MINUTE} times within a minute: wait {after_s} s")
        self.after_s = after_s


def request_connection_test(
    account: Account, by: User, *, source: str = SYSTEM, now: datetime | None = None
) -> ConnectionTest:
    """Have a worker test the account's connection; audited. One that is under way is returned instead of a second.

    Raises TooManyTests. Follow it with `load_connection_test`: it is over within a minute and a half.
    """
    now = now or timezone.now()
    with transaction.atomic():
        Account.objects.select_for_update(no_key=True).get(pk=account.pk)
        newest = latest_connection_test(account, now)
        if newest is not None and not newest.is_over:
            return newest
        allowance = take(f"connection-test:{account.pk}", PER_MINUTE)
        if not allowance.allowed:
            raise TooManyTests(allowance.after_s)
        test = ConnectionTest.objects.create(
            account=account,
            steps=[{"name": name, "state": "waiting", "text": "", "took_ms": None} for name in STEPS],
            asked_by=by.get_username()[:150],
            asked_at=now,
        )
        kept = ConnectionTest.objects.filter(account=account).order_by("-asked_at", "-pk").values("pk")[:KEPT]
        ConnectionTest.objects.filter(account=account).exclude(pk__in=list(kept.values_list("pk", flat=True))).delete()
        record_audit(
            "account.connection_tested", user=by, subject=account, after={"test": str(test.pk)}, source=source, at=now
        )
        transaction.on_commit(lambda: _hand_over(test))
    return test


def latest_connection_test(account: Account, now: datetime | None = None) -> ConnectionTest | None:
    """The account's newest test, or None when it was never tested."""
    test = ConnectionTest.objects.filter(account=account).order_by("-asked_at", "-pk").first()
    return None if test is None else _ended_if_lost(test, now or timezone.now())


def load_connection_test(test_id: UUID, now: datetime | None = None) -> ConnectionTest:
    """One test as it stands. Raises ConnectionTest.DoesNotExist."""
    test = ConnectionTest.objects.select_related("account").get(pk=test_id)
    return _ended_if_lost(test, now or timezone.now())


def _hand_over(test: ConnectionTest) -> None:
    try:
        current_app.send_task(TASK, args=[str(test.pk)], queue=QUEUE, expires=TAKEN_WITHIN.total_seconds(), retry=False)
    except (OperationalError, OSError) as error:
        log.warning("connection_test_not_handed_over", error=type(error).__name__)
        _fail(test, NO_BUS, timezone.now())


def _ended_if_lost(test: ConnectionTest, now: datetime) -> ConnectionTest:
    """A test that nobody is working on any more ends here, so that no page waits for ever."""
    if test.status == ConnectionTest.Status.WAITING and now - test.asked_at > TAKEN_WITHIN:
        _fail(test, NOT_TAKEN, now)
    elif test.status == ConnectionTest.Status.RUNNING and now - (test.started_at or test.asked_at) > DONE_WITHIN:
        _fail(test, NOT_ENDED, now)
    return test


def _fail(test: ConnectionTest, problem: str, now: datetime) -> None:
    """Only while it is still as it was read: a worker may have gone on meanwhile."""
    values = {"status": ConnectionTest.Status.FAILED, "problem": problem, "finished_at": now}
    if ConnectionTest.objects.filter(pk=test.pk, status=test.status).update(**values):
        test.status, test.problem, test.finished_at = ConnectionTest.Status.FAILED, problem, now
    else:
        test.refresh_from_db()
