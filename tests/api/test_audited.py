"""Every change over the API is in the audit log: who, what, on what, from where. What changes nothing is not."""

from datetime import datetime, timedelta

from django.db import transaction

from accounts.models import Account, Order
from alerts.models import Alert
from identity.models import AuditEntry
from identity.roles import Role
from identity.tokens import issue_token
from strategies.models import Strategy
from tests.api.conftest import Program
from tests.api.test_permissions import MATRIX
from tests.desk_rows import DeskRows

CHANGES_NOTHING = {"POST /strategies/validate"}
CHANGES = [name for name in MATRIX if not name.startswith("GET") and name not in CHANGES_NOTHING]


def test_every_change_is_in_the_audit_log(admin_program: Program, desk: DeskRows, vault: None, now: datetime) -> None:
    user = admin_program.user
    assert user is not None
    token, _ = issue_token(user, "old", role=Role.VIEWER, by=user, now=now, expires_at=now + timedelta(days=1))
    alert = Alert.objects.create(
        severity="info", kind="k", subject="s", text="t", dedup_key="d", raised_at=now, last_seen_at=now
    )
    spare = Account.objects.create(name="spare", platform="predict", address="0x" + "9" * 40)
    unused = Strategy.objects.create(name="unused", state="halted")
    order = Order.objects.filter(account__name="predict-02").first()
    assert order is not None
    Order.objects.filter(pk=order.pk).update(
        status="unknown", filled=0, submitted_at=now - timedelta(minutes=5), created_at=now - timedelta(minutes=5)
    )
    resting = Order.objects.exclude(pk=order.pk).first()
    assert resting is not None
    # So that closing the account has something to take off the book.
    Order.objects.filter(pk=resting.pk).update(account=Account.objects.get(name="predict-01"), status="accepted")
    unheard = []
    for operation in CHANGES:
        method, path = operation.split()
        named = {
            "account_id": "spare" if method == "DELETE" else "predict-01",
            "strategy_id": unused.pk if method == "DELETE" else desk.strategy.pk,
            "order_id": order.pk,
            "token_id": token.pk,
            "alert_id": alert.pk,
        }
        before, known = transaction.savepoint(), set(AuditEntry.objects.values_list("pk", flat=True))
        answer = admin_program.call(method, path.format(**named), MATRIX[operation][1])
        assert answer.status_code in (200, 201, 202, 204), (operation, answer.content)
        written = AuditEntry.objects.exclude(pk__in=known)
        told = [(entry.who, entry.source, entry.address) for entry in written]
        if not told or set(told) != {("admin-all", "api", "127.0.0.1")} or not all(entry.action for entry in written):
            unheard.append((operation, told))
        transaction.savepoint_rollback(before)
    assert unheard == []
    assert spare.pk is not None


def test_what_changes_nothing_is_not_in_the_audit_log(admin_program: Program, desk: DeskRows) -> None:
    written = AuditEntry.objects.count()
    for operation in CHANGES_NOTHING:
        method, path = operation.split()
        assert admin_program.call(method, path, MATRIX[operation][1]).status_code == 200
    order = {"platform": "predict", "account_id": "predict-01", "market_id": "100", "side": "no"}
    assert admin_program.post("/trade", order | {"price": "0.5", "shares": "5"}).json()["dry_run"]
    assert AuditEntry.objects.count() == written
