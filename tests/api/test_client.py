"""A typed client, written from the OpenAPI document, goes through a desk's day."""

import json
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from accounts.models import Desk, Order
from hedgerow.api import api
from tests.api.conftest import FAKE_KEY, Program
from tests.api.typed_client import write_client
from tests.desk_rows import DeskRows


@pytest.fixture(scope="module")
def source() -> str:
    return write_client(api.get_openapi_schema(path_prefix="/api/"))


@pytest.fixture(scope="module")
def written(source: str) -> Any:
    module = ModuleType("hedgerow_client")
    exec(compile(source, "hedgerow_client.py", "exec"), module.__dict__)
    return module


def speak(written: Any, who: Program) -> Any:
    def send(method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[int, Any]:
        answer = who.call(method, path.removeprefix("/api"), body, **headers)
        return answer.status_code, json.loads(answer.content) if answer.content else None

    return written.Api(send)


def test_written_client_is_strictly_typed(source: str, tmp_path: Path) -> None:
    file = tmp_path / "hedgerow_client.py"
    file.write_text(source)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--config-file=", str(file)]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_client_goes_through_a_desks_day(
    written: Any, admin_program: Program, desk: DeskRows, vault: None, now: datetime
) -> None:
    desk_api = speak(written, admin_program)
    assert desk_api.get_me()["role"] == "admin"
    made = desk_api.post_accounts(body={"name": "new", "platform": "predict", "private_key": FAKE_KEY, "tags": ["a"]})
    assert desk_api.get_accounts(search="new")["items"][0]["id"] == made["id"]
    changed = desk_api.put_accounts_account_id("new", body={"max_order": "250.5"})
    assert changed["max_order"] == "250.5"
    order = {
        "platform": "predict", "account_id": "new", "market_id": "100", "side": "yes", "price": "0.4", "shares": "10",
    }  # fmt: skip
    assert desk_api.post_trade(body=order)["dry_run"]
    placed = desk_api.post_trade(body=order | {"confirm": True}, Idempotency_Key="day-1")
    assert desk_api.get_orders_order_id(placed["client_order_id"])["price"] == "0.4"
    assert desk_api.get_orders(account="new")["items"][0]["id"] == placed["client_order_id"]
    assert desk_api.post_orders_order_id_cancel(placed["client_order_id"], body={"reason": "enough"})["requested"]
    pair = {"primary": "new", "hedge": "predict-01"}
    strategy = desk_api.post_strategies(body={"name": "day", "config": {"ratio": "0.5"}, "pairs": [pair]})
    assert desk_api.post_strategies_strategy_id_start(strategy["id"], body={"reason": "go on"})["state"] == "active"
    assert desk_api.post_strategies_strategy_id_stop(strategy["id"], body={"reason": "enough"})["state"] == "halted"
    tested = desk_api.post_accounts_account_id_test_connection("new")
    assert desk_api.get_accounts_account_id_connection_tests_test_id("new", tested["id"])["status"] == "waiting"
    assert desk_api.get_accounts_account_id_connection_tests("new")["items"][0]["id"] == tested["id"]
    assert desk_api.get_emergency_stop_preview(level="cancel_all")["is_cancelling"]
    assert desk_api.post_emergency_stop(body={"reason": "end of day"})["stopped"]
    assert desk_api.get_emergency_stop_progress()["level"] == "no_new"
    assert Desk.objects.get().stopped
    assert not desk_api.post_emergency_stop_lift(body={"reason": "next day"})["stopped"]
    token = desk_api.post_tokens(body={"name": "n", "expires_at": (now + timedelta(days=1)).isoformat()})
    assert desk_api.delete_tokens_token_id(token["token"]["id"]) is None
    with pytest.raises(written.Refused) as refused:
        desk_api.get_accounts_account_id("nobody")
    assert (refused.value.status, refused.value.code) == (404, "account_not_found")
    assert Order.objects.filter(origin="user").count() == 1
