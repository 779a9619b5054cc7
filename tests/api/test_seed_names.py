"""The seed's words: each address, field and topic it names is there, in what the API takes and in what it answers."""

from typing import Any

import pytest

from hedgerow.api import api
from hedgerow.topics import TOPICS
from tests.api.conftest import FAKE_KEY, Program
from tests.desk_rows import DeskRows

DOCUMENT = api.get_openapi_schema(path_prefix="/api/")
FILL = ("account_id", "account_name", "market_id", "side", "price", "shares", "order_hash")
"""`data` of the seed's fill event, together with `platform` of its envelope."""
COMMAND = {
    "type": "place_order", "platform": "predict", "account_id": "predict-01", "market_id": "100", "side": "no",
    "price": 0.55, "shares": 100,
}  # fmt: skip
"""The seed's command, word for word but for names of this desk."""


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", "/api/accounts"),
        ("get", "/api/accounts"),
        ("put", "/api/accounts/{account_id}"),
        ("post", "/api/trade"),
        ("get", "/api/positions/{account_id}"),
        ("get", "/api/markets"),
        ("get", "/api/positions"),
        ("get", "/api/strategies"),
        ("post", "/api/strategies"),
        ("post", "/api/strategies/{strategy_id}/start"),
        ("post", "/api/strategies/{strategy_id}/stop"),
        ("post", "/api/emergency-stop"),
    ],
)
def test_seed_address_exists(method: str, path: str) -> None:
    assert method in DOCUMENT["paths"][path]


@pytest.mark.parametrize("field", COMMAND)
def test_trade_takes_the_commands_field(field: str) -> None:
    assert field in DOCUMENT["components"]["schemas"]["TradeRequest"]["properties"]


@pytest.mark.parametrize("field", [name for name in COMMAND if name != "type"])
def test_trade_answers_the_commands_field(field: str) -> None:
    assert field in DOCUMENT["components"]["schemas"]["TradeAnswer"]["properties"]


@pytest.mark.parametrize("answer", ["FillAnswer", "OrderAnswer", "TradeRecord"])
@pytest.mark.parametrize("field", ["platform", *FILL])
def test_answer_keeps_the_fills_field(answer: str, field: str) -> None:
    assert field in DOCUMENT["components"]["schemas"][answer]["properties"]


@pytest.mark.parametrize("field", ["account_id", "account_name", "platform", "market_id", "side", "shares"])
def test_position_keeps_the_seeds_field(field: str) -> None:
    assert field in DOCUMENT["components"]["schemas"]["PositionAnswer"]["properties"]


@pytest.mark.parametrize("field", ["id", "platform", "timestamp", "type", "data"])
def test_event_keeps_the_envelopes_field(field: str) -> None:
    assert field in DOCUMENT["components"]["schemas"]["EventAnswer"]["properties"]


def test_seed_command_comes_back_under_its_own_names(trader_program: Program, desk: DeskRows) -> None:
    told: dict[str, Any] = trader_program.post("/trade", COMMAND).json()
    assert {name: told[name] for name in ("platform", "market_id", "side", "price", "shares")} == {
        "platform": "predict", "market_id": "100", "side": "no", "price": "0.55", "shares": "100",
    }  # fmt: skip
    assert told["account_name"] == COMMAND["account_id"]


def test_fill_and_position_are_answered_under_the_seeds_names(viewer_program: Program, desk: DeskRows) -> None:
    fill = viewer_program.get("/fills?limit=1").json()["items"][0]
    assert fill.keys() >= {"platform", *FILL}
    assert (fill["side"], fill["price"]) == ("yes", "0.55")
    position = viewer_program.get("/positions/predict-01?flat=true").json()["items"][0]
    assert position.keys() >= {"account_id", "account_name", "market_id", "side", "shares"}


def test_account_is_made_listed_and_changed_as_in_the_seed(admin_program: Program, vault: None, desk: DeskRows) -> None:
    made = admin_program.post("/accounts", {"name": "account1", "platform": "predict", "private_key": FAKE_KEY})
    assert made.status_code == 201
    assert "account1" in [item["name"] for item in admin_program.get("/accounts").json()["items"]]
    assert (
        admin_program.call("PUT", f"/accounts/{made.json()['id']}", {"name": "account2"}).json()["name"] == "account2"
    )


def test_every_kind_of_the_seeds_events_has_a_topic() -> None:
    assert {"fills", "trades", "accounts"} <= set(TOPICS)
