"""The OpenAPI document against the running API: Schemathesis makes requests from it, good and bad, and looks whether
every answer is one the document promises. Events and trades ask a real ClickHouse."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, settings
from pytest_django import Settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.api.conftest import Program
from tests.desk_rows import DeskRows
from warehouse.clickhouse import connect
from warehouse.schema import apply_schema

document = schemathesis.openapi.from_wsgi("/api/openapi.json", get_wsgi_application())


@pytest.fixture(scope="session")
def record(clickhouse_url: str) -> str:
    """A ClickHouse with the product's tables."""
    client = connect(clickhouse_url)
    apply_schema(client)
    client.close()
    return clickhouse_url


@pytest.fixture
def kept_connection() -> Iterator[None]:
    """The server's end of a request must not close the test's own connection."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def caller(
    program: Callable[..., Program], desk: DeskRows, vault: None, record: str, kept_connection: None, settings: Settings
) -> Program:
    settings.CLICKHOUSE_URL = record
    settings.API_REQUESTS_PER_MINUTE = settings.API_REFUSALS_PER_MINUTE = 10**9
    return program("admin")


@document.parametrize()
@settings(
    max_examples=20,
    deadline=timedelta(seconds=10),
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_keeps_the_document(case: Any, caller: Program) -> None:
    headers = {"Authorization": f"Bearer {caller.secret}"}
    before = transaction.savepoint()
    answer = case.call(headers=headers)
    if answer.status_code >= 400:
        # What the database refused must not spoil the test's own transaction.
        transaction.savepoint_rollback(before)
    beyond = [positive_data_acceptance] if is_about_meaning(answer) else []
    case.validate_response(answer, headers=headers, excluded_checks=beyond)


def is_about_meaning(answer: Any) -> bool:
    """True for a refusal of what no schema can tell: a cursor of another list, a key that is none, 19 places."""
    if answer.status_code != 422:
        return False
    problem = answer.json()
    return problem["code"] != "request_invalid" or all(
        "decimal" in fault["message"].lower() for fault in problem["errors"]
    )
