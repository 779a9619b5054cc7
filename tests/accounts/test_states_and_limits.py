"""Orders that are no hedges, judged on what the tables and the venue say: states, the market's limits, means."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from accounts.models import Account, Position
from accounts.states import change_desk_state, change_market_limit, change_venue_state
from identity.models import AuditEntry
from markets.models import Market, MarketLimit, VenueState
from tests.accounts.conftest import make_account
from tests.accounts.test_clearing import bid
from trading.commands import CancelOrder
from trading.enums import Action, OrderOrigin, OrderStatus, Outcome, TradingState
from trading.errors import InvalidValue

limit = sync_to_async(change_market_limit)
venue = sync_to_async(change_venue_state)
desk = sync_to_async(change_desk_state)


async def take(room: Any, account: Account, **fields: Any) -> str:
    """The reason code of the order's denial; "" when it left."""
    order = room.order(account, origin=OrderOrigin.USER, **fields)
    await room.record(order)
    await room.executor._intake.take(order.id)
    row = await room.until(order.id, OrderStatus.ACCEPTED, OrderStatus.DENIED, OrderStatus.REJECTED)
    assert row.status in (OrderStatus.ACCEPTED, OrderStatus.DENIED), row.reason
    code: str = row.reason.split(":")[0] if row.status == OrderStatus.DENIED else ""
    return code


async def hold(account: Account, room: Any, size: int, outcome: Outcome = Outcome.YES) -> None:
    market = await Market.objects.aget(market_id=room.market.market_id)
    await Position.objects.acreate(
        account=account, market=market, outcome=outcome.value, size=size, updated_at=timezone.now()
    )


@pytest.mark.parametrize("state", TradingState)
@pytest.mark.parametrize("scope", ["venue", "desk"])
async def test_state_of_venue_and_desk_holds_for_people(
    room: Any, account: Account, scope: str, state: TradingState
) -> None:
    if scope == "venue":
        await venue("predict", state, by="test", reason="drill")
    elif state is TradingState.HALTED:
        with pytest.raises(InvalidValue, match="emergency stop"):
            await desk(state, by="test", reason="drill")
        return
    else:
        await desk(state, by="test", reason="drill")
    assert await take(room, account) == ("" if state is TradingState.ACTIVE else f"{scope}_{state}")


@pytest.mark.parametrize("state", TradingState)
async def test_cancel_leaves_in_every_state(room: Any, account: Account, paper: Any, state: TradingState) -> None:
    [order] = await room.send(room.order(account))
    await room.until(order.id, OrderStatus.ACCEPTED)
    await venue("predict", state, by="test", reason="drill")
    await Account.objects.filter(pk=account.pk).aupdate(state=state.value)
    command = CancelOrder(
        platform=room.market.platform, account_id=str(account.pk), client_order_id=order.id, reason="drill"
    )
    await room.executor.handle_command(command)
    assert {told["status"] for told in paper.snapshot(account.address)["orders"]} == {"CANCELLED"}


async def test_market_limit_counts_all_accounts(room: Any, account: Account, paper: Any) -> None:
    other = await sync_to_async(make_account)(paper)
    await hold(other, room, 95)
    await limit(None, max_position=Decimal(100), price_band=None, by="test", reason="drill")
    assert await take(room, account, size="6") == "max_market_position"
    assert await take(room, account, size="5") == ""


@pytest.mark.parametrize(("price", "code"), [("0.35", ""), ("0.30", ""), ("0.20", "price_band")])
async def test_price_band_goes_by_the_book(room: Any, account: Account, paper: Any, price: str, code: str) -> None:
    """Bid 0.30 and ask 0.50, so the mark is 0.40."""
    await bid(paper, room.market, "0.30")
    await bid(paper, room.market, "0.50", outcome=Outcome.NO)
    await limit(None, max_position=None, price_band=Decimal("0.1"), by="test", reason="drill")
    assert await take(room, account, price=price) == code
    assert (await Market.objects.aget(market_id=room.market.market_id)).mark == Decimal("0.4")


async def test_band_without_any_mark_says_nothing(room: Any, account: Account) -> None:
    await limit(None, max_position=None, price_band=Decimal("0.01"), by="test", reason="drill")
    assert await take(room, account, price="0.90") == ""


@pytest.mark.parametrize(
    ("read_ago", "free", "code"),
    [(30, "2.99", "insufficient_collateral"), (30, "3", ""), (600, "0", ""), (None, "0", "")],
)
async def test_buy_beyond_the_known_balance_is_denied(
    room: Any, account: Account, read_ago: int | None, free: str, code: str
) -> None:
    """What an open buy reserves is taken off; a balance read long ago, or never, is for the venue to judge."""
    [resting] = await room.send(room.order(account, price="0.10", size="50"))
    await room.until(resting.id, OrderStatus.ACCEPTED)
    read_at = None if read_ago is None else timezone.now() - timedelta(seconds=read_ago)
    await Account.objects.filter(pk=account.pk).aupdate(collateral=Decimal(free) + 5, balance_at=read_at)
    assert await take(room, account, price="0.30", size="10") == code


async def test_sale_of_more_than_is_free_is_denied(room: Any, account: Account) -> None:
    await hold(account, room, 10)
    assert await take(room, account, action=Action.SELL, price="0.9", size="10.01") == "insufficient_shares"


async def test_shares_never_heard_of_are_for_the_venue_to_judge(room: Any, account: Account) -> None:
    order = room.order(account, origin=OrderOrigin.USER, action=Action.SELL, price="0.9")
    await room.record(order)
    await room.executor._intake.take(order.id)
    row = await room.until(order.id, OrderStatus.REJECTED)
    assert "insufficient_shares" in row.reason


def test_changes_are_audited_with_before_and_after(transactional_db: None, operator: Any) -> None:
    change_venue_state("predict", "reducing", by=operator, reason="a drill")
    change_market_limit(None, max_position=Decimal(5), price_band=None, by=operator, reason="less")
    change_market_limit(None, max_position=None, price_band=Decimal("0.2"), by=operator, reason="more")
    assert VenueState.objects.get().changed_by == "operator"
    assert MarketLimit.objects.count() == 1
    told = list(AuditEntry.objects.order_by("id").values_list("action", "reason"))
    assert told[-3:] == [
        ("venue.state_changed", "a drill"),
        ("market.limit_changed", "less"),
        ("market.limit_changed", "more"),
    ]


@pytest.mark.parametrize("wrong", [{"max_position": Decimal(-1)}, {"price_band": Decimal("NaN")}])
def test_limit_that_cannot_be_is_refused(transactional_db: None, wrong: dict[str, Decimal]) -> None:
    asked: dict[str, Any] = {"max_position": None, "price_band": None, **wrong}
    set_limit: Callable[..., MarketLimit] = change_market_limit
    with pytest.raises(InvalidValue, match="at least 0"):
        set_limit(None, by="test", reason="drill", **asked)
    with pytest.raises(InvalidValue, match="no market"):
        set_limit("predict:nowhere", by="test", reason="drill", max_position=None, price_band=None)
