"""Alerts that last as long as their cause, and the one table of kinds."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alerts.conditions import Condition, hold_alerts, key_of, resolve_alerts
from alerts.kinds import KINDS, AlertKind, advice_of, title_of
from alerts.models import Alert
from alerts.querysets import load_open
from alerts.raising import acknowledge
from identity.models import User
from trading.enums import Severity

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
KIND = AlertKind.CONNECTION_LOST


def look(*subjects: str, minutes: int = 0, severity: Severity | None = None, latest: int | None = None) -> int:
    told = NOW + timedelta(minutes=latest) if latest is not None else None
    found = [Condition(name, name, f"since {minutes} min", severity, latest=told) for name in subjects]
    return hold_alerts(KIND, found, NOW + timedelta(minutes=minutes))


@pytest.mark.django_db(transaction=True)
def test_cause_that_lasts_is_one_alert(redis_url: str) -> None:
    assert look("one", "two") == 2
    assert look("one", "two", minutes=1) == 0
    assert {alert.count for alert in load_open()} == {1}
    assert {alert.text for alert in load_open()} == {"since 1 min"}


@pytest.mark.django_db(transaction=True)
def test_cause_that_is_gone_resolves_its_alert(redis_url: str) -> None:
    look("one", "two")
    look("two", minutes=1)
    assert [alert.subject for alert in load_open()] == ["two"]
    assert Alert.objects.get(subject="one").resolved_at == NOW + timedelta(minutes=1)
    assert look("one", "two", minutes=2) == 1, "the same cause anew is a new alert"


@pytest.mark.django_db(transaction=True)
def test_acknowledged_cause_stays_quiet_until_it_is_gone(redis_url: str, operator: User) -> None:
    look("one")
    acknowledge(load_open().get().id, operator, NOW)
    assert look("one", minutes=1) == 0
    assert not load_open().exists()
    look(minutes=2)
    assert look("one", minutes=3) == 1


@pytest.mark.django_db(transaction=True)
def test_acknowledged_cause_that_grows_graver_is_told(redis_url: str, operator: User) -> None:
    look("one")
    acknowledge(load_open().get().id, operator, NOW)
    assert look("one", minutes=1, severity=Severity.CRITICAL) == 1
    assert load_open().get().severity == "critical"
    look(minutes=2)
    assert not Alert.objects.filter(resolved_at__isnull=True).exists(), "both are over"


@pytest.mark.django_db(transaction=True)
def test_acknowledged_cause_that_happens_anew_is_told(redis_url: str, operator: User) -> None:
    look("one", latest=0)
    acknowledge(load_open().get().id, operator, NOW + timedelta(minutes=1))
    assert look("one", minutes=2, latest=0) == 0
    assert look("one", minutes=3, latest=2) == 1


@pytest.mark.django_db(transaction=True)
def test_resolving_touches_its_own_key_alone(redis_url: str) -> None:
    look("one", "two")
    assert resolve_alerts([key_of(KIND, "one")], NOW) == 1
    assert [alert.subject for alert in load_open()] == ["two"]


def test_every_kind_has_its_row_in_the_manual() -> None:
    manual = (ROOT / "docs" / "operations.md").read_text().partition("\n## Alerts\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", manual, re.MULTILINE))
    assert rows == {kind.value: facts.severity.value for kind, facts in KINDS.items()}
    for kind in AlertKind:
        assert KINDS[kind].advice in manual, kind
        assert title_of(kind) == KINDS[kind].title
    assert (title_of("of_tomorrow"), advice_of("of_tomorrow")) == ("of tomorrow", "")
