"""The audit log: what is written, and that nothing written can be changed."""

import pytest
from django.db import DatabaseError, transaction

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
