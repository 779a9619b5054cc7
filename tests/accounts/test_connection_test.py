"""Testing an account's connection: a real login at the venue, a sentence for every way it can fail."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import redis
from celery import Celery
from django.conf import settings as django_settings

from accounts.connection_check import run_connection_test
from accounts.connection_test import (
    DONE_WITHIN,
    NO_BUS,
    NOT_ENDED,
    NOT_TAKEN,
    PER_MINUTE,
    TAKEN_WITHIN,
    TASK,
    TooManyTests,
    latest_connection_test,
    load_connection_test,
    request_connection_test,
)
from accounts.models import Account, ConnectionTest
from accounts.registration import update_account
from hedgerow.celery import app
from identity.models import AuditEntry, User
from tests.accounts.conftest import PaperVenue
from trading.events import ACCOUNT_EVENTS

NOBODYS_PORT = "http://a-user:a-password-of-the-tests@127.0.0.1:9"


@pytest.fixture
def celery_nowhere() -> Iterator[None]:
    """A broker nobody runs."""
    nowhere = Celery("nowhere", broker="redis://127.0.0.1:9/0")
    nowhere.conf.broker_transport_options = app.conf.broker_transport_options
    nowhere.set_current()
    yield
    app.set_current()


@pytest.fixture
def venue(paper: PaperVenue, settings: Any) -> PaperVenue:
    """The settings name the test's own venue."""
    settings.PREDICT_API_URL = paper.url
    settings.PREDICT_WS_URL = paper.url.replace("http", "ws") + "/ws"
    settings.PREDICT_RPC_URL = paper.url + "/rpc"
    return paper


def run_test(account: Account, by: User) -> ConnectionTest:
    test = request_connection_test(account, by)
    run_connection_test(test.pk)
    return load_connection_test(test.pk)


def states(test: ConnectionTest) -> list[str]:
    return [step["state"] for step in test.steps]


def test_whole_way_is_tried_step_by_step(
    venue: PaperVenue, account: Account, operator: User, events: Callable[[str], list[Any]]
) -> None:
    test = run_test(account, operator)
    assert (test.status, test.problem) == ("passed", ""), test.problem
    assert states(test) == ["ok"] * 6
    said = {step["name"]: step["text"] for step in test.steps}
    assert said["balance"] == "10,000.00 USDT, of which 0.00 USDT is reserved by open orders."
    assert "without a proxy" in said["reachable"]
    assert said["positions"] == "The venue lists 0 positions."
    assert all(step["took_ms"] is not None for step in test.steps)
    changed = [event.data for event in events(ACCOUNT_EVENTS) if event.data.type == "account_changed"]
    assert (changed[-1].what, changed[-1].value) == ("connection_test", "passed")


def test_request_is_audited_and_handed_to_a_worker(
    venue: PaperVenue, account: Account, operator: User, redis_url: str
) -> None:
    test = request_connection_test(account, operator)
    entry = AuditEntry.objects.get(action="account.connection_tested")
    assert (entry.who, entry.object_id, entry.after) == ("operator", str(account.pk), {"test": str(test.pk)})
    with redis.Redis.from_url(app.conf.broker_url) as bus:
        waiting = bus.lrange("celery:worker", 0, -1)
        bus.delete("celery:worker")
    assert [TASK.encode() in message for message in waiting if str(test.pk).encode() in message] == [True]
    assert test.status == "waiting"


def test_second_request_is_the_same_test(venue: PaperVenue, account: Account, operator: User) -> None:
    assert request_connection_test(account, operator).pk == request_connection_test(account, operator).pk
    assert ConnectionTest.objects.count() == AuditEntry.objects.filter(action="account.connection_tested").count() == 1


def test_account_is_not_tested_too_often(venue: PaperVenue, account: Account, operator: User) -> None:
    for _ in range(PER_MINUTE):
        test = request_connection_test(account, operator)
        ConnectionTest.objects.filter(pk=test.pk).update(finished_at=test.asked_at, status="failed")
    with pytest.raises(TooManyTests):
        request_connection_test(account, operator)
    assert ConnectionTest.objects.count() == PER_MINUTE


