"""From fills to journaled hedges: one fill one effect, whatever is repeated, raced, stopped or changed meanwhile."""

import asyncio
from decimal import Decimal

from django.utils import timezone

from accounts.models import Account, Desk, Fill, Order
from alerts.models import Alert
from strategies.dispatch import Dispatcher
from strategies.inbox import Inbox
from strategies.models import Decision, Exposure, Pair, Strategy
from strategies.specs import SpecBook
from tests.dispatch.conftest import NOW, KeepingSigner, connect, fill, inbox_of, make_dispatcher
from trading.enums import Action, FeeKind, Outcome, Settlement
from trading.instruments import Book, Level


async def test_a_primary_fill_orders_its_complement(
    dispatcher: Dispatcher, signer: KeepingSigner, strategy: Strategy, primary: Account, hedge: Account
) -> None:
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    (order,) = signer.sent
    assert (order.account_id, order.outcome, order.action) == (hedge.id, Outcome.NO, Action.BUY)
    assert (order.price, order.size) == (Decimal("0.45"), 100)
    row = await Order.objects.aget(id=order.id)
    assert (row.status, row.order_hash, bytes(row.body)) == ("submitted", order.order_hash, order.body)
    exposure = await Exposure.objects.aget()
    assert (exposure.primary, exposure.hedged, exposure.in_flight, exposure.need) == (100, 0, -100, 0)
    decision = await Decision.objects.aget()
    assert (decision.need, decision.orders) == (-100, [str(order.id)])


async def test_looked_at_again_while_its_hedge_rests_is_no_news(
    dispatcher: Dispatcher, signer: KeepingSigner, strategy: Strategy, primary: Account, hedge: Account
) -> None:
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    (order,) = signer.sent
    exposure = await Exposure.objects.aget()
    done = await dispatcher.dispatch(Inbox(), {exposure.id: "sweep"})
    assert (done.evaluations, (await Exposure.objects.aget()).revision) == ((), exposure.revision)
    assert await Decision.objects.acount() == 1
    own = fill(hedge, "t2", outcome=Outcome.NO, price="0.45", order_hash=order.order_hash or "")
    await dispatcher.dispatch(inbox_of(own))
    assert (await Decision.objects.order_by("-id").afirst()).reason == "hedged"


async def test_decision_keeps_the_book_it_saw(
    database_url: str, signer: KeepingSigner, strategy: Strategy, primary: Account
) -> None:
    levels = tuple(Level(Decimal(f"0.{50 - n}"), Decimal("12.5")) for n in range(7))
    book = Book(market_id="1", updated_at_ms=1_700_000_000_000, bids=levels, asks=(Level(Decimal("0.56"), Decimal(3)),))
    conn = await connect(database_url)
    async with conn:
        seeing = Dispatcher(conn, signer, SpecBook(), {"predict:1": book}, lambda: NOW)
        await seeing.dispatch(inbox_of(fill(primary, "t1")))
        blind = make_dispatcher(conn, signer)
        await blind.dispatch(inbox_of(fill(primary, "t2")))
    second, first = [decision.book async for decision in Decision.objects.order_by("-id")]
    assert first["bids"] == [["0.5", "12.5"], ["0.49", "12.5"], ["0.48", "12.5"], ["0.47", "12.5"], ["0.46", "12.5"]]
    assert (first["asks"], first["at_ms"]) == ([["0.56", "3"]], 1_700_000_000_000)
    assert second is None


async def test_the_same_fill_twice_hedges_once(
    dispatcher: Dispatcher, signer: KeepingSigner, strategy: Strategy, primary: Account
) -> None:
    for _ in range(3):
        await dispatcher.dispatch(inbox_of(fill(primary, "t1"), fill(primary, "t1")))
    assert len(signer.sent) == 1
    assert await Fill.objects.acount() == 1


