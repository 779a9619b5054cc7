"""What the API starts, to its end at the venue: closing an account, a stop that flattens, a connection test, a person's
word on an unknown order."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from asgiref.sync import sync_to_async

from accounts.connection_check import run_connection_test
from accounts.connection_test import PER_MINUTE
from accounts.models import Account, ConnectionTest, Order, Position
from identity.models import AuditEntry, User
from identity.roles import Role
from identity.tokens import issue_token
from markets.models import Market
from tests.accounts.test_clearing import bid, settle
from tests.api.conftest import Program
from trading.enums import OrderStatus
from trading.instruments import MarketSpec

Ask = Callable[..., Awaitable[Any]]
WHY = {"reason": "a drill"}


@pytest.fixture
def ask(operator: User, redis_url: str, paper: Any, settings: Any) -> Ask:
    """Calls the API as an admin's program; gives (status, answer)."""
    settings.PREDICT_API_URL = paper.url
    settings.PREDICT_WS_URL = paper.url.replace("http", "ws") + "/ws"
    settings.PREDICT_RPC_URL = paper.url + "/rpc"
    now = datetime.now(UTC)
    expires = now + timedelta(days=1)
    _, secret = issue_token(operator, "tests", role=Role.ADMIN, by=operator, now=now, expires_at=expires)
    who = Program(secret, operator)

    def call(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        answer = who.call(method, path, body)
        return answer.status_code, answer.json() if answer.content else None

    return sync_to_async(call)


async def hold(room: Any, account: Account, paper: Any, redis_url: str, size: str = "10") -> None:
    """The account buys, and what rests is taken by somebody else."""
    [order] = await room.send(room.order(account, size=size))
    await room.until(order.id, OrderStatus.ACCEPTED)
    paper.take(order.order_hash)
    await asyncio.sleep(0.2)
    await settle(room, account, redis_url)
    await room.until(order.id, OrderStatus.FILLED)


async def test_close_all_is_planned_then_sold_at_the_venue(
    ask: Ask, room: Any, account: Account, paper: Any, redis_url: str, market: MarketSpec, commands: Any
) -> None:
    await hold(room, account, paper, redis_url)
    await bid(paper, market)
    status, planned = await ask("POST", f"/accounts/{account.name}/close-all", WHY)
    assert (status, planned["dry_run"]) == (200, True)
    [sale] = planned["sales"]
    assert (sale["side"], sale["shares"], sale["price"], sale["client_order_id"]) == ("yes", "10", "0.25", None)
    assert not await Order.objects.filter(origin="closing").aexists(), "a dry run has ordered something"
    await account.arefresh_from_db()
    assert account.state == "active"

    status, ordered = await ask("POST", f"/accounts/{account.name}/close-all", WHY | {"confirm": True})
    assert (status, ordered["dry_run"]) == (202, False)
    [sale] = ordered["sales"]
    assert sale["refusal"] == ""
    for command in await sync_to_async(commands)():
        await room.executor.handle_command(command)
    await asyncio.sleep(0.4)
    await settle(room, account, redis_url)
    sold = await room.until(sale["client_order_id"], OrderStatus.FILLED)
    assert (sold.action, sold.filled) == ("sell", 10)
    assert (await Position.objects.aget(account=account, outcome="yes")).size == 0
    assert (await ask("GET", f"/positions/{account.name}"))[1]["items"] == []
    followed = (await ask("GET", f"/orders/{sale['client_order_id']}"))[1]
    assert (followed["status"], followed["origin"], followed["filled"]) == ("filled", "closing", "10")
    assert (await ask("GET", f"/accounts/{account.name}"))[1]["state"] == "reducing"
    assert await AuditEntry.objects.filter(action="order.placed", source="api").acount() == 1


async def test_flattening_stop_is_previewed_pulled_and_followed(
    ask: Ask, room: Any, account: Account, paper: Any, redis_url: str, market: MarketSpec
) -> None:
    await hold(room, account, paper, redis_url)
    await bid(paper, market)
    seen = (await ask("GET", "/emergency-stop/preview?level=flatten"))[1]
    assert (seen["holdings"], seen["shares"], seen["is_cancelling"]) == (1, "10", True)
    assert not (await ask("GET", "/emergency-stop"))[1]["stopped"], "a preview has stopped the desk"
    status, told = await ask("POST", "/emergency-stop", WHY | {"level": "flatten"})
    assert (status, told["level"], told["expired"]) == (200, "flatten", [])
    assert [name.split(":")[0] for name in told["confirmed"]] == ["engine-test"]
    assert not (await ask("GET", "/emergency-stop/progress"))[1]["is_done"]
    for _ in range(8):
        room.executor._clearing._looked_at = room.executor._clearing._looked_at.replace(year=2000)
        await room.executor.recover_fully()
        await asyncio.sleep(0.4)
        await settle(room, account, redis_url)
        if (await ask("GET", "/emergency-stop/progress"))[1]["is_done"]:
            break
    done = (await ask("GET", "/emergency-stop/progress"))[1]
    assert (done["is_done"], done["holdings"], done["level"]) == (True, 0, "flatten")
    status, refused = await ask("POST", "/emergency-stop", WHY | {"level": "no_new"})
    assert (status, refused["code"]) == (409, "stop_milder")
    assert not (await ask("POST", "/emergency-stop/lift", WHY))[1]["stopped"]
    assert (await ask("GET", "/emergency-stop/progress"))[1]["level"] == ""


@pytest.mark.parametrize("level", ["hedge_only", "no_new", "cancel_all"])
async def test_every_level_is_reached_over_http(level: str, ask: Ask, room: Any, account: Account) -> None:
    [order] = await room.send(room.order(account))
    await room.until(order.id, OrderStatus.ACCEPTED)
    assert (await ask("GET", f"/emergency-stop/preview?level={level}"))[1]["resting"] == 1
    assert (await ask("POST", "/emergency-stop", WHY | {"level": level}))[1]["level"] == level
    await room.executor.recover_fully()
    await asyncio.sleep(0.3)
    asked = (await room.row(order.id)).cancel_requested_at is not None
    assert asked == (level == "cancel_all")


async def test_connection_is_tested_through_a_worker(ask: Ask, room: Any, account: Account) -> None:
    status, asked = await ask("POST", f"/accounts/{account.name}/test-connection")
    assert (status, asked["status"], asked["finished_at"]) == (202, "waiting", None)
    assert (await ask("POST", f"/accounts/{account.name}/test-connection"))[1]["id"] == asked["id"]
    await sync_to_async(run_connection_test, thread_sensitive=False)(UUID(asked["id"]))
    status, told = await ask("GET", f"/accounts/{account.name}/connection-tests/{asked['id']}")
    assert (status, told["status"], told["problem"]) == (200, "passed", "")
    assert [step["state"] for step in told["steps"]] == ["ok"] * 6
    assert (await ask("GET", f"/accounts/{account.name}/connection-tests"))[1]["items"] == [told]
    for _ in range(PER_MINUTE - 1):
        again = (await ask("POST", f"/accounts/{account.name}/test-connection"))[1]
        await ConnectionTest.objects.filter(pk=again["id"]).aupdate(finished_at=datetime.now(UTC), status="failed")
    status, refused = await ask("POST", f"/accounts/{account.name}/test-connection")
    assert (status, refused["code"]) == (429, "tested_too_often")


async def test_unknown_order_is_closed_with_evidence_only(
    ask: Ask, room: Any, account: Account, market: MarketSpec
) -> None:
    long_ago = datetime.now(UTC) - timedelta(minutes=3)
    order = await Order.objects.acreate(
        account=account, market=await Market.objects.aget(), outcome="yes", action="buy", price=Decimal("0.4"),
        size=Decimal(10), status="unknown", order_hash=f"0x{uuid4().hex}{uuid4().hex}", created_at=long_ago,
        submitted_at=long_ago, sent_at=long_ago, updated_at=long_ago, announced="unknown",
    )  # fmt: skip
    path = f"/unknown-orders/{order.pk}/resolve"
    assert (await ask("GET", "/unknown-orders"))[1]["items"][0]["id"] == str(order.pk)
    for body in (
        {"found": "never_arrived", "evidence": "trust me"},
        {"found": "filled", "evidence": "the venue says that it is filled"},
        {"found": "never_arrived"},
    ):
        assert (await ask("POST", path, body))[0] == 422
    status, refused = await ask("POST", path, {"found": "refused", "evidence": "the venue's support told us so"})
    assert (status, refused["code"]) == (409, "order_not_resolved")
    assert (await room.row(order.pk)).status == "unknown"
    status, told = await ask("POST", path, {"found": "never_arrived", "evidence": "support found no such hash"})
    assert (status, told["status"]) == (200, "cancelled")
    assert "support found no such hash" in told["reason"]
    assert (await AuditEntry.objects.aget(action="order.resolved")).source == "api"
    assert (await ask("POST", path, {"found": "never_arrived", "evidence": "support found no such hash"}))[0] == 409
    assert (await ask("GET", "/unknown-orders"))[1]["items"] == []
