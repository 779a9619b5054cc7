"""A stop that clears the desk, carried out by an engine against a venue; and closing one account, planned first."""

import asyncio
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async

from accounts.closing import carry_out, load_closing
from accounts.levels import CANCEL_ALL, FLATTEN, HEDGE_ONLY, LEVELS, NO_NEW
from accounts.models import Account, Order, Position, SealedSecret
from accounts.reconciler import Reconciler
from accounts.registration import change_account_state
from accounts.states import change_venue_state
from accounts.stop import pull_stop
from accounts.stop_preview import load_progress, preview_stop
from hedgerow.templatetags.figures import money
from tests.accounts.conftest import address_of, fake_key
from trading.enums import Action, OrderOrigin, OrderStatus, Outcome, SignerKind, TradingState
from trading.fees import taker_fee
from trading.instruments import MarketSpec
from venues.contract import Credentials, OrderTicket
from venues.registry import order_signer, venue_client

pull = sync_to_async(pull_stop, thread_sensitive=False)
preview = sync_to_async(preview_stop)
progress = sync_to_async(load_progress)


@pytest.fixture
def holding(settings: Any, paper: Any, room: Any, account: Account, redis_url: str) -> Any:
    """Makes the account hold what a resting buy of it got filled, as our ledger has it too."""
    settings.PREDICT_API_URL = paper.url

    async def hold(size: str = "10", **fields: Any) -> Order:
        [order] = await room.send(room.order(account, size=size, **fields))
        await room.until(order.id, OrderStatus.ACCEPTED)
        paper.take(order.order_hash)
        await asyncio.sleep(0.2)
        await settle(room, account, redis_url)
        return await room.until(order.id, OrderStatus.FILLED)

    return hold


async def settle(room: Any, account: Account, redis_url: str) -> None:
    """Reconcile the account while somebody plays the engine."""
    lane = room.executor.lanes.get(account.pk)
    work = asyncio.create_task(Reconciler(room.pool, room.publisher).reconcile(lane.account, lane.client))
    while not work.done():
        await room.digest(redis_url)
        await asyncio.sleep(0.05)
    await work
    await room.digest(redis_url)


async def clear(room: Any, account: Account, redis_url: str) -> None:
    """Rounds of clearing, until nothing is held or there were enough of them."""
    for _ in range(8):
        room.executor._clearing._looked_at = room.executor._clearing._looked_at.replace(year=2000)
        await room.executor.recover_fully()
        await asyncio.sleep(0.4)
        await settle(room, account, redis_url)
        if not await Position.objects.filter(size__gt=0).aexists():
            break


async def bid(
    paper: Any, market: MarketSpec, price: str = "0.30", size: str = "100", *, outcome: Outcome = Outcome.YES
) -> None:
    """Somebody who is not us bids for yes; or for no, which offers yes."""
    key = fake_key()
    paper.fund(address_of(key))
    credentials = Credentials(
        account_id=str(uuid4()), address=address_of(key), signer_kind=SignerKind.EOA, private_key=key
    )
    client = venue_client(market.platform, credentials, paper.endpoints)
    ticket = OrderTicket(
        client_order_id=uuid4(),
        market=market,
        outcome=outcome,
        action=Action.BUY,
        price=Decimal(price),
        size=Decimal(size),
        salt=int(uuid4()) % 10**9,
    )
    await client.submit(order_signer(market.platform, credentials, paper.endpoints).sign(ticket))
    await client.close()


async def test_cancel_all_takes_every_order_off(room: Any, account: Account, paper: Any, redis_url: str) -> None:
    sent = await room.send(room.order(account), room.order(account, price="0.20"))
    for order in sent:
        await room.until(order.id, OrderStatus.ACCEPTED)
    assert (await preview(CANCEL_ALL)).resting == 2
    await pull(CANCEL_ALL, "test", "drill")
    assert not (await progress()).is_done
    await room.executor.recover_fully()
    await asyncio.sleep(0.5)
    await room.digest(redis_url)
    for order in sent:
        await room.until(order.id, OrderStatus.CANCELLED)
    assert (await progress()).is_done
    assert {order["status"] for order in paper.snapshot(account.address)["orders"]} == {"CANCELLED"}


async def test_no_new_leaves_resting_orders_alone(room: Any, account: Account) -> None:
    [order] = await room.send(room.order(account))
    await room.until(order.id, OrderStatus.ACCEPTED)
    await pull(NO_NEW, "test", "drill")
    await room.executor.recover_fully()
    assert (await room.row(order.id)).cancel_requested_at is None


async def test_flatten_sells_what_is_held(
    room: Any, account: Account, paper: Any, holding: Any, redis_url: str, market: MarketSpec
) -> None:
    await holding()
    await bid(paper, market)
    assert (await preview(FLATTEN)).holdings == 1
    assert (await preview(NO_NEW)).holdings == 0
    await pull(FLATTEN, "test", "drill")
    await clear(room, account, redis_url)
    told = [(order.origin, order.status, order.reason) async for order in Order.objects.all()]
    assert (await Position.objects.aget()).size == 0, told
    assert await Order.objects.filter(origin="closing").acount() == 1
    assert (await progress()).is_done


