"""Asking for orders over the API, the tokens that do it, and signing in: what is done once, and what is not done."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from redis import Redis

from accounts.models import Account, Order, SealedSecret
from identity.models import ApiToken, AuditEntry, User
from tests.api.conftest import FAKE_KEY, Program
from tests.desk_rows import DeskRows
from trading.commands import decode_command
from trading.events import ORDER_COMMANDS

SEED = (
    b'{"type":"place_order","platform":"predict","account_id":"predict-01","market_id":"100","side":"no",'
    b'"price":0.55,"shares":100'
)
"""The seed's own command, number by number."""


def commands(redis_url: str) -> list[Any]:
    with Redis.from_url(redis_url) as bus:
        entries: Any = bus.xrange(ORDER_COMMANDS)
        return [decode_command(fields[b"event"]) for _, fields in entries]


def count_user_orders() -> int:
    return Order.objects.filter(origin="user").count()


def test_seed_command_without_confirmation_orders_nothing(trader_program: Program, desk: DeskRows) -> None:
    answer = trader_program.call("POST", "/trade", SEED + b"}")
    assert answer.status_code == 200
    told = answer.json()
    assert (told["dry_run"], told["price"], told["shares"], told["cost"]) == (True, "0.55", "100", "55")
    assert count_user_orders() == 0


@pytest.mark.django_db(transaction=True)
def test_confirmed_trade_is_one_row_and_one_command(trader_program: Program, desk: DeskRows, redis_url: str) -> None:
    answer = trader_program.call("POST", "/trade", SEED + b',"confirm":true}', **{"Idempotency-Key": "key-1"})
    assert answer.status_code == 202
    order = Order.objects.get(pk=answer.json()["client_order_id"])
    assert (order.price, order.size, order.status) == (Decimal("0.55"), Decimal(100), "initialized")
    assert [command.client_order_id for command in commands(redis_url)] == [order.pk]
    entry = AuditEntry.objects.get(action="order.placed")
    assert (entry.who, entry.source, entry.address) == ("trader-all", "api", "127.0.0.1")


def test_repeated_key_is_the_same_order(trader_program: Program, desk: DeskRows) -> None:
    body, key = SEED + b',"confirm":true}', {"Idempotency-Key": "key-1"}
    first, again = (trader_program.call("POST", "/trade", body, **key) for _ in range(2))
    assert first.json()["client_order_id"] == again.json()["client_order_id"]
    assert count_user_orders() == 1
    other = trader_program.call("POST", "/trade", body.replace(b'"shares":100', b'"shares":101'), **key)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert count_user_orders() == 1


@pytest.mark.parametrize(
    ("given", "instead"),
    [
        (b'"price":0.55', b'"price":0.555'),
        (b'"price":0.55', b'"price":NaN'),
        (b'"price":0.55', b'"price":1e-400'),
        (b'"shares":100', b'"shares":0'),
        (b'"shares":100', b'"shares":100,"confirmed":true'),
        (b'"side":"no"', b'"side":"maybe"'),
        (b'"market_id":"100"', b'"market_id":"nowhere"'),
    ],
)
def test_order_that_cannot_be_right_is_refused(
    given: bytes, instead: bytes, trader_program: Program, desk: DeskRows
) -> None:
    body = (SEED + b',"confirm":true}').replace(given, instead)
    answer = trader_program.call("POST", "/trade", body)
    assert answer.status_code in (400, 422)
    assert answer.json()["detail"]
    assert count_user_orders() == 0


def test_number_on_the_wire_never_becomes_a_float(trader_program: Program, desk: DeskRows) -> None:
    body = (SEED + b"}").replace(b'"shares":100', b'"shares":123456789012345.67')
    assert trader_program.call("POST", "/trade", body).json()["shares"] == "123456789012345.67"


def test_made_account_hides_every_secret(admin_program: Program, vault: None, desk: DeskRows) -> None:
    body = {
        "name": "new", "platform": "predict", "private_key": FAKE_KEY, "api_key": "fake-api-key",
        "proxy_url": "socks5://user:fake-password@proxy.invalid:1080",
    }  # fmt: skip
    answer = admin_program.post("/accounts", body)
    assert answer.status_code == 201
    everything = answer.content.decode() + json.dumps(list(AuditEntry.objects.values()), default=str)
    for secret in (FAKE_KEY[2:], "fake-api-key", "fake-password"):
        assert secret not in everything
    assert SealedSecret.objects.filter(account_id=answer.json()["id"]).count() == 3
    wrong = admin_program.post("/accounts", body | {"name": "other", "private_key": FAKE_KEY + "zz"})
    assert wrong.status_code == 422
    assert FAKE_KEY[2:] not in wrong.content.decode()


