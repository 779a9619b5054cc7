"""Every operation of the API by everybody who may call: let in or refused as this table says, and refused means that
nothing happened. The table is written by hand, apart from the code that it checks."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Account, ConnectionTest, Desk, Order
from alerts.models import Alert
from hedgerow.api import api
from identity.models import ApiToken, AuditEntry, User
from strategies.models import Strategy
from tests.api.conftest import FAKE_KEY, Program
from tests.desk_rows import DeskRows

ID = str(uuid4())
WHY = {"reason": "because of a test"}
ORDER = {
    "platform": "predict",
    "account_id": "predict-01",
    "market_id": "100",
    "side": "no",
    "price": "0.55",
    "shares": 5,
}
VIEWER, TRADER, ADMIN = "viewer", "trader", "admin"
RANKS = (VIEWER, TRADER, ADMIN)

MATRIX: dict[str, tuple[str, Any]] = {
    "GET /me": (VIEWER, None),
    "GET /tokens": (VIEWER, None),
    "POST /tokens": (VIEWER, {"name": "t", "role": "viewer", "expires_at": "2026-12-01T00:00:00Z"}),
    "DELETE /tokens/{token_id}": (VIEWER, None),
    "GET /accounts": (VIEWER, None),
    "POST /accounts": (ADMIN, {"name": "new", "platform": "predict", "private_key": FAKE_KEY}),
    "GET /accounts/{account_id}": (VIEWER, None),
    "PUT /accounts/{account_id}": (ADMIN, {"notes": "changed"}),
    "DELETE /accounts/{account_id}": (ADMIN, None),
    "POST /accounts/{account_id}/disable": (TRADER, WHY),
    "POST /accounts/{account_id}/enable": (TRADER, WHY),
    "POST /accounts/{account_id}/close-all": (TRADER, WHY | {"confirm": True}),
    "GET /accounts/{account_id}/connection": (VIEWER, None),
    "POST /accounts/{account_id}/test-connection": (TRADER, None),
    "GET /accounts/{account_id}/connection-tests": (VIEWER, None),
    "GET /accounts/{account_id}/connection-tests/{test_id}": (VIEWER, None),
    "GET /emergency-stop": (VIEWER, None),
    "GET /emergency-stop/preview": (VIEWER, None),
    "GET /emergency-stop/progress": (VIEWER, None),
    "POST /emergency-stop": (TRADER, WHY),
    "POST /emergency-stop/lift": (ADMIN, WHY),
    "POST /trade": (TRADER, ORDER | {"confirm": True}),
    "GET /orders": (VIEWER, None),
    "GET /unknown-orders": (VIEWER, None),
    "POST /unknown-orders/{order_id}/resolve": (TRADER, {"found": "never_arrived", "evidence": "the venue lists none"}),
    "GET /orders/{order_id}": (VIEWER, None),
    "POST /orders/{order_id}/cancel": (TRADER, WHY),
    "GET /fills": (VIEWER, None),
    "GET /positions": (VIEWER, None),
    "GET /positions/{account_id}": (VIEWER, None),
    "GET /markets": (VIEWER, None),
    "GET /markets/{market_id}": (VIEWER, None),
    "GET /markets/{market_id}/history": (VIEWER, None),
    "GET /strategies": (VIEWER, None),
    "POST /strategies": (TRADER, {"name": "new"}),
    "POST /strategies/validate": (VIEWER, {"config": {}}),
    "GET /strategies/{strategy_id}": (VIEWER, None),
    "PUT /strategies/{strategy_id}": (TRADER, {"config": {"ratio": "2"}}),
    "DELETE /strategies/{strategy_id}": (ADMIN, None),
    "POST /strategies/{strategy_id}/start": (TRADER, WHY),
    "POST /strategies/{strategy_id}/stop": (TRADER, WHY),
    "GET /strategies/{strategy_id}/exposures": (VIEWER, None),
    "GET /strategies/{strategy_id}/decisions": (VIEWER, None),
    "GET /alerts": (VIEWER, None),
    "POST /alerts/{alert_id}/acknowledge": (TRADER, None),
    "GET /events": (VIEWER, None),
    "GET /trades": (VIEWER, None),
    "GET /dashboard/stats": (VIEWER, None),
}


def operations() -> set[str]:
    paths = api.get_openapi_schema(path_prefix="")["paths"]
    return {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}


def state_of_the_world() -> list[Any]:
    """All that a call could have changed."""
    return [
        list(model.objects.order_by("pk").values())
        for model in (Account, ConnectionTest, Order, Desk, Strategy, Alert, AuditEntry, ApiToken.objects.model, User)
    ]


def filled(path: str, desk: DeskRows) -> str:
    order = Order.objects.order_by("created_at").first()
    assert order is not None
    known = {"account_id": "predict-01", "market_id": "predict:100", "strategy_id": desk.strategy.pk}
    return path.format(**known, order_id=order.pk, token_id=ID, alert_id=ID, test_id=ID)


def test_table_names_every_operation() -> None:
    assert operations() == MATRIX.keys()


@pytest.mark.parametrize("operation", MATRIX)
@pytest.mark.parametrize("caller", ["nobody", "wrong", "roleless", *RANKS])
def test_operation_opens_to_the_role_and_above(
    operation: str, caller: str, program: Callable[..., Program], desk: DeskRows, vault: None
) -> None:
    needed, body = MATRIX[operation]
    method, path = operation.split()
    who = Program("hdg_not-a-token" if caller == "wrong" else "")
    if caller in (*RANKS, "roleless"):
        who = program("viewer" if caller == "roleless" else caller)
        if caller == "roleless":
            assert who.user is not None
            who.user.groups.clear()
    before = state_of_the_world()
    answer = who.call(method, filled(path, desk), body)
    if caller in RANKS and RANKS.index(caller) >= RANKS.index(needed):
        assert answer.status_code in (200, 201, 202, 204, 404, 409, 503), answer.content
        return
    assert answer.status_code == (401 if caller in ("nobody", "wrong") else 403)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] in ("not_signed_in", "token_invalid", "role_missing")
    assert state_of_the_world() == before, "refused, yet something happened"


@pytest.mark.parametrize("operation", [name for name in MATRIX if "{account_id}" in name or name == "POST /trade"])
def test_account_out_of_sight_is_not_there(
    operation: str, program: Callable[..., Program], desk: DeskRows, vault: None
) -> None:
    Account.objects.filter(name="predict-02").update(tags=["blue"])
    who = program("admin", "blue")
    method, path = operation.split()
    before = state_of_the_world()
    answer = who.call(method, filled(path, desk), MATRIX[operation][1])
    assert (answer.status_code, answer.json()["code"]) == (404, "account_not_found")
    assert state_of_the_world() == before


@pytest.mark.parametrize("path", ["/accounts", "/orders", "/fills", "/positions", "/strategies"])
def test_lists_hold_only_what_is_in_sight(path: str, program: Callable[..., Program], desk: DeskRows) -> None:
    seen = Account.objects.get(name="predict-02")
    Account.objects.filter(pk=seen.pk).update(tags=["blue"])
    items = program("viewer", "blue").get(path).json()["items"]
    names = {item.get("account_name", item.get("name")) for item in items if path in ("/accounts", "/orders", "/fills")}
    assert names <= {"predict-02"}
    assert program("viewer", "green").get(path).json()["items"] == []


def test_desk_wide_answers_need_the_whole_desk(program: Callable[..., Program], desk: DeskRows) -> None:
    Account.objects.filter(name="predict-02").update(tags=["blue"])
    blue = program("viewer", "blue")
    for path in ("/dashboard/stats", "/alerts", "/emergency-stop/preview", "/emergency-stop/progress"):
        assert blue.get(path).json()["code"] == "desk_out_of_scope"
    assert blue.get("/events").json()["code"] == "account_missing"
    assert blue.get("/events?account=predict-01").json()["code"] == "account_not_found"


def test_refusal_costs_no_more_than_finding_out_who_asks(viewer_program: Program, desk: DeskRows) -> None:
    with CaptureQueriesContext(connection) as queries:
        viewer_program.post("/emergency-stop", WHY)
    assert len(queries) == 2
