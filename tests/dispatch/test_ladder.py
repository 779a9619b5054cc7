"""The ladder in the database: rungs, unwinding, alerts and the pause, as rows."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg

from accounts.models import Account, Order
from alerts.models import Alert
from strategies.dispatch import Dispatched, Dispatcher
from strategies.inbox import Inbox
from strategies.models import Exposure, Pair, Strategy
from strategies.specs import BookShelf, SpecBook
from tests.dispatch.conftest import NOW, KeepingSigner, connect, fill, inbox_of
from trading.enums import Action, OrderStatus, Outcome
from trading.events import decode, encode

D = Decimal
LADDER = [
    {"kind": "join", "seconds": 5},
    {"kind": "wider", "seconds": 5, "max_loss": "0.03"},
    {"kind": "alternate", "seconds": 5, "account": "spare", "max_loss": "0.02"},
    {"kind": "unwind", "seconds": 5, "max_loss": "0.05"},
    {"kind": "pause"},
]


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> Any:
        return self.now


class Rungs:
    """One exposure and its dispatcher; the venue ends orders when asked to."""

    def __init__(self, conn: psycopg.AsyncConnection[Any], signer: KeepingSigner) -> None:
        self.clock = Clock()
        self.conn = conn
        self.signer = signer
        self.dispatcher = Dispatcher(conn, signer, SpecBook(), BookShelf({}, self.clock), self.clock)

    async def take(self, *fills: Any) -> Dispatched:
        return await self.dispatcher.dispatch(inbox_of(*fills))

    async def look(self, cause: str = "sweep") -> Dispatched:
        exposures = [row async for row in Exposure.objects.all()]
        return await self.dispatcher.dispatch(Inbox(), {row.id: cause for row in exposures})

    async def after(self, seconds: int) -> Dispatched:
        """The rung's time is over: its orders are cancelled, the venue ends them, late fills are looked for."""
        self.clock.now += timedelta(seconds=seconds)
        done = await self.look()
        await self.end([cancel.client_order_id for cancel in done.cancels])
        return await self.look("swept")

    async def end(self, ids: list[Any]) -> None:
        await Order.objects.filter(id__in=ids).aupdate(status=OrderStatus.CANCELLED.value)


async def begin(strategy: Strategy, **config: Any) -> None:
    await Account.objects.acreate(name="spare", platform="predict", address="0x" + "3" * 40)
    strategy.config = {"ladder": LADDER, **config}
    strategy.updated_at = NOW - timedelta(hours=1)
    await strategy.asave()
    await Strategy.objects.aupdate(updated_at=NOW - timedelta(hours=1))


async def climb(rungs: Rungs, primary: Account, to: int) -> None:
    await rungs.take(fill(primary, "t1"))
    for _ in range(to):
        await Order.objects.filter(status="submitted").aupdate(status="accepted")
        await rungs.after(5)
    assert (await Exposure.objects.aget()).rung == to


async def test_rungs_go_to_their_accounts_and_are_on_the_rows(
    database_url: str, signer: KeepingSigner, strategy: Strategy, primary: Account, hedge: Account
) -> None:
    await begin(strategy)
    async with await connect(database_url) as conn:
        rungs = Rungs(conn, signer)
        await climb(rungs, primary, 3)
    orders = [order async for order in Order.objects.select_related("account").order_by("rung")]
    assert [(order.account.name, order.outcome, order.action, order.price) for order in orders] == [
        ("hedge", "no", "buy", D("0.45")),
        ("hedge", "no", "buy", D("0.48")),
        ("spare", "no", "buy", D("0.47")),
        ("primary", "no", "buy", D("0.50")),
    ], "unsettled shares cannot be sold, so the primary closes with the other outcome"
    exposure = await Exposure.objects.aget()
    assert (exposure.rung, exposure.rung_since, exposure.rung_owed) == (3, rungs.clock.now, 100)
    assert (exposure.unhedged, exposure.at_risk, exposure.need) == (100, 55, 0)
    kinds = [alert.kind async for alert in Alert.objects.order_by("raised_at")]
    assert kinds == ["ladder_alternate", "ladder_unwind"]