async def test_flatten_sells_what_a_halted_account_holds(
    room: Any, account: Account, paper: Any, holding: Any, redis_url: str, market: MarketSpec
) -> None:
    """In an emergency everything goes; the account's own state, and its venue's, is the weaker word."""
    await holding()
    await bid(paper, market)
    await sync_to_async(change_account_state)(account.pk, TradingState.HALTED, by="test", reason="odd fills")
    await sync_to_async(change_venue_state)("predict", TradingState.HALTED, by="test", reason="odd venue")
    told = await preview(FLATTEN)
    assert (told.halted_holders, told.unreachable_holders) == ((account.name,), ())
    await pull(FLATTEN, "test", "drill")
    await clear(room, account, redis_url)
    rows = [(order.origin, order.status, order.reason) async for order in Order.objects.all()]
    assert (await Position.objects.aget()).size == 0, rows


@pytest.mark.parametrize("missing", ["key", "connection"])
async def test_flatten_waits_for_a_key_and_a_connection(
    room: Any, account: Account, paper: Any, holding: Any, market: MarketSpec, missing: str
) -> None:
    """Nothing is ordered that could not be sent: no denied rows pile up, and the preview names the account."""
    await holding()
    await bid(paper, market)
    if missing == "key":
        await SealedSecret.objects.filter(account=account, kind="private_key").adelete()
    else:
        await Account.objects.filter(pk=account.pk).aupdate(connection=Account.Connection.UNAVAILABLE)
    assert (await preview(FLATTEN)).unreachable_holders == (account.name,)
    await pull(FLATTEN, "test", "drill")
    room.executor._clearing._looked_at = room.executor._clearing._looked_at.replace(year=2000)
    await room.executor.recover_fully()
    await asyncio.sleep(0.3)
    assert not await Order.objects.filter(origin="closing").aexists()


async def test_engines_flatten_each_holding_once(
    room: Any, account: Account, paper: Any, holding: Any, market: MarketSpec
) -> None:
    """Two engines plan the same stop: the ids are the same, so there is one closing order."""
    await holding()
    await bid(paper, market)
    clearing = room.executor._clearing
    plans = [await clearing._orders(account, await load_closing(account, Decimal("0.1"), "x"), 7) for _ in range(2)]
    assert plans[0] == plans[1]
    assert len(plans[0]) == 1


async def test_closing_takes_hedges_back_from_their_exposure(
    account: Account, paper: Any, holding: Any, market: MarketSpec
) -> None:
    """Sold without it, the exposure would still count its hedge, and the account would look hedged for ever."""
    exposure_id = uuid4()
    await holding("6", exposure_id=exposure_id)
    await holding("4", origin=OrderOrigin.USER)
    await bid(paper, market)
    closing = await load_closing(account, Decimal("0.05"), "over")
    assert not await Order.objects.filter(origin="closing").aexists()
    sizes = {closing.hedges.get(sale.client_order_id): sale.shares for sale in closing.sales}
    assert sizes == {exposure_id: 6, None: 4}


async def test_close_all_leaves_the_account_reducing(
    account: Account, paper: Any, holding: Any, market: MarketSpec, operator: Any
) -> None:
    await holding()
    await bid(paper, market)
    closing = await load_closing(account, Decimal("0.05"), "over")
    [sold] = await sync_to_async(carry_out)(closing, operator, "over")
    assert not sold.refusal
    assert (await Order.objects.aget(pk=sold.sale.client_order_id)).origin == "closing"
    await account.arefresh_from_db()
    assert account.state == "reducing"


async def test_page_sells_at_no_slippage_it_did_not_show(
    account: Account, paper: Any, holding: Any, market: MarketSpec, operator: Any, async_client: Any
) -> None:
    await holding()
    await bid(paper, market)
    await async_client.aforce_login(operator)
    address = f"/accounts/close?account={account.pk}"
    fee, _ = taker_fee(Action.SELL, Decimal("0.25"), Decimal(10), market.fee_rate_bps)

    async def look(**given: str) -> str:
        form = {"account": str(account.pk), "reason": "the season is over", **given}
        answer = await async_client.post("/accounts/close", form)
        assert answer.status_code == 200, answer.headers
        assert not await Order.objects.filter(origin="closing").aexists()
        return str(answer.content.decode())

    shown = (await async_client.get(address)).content.decode()
    assert '<td class="number">0.25</td>' in shown
    assert f"bringing at least {money(Decimal('2.5') - fee)} USDT" in shown
    assert 'name="seen" value="0.05"' in shown
    for press, slippage, price in (("check", "0.1", "0.20"), ("confirm", "0.2", "0.10")):
        again = await look(**{press: "1", "max_slippage": slippage, "seen": "0.05"})
        assert "nothing is ordered yet" in again
        assert f'<td class="number">{price}</td>' in again
        assert f'name="seen" value="{slippage}"' in again
    assert "This field is required" in await look(confirm="1", max_slippage="0.2", seen="0.2", reason="")
    form = {"account": str(account.pk), "reason": "over", "confirm": "1", "max_slippage": "0.20", "seen": "0.2"}
    assert (await async_client.post("/accounts/close", form)).status_code == 302
    assert (await Order.objects.aget(origin="closing")).price == Decimal("0.1")


async def test_closing_order_may_not_open(room: Any, account: Account) -> None:
    """Whoever claims to close may only reduce."""
    order = room.order(account, origin=OrderOrigin.CLOSING)
    await room.record(order)
    await room.executor._intake.take(order.id)
    row = await room.until(order.id, OrderStatus.DENIED)
    assert row.reason.startswith("not_reducing")


@pytest.mark.parametrize("level", LEVELS)
async def test_preview_counts_what_would_be_held_back(room: Any, account: Account, level: str) -> None:
    hedge, other = room.order(account, exposure_id=uuid4()), room.order(account, origin=OrderOrigin.USER)
    await room.record(hedge, other)
    assert (await preview(level)).held_back == (1 if level == HEDGE_ONLY else 2)
