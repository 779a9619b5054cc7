"""States, market limits and means, as the dispatch reads them: a halted venue, a full market, an empty purse."""

from datetime import timedelta
from decimal import Decimal

import pytest
from asgiref.sync import sync_to_async

from accounts.models import Account, Desk, Order, Position
from accounts.states import change_desk_state, change_market_limit, change_venue_state
from markets.models import Market
from strategies.dispatch import Dispatcher
from strategies.inbox import Inbox
from strategies.models import Exposure, Pair, Strategy
from tests.dispatch.conftest import NOW, KeepingSigner, fill, inbox_of
from trading.enums import Action, Outcome, TradingState

limit = sync_to_async(change_market_limit)


async def put(scope: str, state: TradingState, hedge: Account, strategy: Strategy) -> None:
    """Put one scope in a state, the way a person does."""
    if scope == "venue":
        await sync_to_async(change_venue_state)("predict", state, by="test", reason="drill")
    elif scope == "desk" and state is TradingState.HALTED:
        await Desk.objects.filter(pk=1).aupdate(stopped=True, level="no_new")
    elif scope == "desk":
        await sync_to_async(change_desk_state)(state, by="test", reason="drill")
    else:
        row = hedge if scope == "account" else strategy
        row.state = state.value
        await row.asave()


@pytest.mark.parametrize("scope", ["desk", "venue", "strategy", "account"])
@pytest.mark.parametrize("state", TradingState)
@pytest.mark.parametrize("lowers", [False, True])
async def test_state_decides_which_hedges_leave(
    dispatcher: Dispatcher,
    signer: KeepingSigner,
    strategy: Strategy,
    primary: Account,
    hedge: Account,
    market: Market,
    scope: str,
    state: TradingState,
    lowers: bool,
) -> None:
    if lowers:
        await Position.objects.acreate(account=hedge, market=market, outcome="yes", size=100, updated_at=NOW)
    await put(scope, state, hedge, strategy)
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    leaves = state is TradingState.ACTIVE or (state is TradingState.REDUCING and lowers)
    assert bool(signer.sent) is leaves
    exposure = await Exposure.objects.aget()
    assert (exposure.reason == f"{scope}_{state}") is not leaves
    assert exposure.need == (0 if leaves else -100)
    if leaves:
        assert signer.sent[0].action is (Action.SELL if lowers else Action.BUY)


async def test_another_venue_halted_stops_nothing_here(
    dispatcher: Dispatcher, signer: KeepingSigner, strategy: Strategy, primary: Account
) -> None:
    await sync_to_async(change_venue_state)("polymarket", TradingState.HALTED, by="test", reason="drill")
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    assert len(signer.sent) == 1


async def test_market_limit_counts_every_account_and_open_buy(
    dispatcher: Dispatcher, signer: KeepingSigner, strategy: Strategy, primary: Account, hedge: Account, market: Market
) -> None:
    other = await Account.objects.acreate(name="other", platform="predict", address="0x" + "4" * 40)
    await Position.objects.acreate(account=other, market=market, outcome="no", size=30, updated_at=NOW)
    await Order.objects.acreate(
        account=other, market=market, outcome="no", action="buy", price=Decimal("0.2"), size=10, status="accepted",
        created_at=NOW, updated_at=NOW,
    )  # fmt: skip
    await limit(None, max_position=Decimal(500), price_band=None, by="test", reason="for all")
    await limit("predict:1", max_position=Decimal(100), price_band=None, by="test", reason="here less")
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    (order,) = signer.sent
    assert (order.size, order.reason) == (60, "max_market_position")
    assert (await Exposure.objects.aget()).need == -40


async def test_every_markets_limit_holds_where_none_is_set(
    dispatcher: Dispatcher, signer: KeepingSigner, strategy: Strategy, primary: Account
) -> None:
    await limit(None, max_position=Decimal(70), price_band=None, by="test", reason="for all")
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    assert [order.size for order in signer.sent] == [70]


@pytest.mark.parametrize(
    ("read_ago_s", "collateral", "size"), [(30, "18", 40), (30, "1000", 100), (600, "0", 100), (None, "0", 100)]
)
async def test_hedge_is_cut_to_what_the_account_can_pay(
    dispatcher: Dispatcher,
    signer: KeepingSigner,
    strategy: Strategy,
    primary: Account,
    hedge: Account,
    market: Market,
    read_ago_s: int | None,
    collateral: str,
    size: int,
) -> None:
    """9 of it are reserved by an open buy elsewhere; a balance read long ago or never is unknown, and unknown pays."""
    hedge.collateral = Decimal(collateral) + 9
    hedge.balance_at = None if read_ago_s is None else NOW - timedelta(seconds=read_ago_s)
    await hedge.asave()
    market.pk, market.market_id = "predict:2", "2"
    await market.asave(force_insert=True)
    await Order.objects.acreate(
        account=hedge, market=market, outcome="no", action="buy", price=Decimal("0.45"), size=20, status="unknown",
        created_at=NOW, updated_at=NOW,
    )  # fmt: skip
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    assert [order.size for order in signer.sent] == [size]


async def test_empty_purse_denies_with_a_row(
    dispatcher: Dispatcher, signer: KeepingSigner, strategy: Strategy, primary: Account, hedge: Account
) -> None:
    hedge.balance_at = NOW
    await hedge.asave()
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    assert not signer.sent
    row = await Order.objects.aget()
    assert (row.status, row.reason) == ("denied", "insufficient_collateral")


async def test_one_batch_spends_a_purse_once(
    dispatcher: Dispatcher, signer: KeepingSigner, strategy: Strategy, primary: Account, hedge: Account, market: Market
) -> None:
    """Two exposures of one hedge account in one transaction: the second sees what the first has spent."""
    third = await Account.objects.acreate(name="third", platform="predict", address="0x" + "5" * 40)
    await Pair.objects.acreate(strategy=strategy, primary=third, hedge=hedge)
    hedge.collateral, hedge.balance_at = Decimal(54), NOW
    await hedge.asave()
    await dispatcher.dispatch(inbox_of(fill(primary, "t1"), fill(third, "t2")))
    assert sorted(order.size for order in signer.sent) == [20, 100]


async def test_purse_known_to_be_empty_goes_on_to_the_alternate(
    dispatcher: Dispatcher, signer: KeepingSigner, strategy: Strategy, primary: Account, hedge: Account
) -> None:
    spare = await Account.objects.acreate(name="spare", platform="predict", address="0x" + "6" * 40)
    ladder = [
        {"kind": "join", "seconds": 60},
        {"kind": "alternate", "seconds": 60, "account": "spare"},
        {"kind": "pause"},
    ]
    changed_at = NOW - timedelta(days=1)
    await Strategy.objects.filter(pk=strategy.pk).aupdate(config={"ladder": ladder}, updated_at=changed_at)
    hedge.balance_at = NOW
    await hedge.asave()
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    assert (await Exposure.objects.aget()).next_rung == 1
    exposure = await Exposure.objects.aget()
    await dispatcher.dispatch(Inbox(), {exposure.pk: "swept"})
    assert [(order.account_id, order.outcome) for order in signer.sent] == [(spare.pk, Outcome.NO)]
