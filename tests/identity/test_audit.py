"""The audit log: what is written, and that nothing written can be changed."""

from decimal import Decimal

import pytest
from django.db import DatabaseError, transaction

from identity.audit import record_audit
from identity.models import AuditEntry, User


@pytest.fixture
def entry(operator: User) -> AuditEntry:
    return AuditEntry.objects.create(user=operator, who="operator", action="desk.stopped", at="2026-01-01T00:00:00Z")


def test_written_entry_refuses_every_change(entry: AuditEntry) -> None:
    entry.action = "desk.lifted"
    with pytest.raises(DatabaseError, match="can only grow"), transaction.atomic():
        entry.save()
    assert AuditEntry.objects.get().action == "desk.stopped"


def test_written_entry_refuses_its_removal(entry: AuditEntry) -> None:
    with pytest.raises(DatabaseError, match="can only grow"), transaction.atomic():
        AuditEntry.objects.all().delete()
    assert AuditEntry.objects.count() == 1


def test_secrets_are_hidden_before_they_are_written(operator: User) -> None:
    record_audit(
        "account.changed",
        user=operator,
        subject=operator,
        before={"proxy_url": "socks5://u:hunter2@h:1", "tags": ["a"]},
        after={"private_key": "0x" + "11" * 32, "nested": {"api_key": "hunter2"}, "max_order": Decimal("1.5")},
        address="203.0.113.9",
    )
    entry = AuditEntry.objects.get()
    assert "hunter2" not in str((entry.before, entry.after))
    assert "1111" not in str(entry.after)
    assert entry.after is not None
    assert entry.after["max_order"] == "1.5"
    assert (entry.who, entry.object_type, entry.address) == ("operator", "identity.user", "203.0.113.9")


@pytest.mark.django_db
def test_process_is_named_where_no_person_acted() -> None:
    assert record_audit("desk.stopped", who="telegram").who == "telegram"
    assert record_audit("desk.stopped").who == "nobody"