async def test_unwinding_fill_lowers_primary_alone(
    database_url: str, signer: KeepingSigner, strategy: Strategy, primary: Account
) -> None:
    await begin(strategy)
    async with await connect(database_url) as conn:
        rungs = Rungs(conn, signer)
        await climb(rungs, primary, 3)
        unwinding = signer.sent[-1]
        assert unwinding.account_id == primary.id
        sent = len(signer.sent)
        done = await rungs.take(
            fill(primary, "t2", outcome=Outcome.NO, price="0.50", size="60", order_hash=unwinding.order_hash or "")
        )
        assert len(done.evaluations) == 1
        exposure = await Exposure.objects.aget()
        assert (exposure.primary, exposure.hedged, exposure.in_flight, exposure.need) == (40, 0, -40, 0)
        await rungs.take(
            fill(primary, "t3", outcome=Outcome.NO, price="0.50", size="40", order_hash=unwinding.order_hash or "")
        )
    exposure = await Exposure.objects.aget()
    assert (exposure.primary, exposure.hedged, exposure.need, exposure.rung) == (0, 0, 0, 0)
    assert (exposure.unhedged, exposure.at_risk, exposure.unhedged_since) == (0, 0, None)
    assert len(signer.sent) == sent


async def test_unwinding_sells_what_is_settled(
    database_url: str, signer: KeepingSigner, strategy: Strategy, primary: Account
) -> None:
    await begin(strategy)
    async with await connect(database_url) as conn:
        rungs = Rungs(conn, signer)
        await rungs.take(fill(primary, "t1"))
        await conn.execute("UPDATE accounts_fill SET settlement = 'settled'")
        for _ in range(3):
            await Order.objects.filter(status="submitted").aupdate(status="accepted")
            await rungs.after(5)
    (order,) = [order for order in signer.sent if order.account_id == primary.id]
    assert (order.outcome, order.action, order.size, order.price) == (Outcome.YES, Action.SELL, 100, D("0.50"))


async def test_primary_hedged_twice_is_not_unwound(
    database_url: str, signer: KeepingSigner, strategy: Strategy, primary: Account
) -> None:
    await begin(strategy)
    other = await Account.objects.acreate(name="other", platform="predict", address="0x" + "4" * 40)
    await Pair.objects.acreate(strategy=strategy, primary=primary, hedge=other)
    async with await connect(database_url) as conn:
        rungs = Rungs(conn, signer)
        await rungs.take(fill(primary, "t1"))
        for _ in range(4):
            await Order.objects.filter(status="submitted").aupdate(status="accepted")
            await rungs.after(5)
    assert primary.id not in {order.account_id for order in signer.sent}
    assert {row.rung async for row in Exposure.objects.all()} == {4}


async def test_pause_is_asked_for_and_told_once(
    database_url: str, signer: KeepingSigner, strategy: Strategy, primary: Account
) -> None:
    await begin(strategy)
    async with await connect(database_url) as conn:
        rungs = Rungs(conn, signer)
        await climb(rungs, primary, 4)
        done = await rungs.look()
    assert [evaluation.halts for evaluation in done.evaluations] == [True]
    alert = await Alert.objects.aget(kind="ladder_paused")
    assert (alert.severity, alert.count) == ("critical", 1)
    assert "100 shares unhedged, 55 USDT at risk" in alert.text
    assert alert.subject == f"{strategy.name}: primary in Rain tomorrow?"


async def test_alert_and_figures_reach_the_bus(
    database_url: str, signer: KeepingSigner, strategy: Strategy, primary: Account
) -> None:
    await begin(strategy, dust_deadline_s=5, dust_max_loss="0")
    async with await connect(database_url) as conn:
        rungs = Rungs(conn, signer)
        await rungs.take(fill(primary, "t1", size="0.5"))
        rungs.clock.now += timedelta(seconds=6)
        done = await rungs.look()
        again = await rungs.look()
    (event,) = done.alerts
    assert json.loads(encode(event))["data"]["kind"] == "dust_overdue"
    assert decode(encode(event)) == event
    assert again.alerts == ()


async def test_refusal_without_funds_goes_to_the_spare(
    database_url: str, signer: KeepingSigner, strategy: Strategy, primary: Account
) -> None:
    await begin(strategy)
    async with await connect(database_url) as conn:
        rungs = Rungs(conn, signer)
        await rungs.take(fill(primary, "t1"))
        await Order.objects.aupdate(status="rejected")
        exposure = await Exposure.objects.aget()
        refusal = Inbox()
        refusal.rejections[exposure.id] = "create_order_insufficient_collateral_balance: no money"
        done = await rungs.dispatcher.dispatch(refusal)
        assert [(e.look_again, e.orders) for e in done.evaluations] == [(True, ())]
        await rungs.look("swept")
    account = await Account.objects.aget(id=signer.sent[-1].account_id)
    assert account.name == "spare"