def test_used_account_is_not_removed(admin_program: Program, desk: DeskRows) -> None:
    answer = admin_program.call("DELETE", "/accounts/predict-01")
    assert (answer.status_code, answer.json()["code"]) == (409, "account_in_use")
    Account.objects.create(name="unused", platform="predict", address="0x" + "9" * 40)
    assert admin_program.call("DELETE", "/accounts/unused").status_code == 204
    assert AuditEntry.objects.filter(action="account.removed", object_name="unused").count() == 1


def test_token_is_shown_once_and_ends_at_once(trader_program: Program, now: datetime) -> None:
    expires = (now + timedelta(days=3)).isoformat()
    made = trader_program.post("/tokens", {"name": "bot", "role": "viewer", "expires_at": expires}).json()
    held = Program(made["secret"])
    assert held.get("/me").json()["role"] == "viewer"
    assert held.post("/emergency-stop", {"reason": "because"}).status_code == 403
    assert made["secret"] not in trader_program.get("/tokens").content.decode()
    assert made["secret"] not in str(list(ApiToken.objects.values()) + list(AuditEntry.objects.values()))
    assert ApiToken.objects.get(name="bot").last_used_at is not None
    assert trader_program.call("DELETE", f"/tokens/{made['token']['id']}").status_code == 204
    assert held.get("/me").json()["code"] == "token_invalid"


def test_nobody_makes_a_token_above_themselves(viewer_program: Program, program: Any, now: datetime) -> None:
    expires = (now + timedelta(days=3)).isoformat()
    for who, body in (
        (viewer_program, {"role": "trader"}),
        (program("trader", "blue"), {"role": "viewer"}),
        (program("trader", "green"), {"role": "viewer", "account_tags": ["red"]}),
        (viewer_program, {"role": "viewer", "expires_at": (now + timedelta(days=999)).isoformat()}),
    ):
        before = ApiToken.objects.count()
        assert who.post("/tokens", {"name": "x", "expires_at": expires} | body).status_code == 422
        assert ApiToken.objects.count() == before


def test_expired_token_and_inactive_person_are_refused(program: Callable[..., Program], now: datetime) -> None:
    late, gone = program("admin", name="late"), program("admin", name="gone")
    ApiToken.objects.filter(user__username="late").update(expires_at=now - timedelta(seconds=1))
    User.objects.filter(username="gone").update(is_active=False)
    assert [who.get("/me").status_code for who in (late, gone)] == [401, 401]


def test_session_needs_the_csrf_token_to_change(viewer: User, desk: DeskRows) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(viewer)
    assert browser.get("/api/me").json()["username"] == "viewer"
    body = json.dumps({"config": {}})
    refused = browser.post("/api/strategies/validate", body, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (403, "csrf_missing")


def test_guesser_waits_and_others_do_not(viewer: User, redis_url: str) -> None:
    def sign_in(password: str, address: str) -> bool:
        browser = Client(REMOTE_ADDR=address)
        return browser.post("/login/", {"username": "viewer", "password": password}).status_code == 302

    assert not any(sign_in(f"guess-{n}", "203.0.113.9") for n in range(6))
    assert not sign_in("a-password-of-the-tests", "203.0.113.9"), "even the right one must wait now"
    assert sign_in("a-password-of-the-tests", "203.0.113.10"), "from elsewhere it opens"
    entry = AuditEntry.objects.get(action="sign_in.locked")
    assert (entry.who, entry.address) == ("viewer", "203.0.113.9")


def test_stop_stays_reachable_while_redis_is_down(trader_program: Program, settings: Any, desk: DeskRows) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    assert trader_program.get("/emergency-stop").status_code == 200
    assert trader_program.get("/me").status_code == 200


def test_problem_carries_the_requests_id(viewer_program: Program) -> None:
    answer = viewer_program.get("/nowhere", **{"X-Request-ID": "my-request-1"})
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"] == "my-request-1"
    assert viewer_program.get("/me", **{"X-Request-ID": "bad id\x7f"}).headers["X-Request-ID"] != "bad id\x7f"
