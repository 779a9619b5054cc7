"""A strategy that halts itself: once, with its first reason, and in the audit log."""

from identity.models import AuditEntry
from strategies.halting import stop_by_itself
from strategies.models import Strategy


def test_strategy_halts_once_and_keeps_its_reason(db):
    strategy = Strategy.objects.create(name="neutral", state="active")
    stop_by_itself(strategy.pk, "the ladder ended")
    stop_by_itself(strategy.pk, "the ladder ended again")
    strategy.refresh_from_db()
    assert (strategy.state, strategy.state_reason) == ("halted", "the ladder ended")
    entry = AuditEntry.objects.get(action="strategy.stopped")
    assert (entry.who, entry.reason) == ("hedgerow", "the ladder ended")
