"""The addresses that need no page: signing in, health, readiness, metrics; and the policy on every answer."""

import pytest
from django.test import Client
from pytest_django import Settings

from identity.models import User


@pytest.fixture
def browser() -> Client:
    return Client(REMOTE_ADDR="203.0.113.9")


def test_healthz_answers_without_any_engine(browser: Client) -> None:
    answer = browser.get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok\n")


@pytest.mark.django_db
def test_readyz_reports_clickhouse_but_stays_ready(browser: Client, redis_url: str) -> None:
    answer = browser.get("/readyz")
    assert answer.status_code == 200
    body = answer.json()
    assert body["postgresql"] == body["redis"] == body["migrations"] == "ok"
    assert (body["clickhouse"], body["status"]) == ("down", "degraded")


@pytest.mark.django_db
def test_readyz_refuses_while_redis_is_down(browser: Client, settings: Settings) -> None:
    settings.REDIS_URL = "redis://:hunter2@127.0.0.1:9/0"
    answer = browser.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["redis"] == "down"
    assert "hunter2" not in answer.content.decode()


@pytest.mark.django_db
def test_metrics_refuse_a_stranger(browser: Client) -> None:
    assert browser.get("/metrics").status_code == 403


@pytest.mark.django_db
def test_metrics_refuse_loopback_behind_a_proxy() -> None:
    assert Client(REMOTE_ADDR="127.0.0.1", HTTP_X_FORWARDED_FOR="203.0.113.9").get("/metrics").status_code == 403


@pytest.mark.django_db
def test_metrics_answer_loopback_with_figures(redis_url: str) -> None:
    answer = Client(REMOTE_ADDR="127.0.0.1").get("/metrics")
    assert answer.status_code == 200
    text = answer.content.decode()
    assert "hedgerow_desk_stopped 0.0" in text
    assert "hedgerow_bus_up 1.0" in text
    assert 'hedgerow_stream_lag{group="strategies",stream="fill_events"}' in text


def test_metrics_answer_staff_from_anywhere(browser: Client, operator: User, redis_url: str) -> None:
    browser.force_login(operator)
    assert browser.get("/metrics").status_code == 200


def test_metrics_refuse_people_who_are_not_staff(browser: Client, viewer: User) -> None:
    browser.force_login(viewer)
    assert browser.get("/metrics").status_code == 403


def test_pages_allow_only_our_own_scripts(browser: Client) -> None:
    policy = browser.get("/healthz").headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy


@pytest.mark.django_db
def test_admin_keeps_its_own_script_policy(browser: Client) -> None:
    policy = browser.get("/admin/login/").headers["Content-Security-Policy"]
    assert "'unsafe-eval'" in policy
    assert "frame-ancestors 'none'" in policy