async def test_a_waiting_batch_becomes_one_hedge(
    dispatcher: Dispatcher, signer: KeepingSigner, strategy: Strategy, primary: Account
) -> None:
    await dispatcher.dispatch(
        inbox_of(
            fill(primary, "t1", outcome=Outcome.NO, size="40", price="0.30"),
            fill(primary, "t2", outcome=Outcome.NO, size="60", price="0.32"),
        )
    )
    (order,) = signer.sent
    assert (order.outcome, order.size, order.price) == (Outcome.YES, 100, Decimal("0.68"))


async def test_the_hedges_own_fill_is_never_hedged(
    dispatcher: Dispatcher, signer: KeepingSigner, strategy: Strategy, primary: Account, hedge: Account
) -> None:
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    (order,) = signer.sent
    await dispatcher.dispatch(
        inbox_of(fill(hedge, "t2", outcome=Outcome.NO, price="0.45", order_hash=order.order_hash or ""))
    )
    exposure = await Exposure.objects.aget()
    assert (exposure.hedged, exposure.in_flight, exposure.need) == (-100, 0, 0)
    assert exposure.unhedged_since is None
    assert len(signer.sent) == 1


async def test_mutual_pairs_do_not_ping_pong(
    dispatcher: Dispatcher, signer: KeepingSigner, strategy: Strategy, primary: Account, hedge: Account
) -> None:
    strategy.config = {"mutual": True}
    await strategy.asave()
    await dispatcher.dispatch(inbox_of(fill(hedge, "t1", size="20")))
    (order,) = signer.sent
    assert order.account_id == primary.id
    await dispatcher.dispatch(
        inbox_of(fill(primary, "t2", size="20", outcome=Outcome.NO, price="0.45", order_hash=order.order_hash or ""))
    )
    assert len(signer.sent) == 1
    assert {e.need async for e in Exposure.objects.all()} == {0}


async def test_two_engines_with_the_same_fills_hedge_once(
    database_url: str, signer: KeepingSigner, strategy: Strategy, primary: Account
) -> None:
    first, second = await connect(database_url), await connect(database_url)
    async with first, second:
        dispatchers = [make_dispatcher(first, signer), make_dispatcher(second, signer)]
        for k in range(0, 20, 5):
            batch = [fill(primary, f"t{n}", size="10") for n in range(k, k + 5)]
            await asyncio.gather(*(d.dispatch(inbox_of(*batch)) for d in dispatchers))
    assert sum(order.size for order in signer.sent) == 200
    exposure = await Exposure.objects.aget()
    assert (exposure.primary, exposure.in_flight, exposure.need) == (200, -200, 0)


async def test_a_halted_strategy_remembers_and_orders_nothing(
    dispatcher: Dispatcher, signer: KeepingSigner, strategy: Strategy, primary: Account
) -> None:
    strategy.state = "halted"
    await strategy.asave()
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    assert signer.sent == []
    exposure = await Exposure.objects.aget()
    assert (exposure.need, exposure.reason) == (-100, "strategy_halted")
    strategy.state = "active"
    await strategy.asave()
    await dispatcher.dispatch(Inbox(), {exposure.id: "sweep"})
    assert [order.size for order in signer.sent] == [100]


async def test_a_change_of_configuration_holds_at_once(
    dispatcher: Dispatcher, signer: KeepingSigner, strategy: Strategy, primary: Account
) -> None:
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    strategy.config = {"max_loss": "0.02"}
    await strategy.asave()
    await dispatcher.dispatch(inbox_of(fill(primary, "t2")))
    assert [order.price for order in signer.sent] == [Decimal("0.45"), Decimal("0.47")]


async def test_a_fill_before_the_first_start_is_not_ours(
    dispatcher: Dispatcher, signer: KeepingSigner, strategy: Strategy, primary: Account
) -> None:
    strategy.started_at = None
    await strategy.asave()
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    assert signer.sent == []
    assert await Exposure.objects.acount() == 0
    assert await Fill.objects.acount() == 1


async def test_a_stopped_desk_orders_nothing(
    dispatcher: Dispatcher, signer: KeepingSigner, strategy: Strategy, primary: Account
) -> None:
    await Desk.objects.aupdate_or_create(id=1, defaults={"stopped": True, "level": "all"})
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    assert signer.sent == []
    assert (await Exposure.objects.aget()).reason == "desk_halted"