def test_dead_proxy_is_named_and_never_passed_by(venue: PaperVenue, account: Account, operator: User) -> None:
    update_account(account.pk, by=operator, proxy_url=NOBODYS_PORT)
    account.refresh_from_db()
    test = run_test(account, operator)
    assert test.status == "failed"
    assert states(test) == ["ok", "failed", "skipped", "skipped", "skipped", "skipped"]
    assert test.problem.startswith("The proxy 127.0.0.1:9 cannot be used. Nothing was sent without it")
    assert "a-password-of-the-tests" not in str(test.steps) + test.problem


def test_venue_that_is_away_is_told(venue: PaperVenue, account: Account, operator: User, settings: Any) -> None:
    settings.PREDICT_API_URL = "http://127.0.0.1:9"
    test = run_test(account, operator)
    assert states(test)[:3] == ["ok", "failed", "skipped"]
    assert "127.0.0.1:9 cannot be reached without a proxy" in test.problem


def test_refused_login_says_what_to_check(venue: PaperVenue, account: Account, operator: User) -> None:
    """A smart account that does not belong to the key's owner."""
    Account.objects.filter(pk=account.pk).update(
        signer_kind="predict_account", owner_address=account.address, address="0x" + "22" * 20
    )
    account.refresh_from_db()
    test = run_test(account, operator)
    assert states(test)[:4] == ["ok", "ok", "failed", "skipped"], test.problem
    assert test.problem.startswith("The venue refused the login (")
    assert "check the private key, the signer kind and the API key" in test.problem


def test_venue_that_fails_a_read_is_told(venue: PaperVenue, account: Account, operator: User) -> None:
    venue.faults({"kind": "http_5xx", "method": "*", "path": "/v1/positions"})
    test = run_test(account, operator)
    assert states(test) == ["ok", "ok", "ok", "ok", "failed", "skipped"]
    assert test.problem.startswith("The venue answered ")


def test_secret_of_another_vault_is_told(venue: PaperVenue, account: Account, operator: User) -> None:
    account.secrets.update(sealed=b"not a box", vault_key="0" * 16)
    test = run_test(account, operator)
    assert states(test) == ["failed", *["skipped"] * 5]
    assert "Enter them again" in test.problem


def test_test_nobody_takes_comes_to_an_end(venue: PaperVenue, account: Account, operator: User) -> None:
    test = request_connection_test(account, operator)
    late = load_connection_test(test.pk, test.asked_at + TAKEN_WITHIN + timedelta(seconds=1))
    assert (late.status, late.problem, late.is_over) == ("failed", NOT_TAKEN, True)
    assert run_connection_test(test.pk) == "not waiting", "a worker that comes late must not begin"


def test_test_whose_worker_died_comes_to_an_end(venue: PaperVenue, account: Account, operator: User) -> None:
    test = request_connection_test(account, operator)
    ConnectionTest.objects.filter(pk=test.pk).update(status="running", started_at=test.asked_at)
    late = latest_connection_test(account, test.asked_at + DONE_WITHIN + timedelta(seconds=1))
    assert late is not None
    assert (late.status, late.problem) == ("failed", NOT_ENDED)


def test_redis_away_is_told_at_once(account: Account, operator: User, celery_nowhere: None) -> None:
    test = request_connection_test(account, operator)
    assert (load_connection_test(test.pk).status, load_connection_test(test.pk).problem) == ("failed", NO_BUS)


def test_unknown_test_is_not_there(db: None) -> None:
    with pytest.raises(ConnectionTest.DoesNotExist):
        load_connection_test(uuid4())


def test_account_of_another_mode_is_not_opened(venue: PaperVenue, account: Account, operator: User) -> None:
    Account.objects.filter(pk=account.pk).update(mode="live")
    account.refresh_from_db()
    test = run_test(account, operator)
    assert "It is a live account, and this installation runs paper" in test.problem
    assert django_settings.MODE == "paper"
