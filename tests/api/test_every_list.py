"""What every list of the API keeps: pages by cursor hold each row once in one order, an unchanged one travels once, and
each refusal has a code and says what to do."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import Account, ConnectionTest, Order, Position
from alerts.models import Alert
from hedgerow.api import api
from markets.models import Market
from strategies.models import Decision, Strategy
from tests.api.conftest import Program
from tests.desk_rows import DeskRows

LISTS = (
    "/accounts", "/accounts/predict-01/connection-tests", "/orders", "/unknown-orders", "/fills", "/positions",
    "/positions/predict-01", "/markets", "/strategies", "/strategies/{strategy}/exposures",
    "/strategies/{strategy}/decisions", "/alerts", "/tokens",
)  # fmt: skip
IN_CLICKHOUSE = {"/events", "/trades"}
"""Lists of the record, which tests/hedgerow and Schemathesis ask with a real ClickHouse."""


@pytest.fixture
def full(desk: DeskRows, now: datetime) -> DeskRows:
    """Several rows in each list, many of them at one and the same moment."""
    Order.objects.update(created_at=now)
    Order.objects.filter(pk__in=list(Order.objects.values_list("pk", flat=True)[:9])).update(status="unknown")
    account = Account.objects.get(name="predict-01")
    Position.objects.filter(account=account).delete()
    Position.objects.bulk_create(
        Position(account=account, market=market, outcome=side, size=Decimal(1), updated_at=now)
        for market in Market.objects.all()
        for side in ("yes", "no")
    )
    ConnectionTest.objects.bulk_create(
        ConnectionTest(account=account, status="failed", asked_by="t", asked_at=now, finished_at=now) for _ in range(9)
    )
    Strategy.objects.bulk_create(Strategy(name=f"s{n}") for n in range(9))
    zero = Decimal(0)
    Decision.objects.bulk_create(
        Decision(exposure=desk.exposures[0], cause="c", primary=zero, hedged=zero, in_flight=zero, need=zero, at=now)
        for _ in range(9)
    )
    Alert.objects.bulk_create(
        Alert(severity="info", kind="k", subject="s", text="t", dedup_key=str(n), raised_at=now, last_seen_at=now)
        for n in range(9)
    )
    return desk


def add_tokens(who: Program, now: datetime) -> None:
    for n in range(5):
        who.post("/tokens", {"name": f"t{n}", "expires_at": (now + timedelta(days=1)).isoformat()})


def test_table_names_every_list() -> None:
    paths = api.get_openapi_schema(path_prefix="")["paths"]
    lists = {
        path
        for path, methods in paths.items()
        if "get" in methods and any(one["name"] == "cursor" for one in methods["get"].get("parameters", ()))
    }
    known = {path.replace("predict-01", "{account_id}").replace("{strategy}", "{strategy_id}") for path in LISTS}
    assert lists == known | IN_CLICKHOUSE


def paths(desk: DeskRows) -> list[str]:
    return [path.format(strategy=desk.strategy.pk) for path in LISTS]


def test_pages_hold_each_row_once_in_one_order(admin_program: Program, full: DeskRows, now: datetime) -> None:
    add_tokens(admin_program, now)
    for path in paths(full):
        whole = admin_program.get(f"{path}?limit=200").json()
        again = admin_program.get(f"{path}?limit=200").json()
        assert whole["next"] is None
        assert whole["items"] == again["items"], f"the order of {path} is not stable"
        assert len(whole["items"]) >= 5 or "exposures" in path
        assert walk(admin_program, path) == whole["items"], f"{path} loses, repeats or shifts a row"


def walk(who: Program, path: str) -> list[Any]:
    """The list by pages of three."""
    found: list[Any] = []
    cursor = ""
    while cursor is not None:
        page = who.get(f"{path}?limit=3&cursor={cursor}").json()
        assert len(page["items"]) <= 3
        found += page["items"]
        cursor = page["next"]
    return found


def test_unchanged_list_is_not_sent_again(viewer_program: Program, full: DeskRows) -> None:
    for path in paths(full):
        tag = viewer_program.get(path).headers["ETag"]
        again = viewer_program.get(path, **{"If-None-Match": tag})
        assert (path, again.status_code, again.content) == (path, 304, b"")
        assert viewer_program.get(path, **{"If-None-Match": '"another"'}).status_code == 200


@pytest.mark.parametrize(
    ("query", "code"),
    [("cursor=nonsense", "cursor_invalid"), ("limit=0", "request_invalid"), ("limit=9999", "request_invalid")],
)
def test_refusal_has_a_code_and_says_what_to_do(query: str, code: str, viewer_program: Program, full: DeskRows) -> None:
    for path in paths(full):
        answer = viewer_program.get(f"{path}?{query}")
        problem = answer.json()
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert (path, answer.status_code, problem["status"], problem["code"]) == (path, 422, 422, code)
        assert problem["type"] == f"urn:hedgerow:problem:{code}"
        assert problem["detail"].endswith(".")
        assert problem["request_id"] == answer.headers["X-Request-ID"]


def test_nobody_without_a_token_reads_a_list(full: DeskRows) -> None:
    for path in paths(full):
        answer = Program().get(path)
        assert (path, answer.status_code, answer.json()["code"]) == (path, 401, "not_signed_in")
        assert "items" not in answer.json()