async def test_an_account_that_cannot_sign_is_tried_again(
    dispatcher: Dispatcher, signer: KeepingSigner, strategy: Strategy, primary: Account
) -> None:
    signer.available = False
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    exposure = await Exposure.objects.aget()
    assert signer.sent == []
    assert (exposure.need, exposure.reason) == (-100, "not_signed: the account's proxy is down")
    for _ in range(3):
        await dispatcher.dispatch(Inbox(), {exposure.id: "sweep"})
    assert await Decision.objects.acount() == 1
    signer.available = True
    await dispatcher.dispatch(Inbox(), {exposure.id: "sweep"})
    assert [order.size for order in signer.sent] == [100]


async def test_a_failed_settlement_reopens_the_exposure(
    dispatcher: Dispatcher, signer: KeepingSigner, strategy: Strategy, primary: Account, hedge: Account
) -> None:
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    (order,) = signer.sent
    own = {"outcome": Outcome.NO, "price": "0.45", "order_hash": order.order_hash or ""}
    await dispatcher.dispatch(inbox_of(fill(hedge, "t2", settlement=Settlement.SETTLED, **own)))
    await dispatcher.dispatch(inbox_of(fill(primary, "t1", settlement=Settlement.FAILED)))
    exposure = await Exposure.objects.aget()
    assert (exposure.primary, exposure.hedged) == (0, -100)
    undo = signer.sent[1]
    assert (undo.outcome, undo.action, undo.size) == (Outcome.NO, Action.SELL, 100)
    alert = await Alert.objects.aget()
    assert (alert.kind, alert.subject) == ("settlement_failed", "primary in Rain tomorrow?")
    assert "buy 100 yes at 0.55 did not settle and is reversed" in alert.text


async def test_a_share_fee_opens_what_it_took(
    dispatcher: Dispatcher, signer: KeepingSigner, strategy: Strategy, primary: Account, hedge: Account
) -> None:
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    (order,) = signer.sent
    own = {"outcome": Outcome.NO, "price": "0.45", "order_hash": order.order_hash or ""}
    await dispatcher.dispatch(inbox_of(fill(hedge, "t2", **own)))
    settled = fill(hedge, "t2", settlement=Settlement.SETTLED, fee=Decimal("5"), fee_kind=FeeKind.SHARES, **own)
    await dispatcher.dispatch(inbox_of(settled))
    assert (await Exposure.objects.aget()).hedged == -95
    assert [order.size for order in signer.sent] == [100, 5]


async def test_a_rejected_hedge_waits_for_its_sweep(
    dispatcher: Dispatcher, signer: KeepingSigner, strategy: Strategy, primary: Account
) -> None:
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    await Order.objects.filter(id=signer.sent[0].id).aupdate(status="rejected")
    exposure = await Exposure.objects.aget()
    inbox = Inbox()
    inbox.rejections[exposure.id] = "create_order_insufficient_collateral_balance"
    await dispatcher.dispatch(inbox)
    exposure = await Exposure.objects.aget()
    assert (len(signer.sent), exposure.need) == (1, -100)
    assert exposure.reason.startswith("rejected:create_order_insufficient")


async def test_another_strategys_hedge_is_not_a_primary(
    dispatcher: Dispatcher, signer: KeepingSigner, strategy: Strategy, primary: Account, hedge: Account
) -> None:
    second = await Strategy.objects.acreate(name="second", state="active", started_at=timezone.now())
    third = await Account.objects.acreate(name="third", platform="predict", address="0x" + "3" * 40)
    await Pair.objects.acreate(strategy=second, primary=hedge, hedge=third)
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    (order,) = signer.sent
    await dispatcher.dispatch(
        inbox_of(fill(hedge, "t2", outcome=Outcome.NO, price="0.45", order_hash=order.order_hash or ""))
    )
    assert len(signer.sent) == 1
