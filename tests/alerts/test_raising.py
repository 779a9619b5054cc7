"""Alerts: raised once, counted after, published after commit, and never in the way of the trade."""

from datetime import UTC, datetime

import psycopg
import pytest
from django.db import transaction
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings
from redis import Redis

from alerts.models import Alert
from alerts.querysets import load_open
from alerts.raising import acknowledge, bus, raise_alert, record_alert
from identity.models import User
from trading.enums import Severity
from trading.events import ALERT_EVENTS, AlertRaised, decode

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2026, 1, 2, tzinfo=UTC)


def raised(severity: Severity = Severity.WARNING, text: str = "5 shares for 40 s", now: datetime = NOW) -> None:
    raise_alert(severity, "unhedged", "predict:1", text, now=now)


def published(redis_url: str) -> list[AlertRaised]:
    with Redis.from_url(redis_url) as client:
        facts = [decode(fields[b"event"]).data for _, fields in client.xrange(ALERT_EVENTS)]
    return [fact for fact in facts if isinstance(fact, AlertRaised)]


@pytest.mark.django_db(transaction=True)
def test_same_alert_again_only_counts_up(redis_url: str) -> None:
    raised()
    raised(text="6 shares for 50 s", now=LATER)
    alert = load_open().get()
    assert (alert.count, alert.text, alert.raised_at, alert.last_seen_at) == (2, "6 shares for 50 s", NOW, LATER)
    assert [fact.alert_id for fact in published(redis_url)] == [str(alert.id)]


@pytest.mark.django_db(transaction=True)
def test_graver_word_is_news_and_milder_is_not(redis_url: str) -> None:
    for severity in (Severity.WARNING, Severity.CRITICAL, Severity.INFO):
        raised(severity)
    assert Alert.objects.get().severity == "critical"
    assert [fact.severity for fact in published(redis_url)] == [Severity.WARNING, Severity.CRITICAL]


@pytest.mark.django_db(transaction=True)
def test_acknowledged_alert_may_rise_anew(operator: User, redis_url: str) -> None:
    raised()
    first = Alert.objects.get()
    assert acknowledge(first.id, operator)
    assert not acknowledge(first.id, operator)
    raised()
    assert Alert.objects.count() == 2
    assert load_open().get().id != first.id
    assert len(published(redis_url)) == 2


@pytest.mark.django_db(transaction=True)
def test_rolled_back_alert_is_never_published(redis_url: str) -> None:
    with transaction.atomic():
        raised()
        transaction.set_rollback(True)
    assert Alert.objects.count() == 0
    assert published(redis_url) == []


def test_bus_that_is_down_keeps_the_row(
    db: None, settings: Settings, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    bus.cache_clear()
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        raised()
    bus.cache_clear()
    assert len(callbacks) == 1
    assert Alert.objects.count() == 1


async def test_engine_twin_records_in_its_own_transaction(database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as conn:
        news = await record_alert(conn, Severity.CRITICAL, "settlement_failed", "acc", "reversed", now=NOW)
        again = await record_alert(conn, Severity.CRITICAL, "settlement_failed", "acc", "reversed", now=LATER)
    assert news is not None
    assert again is None
    assert (await Alert.objects.aget()).count == 2
