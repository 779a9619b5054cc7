"""Closing an account from the admin, against a venue's real book: the dry run first, then with a reason the orders."""

import html
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from asgiref.sync import sync_to_async
from django.test import Client

from accounts.models import Account, Order, Position
from identity.back_office import cents
from identity.models import AuditEntry
from tests.accounts.test_clearing import bid
from trading.enums import Action
from trading.fees import taker_fee
from trading.instruments import MarketSpec


async def test_account_is_closed_after_a_dry_run(
    settings: Any, paper: Any, market: MarketSpec, account: Account, redis_url: str, operator: Any, client: Client
) -> None:
    settings.PREDICT_API_URL = paper.url
    await bid(paper, market)
    await Position.objects.acreate(
        account=account, market_id=f"predict:{market.market_id}", outcome="yes", size=Decimal(10),
        updated_at=datetime.now(UTC),
    )  # fmt: skip
    await sync_to_async(client.force_login)(operator)
    page = f"/admin/accounts/account/{account.pk}/close-accounts/"
    shown = (await sync_to_async(client.get)(page)).content.decode()
    title = (await Position.objects.select_related("market").aget()).market.title
    assert f"sell 10 yes at 0.25 or better in {title}" in html.unescape(shown)
    fee, _ = taker_fee(Action.SELL, Decimal("0.25"), Decimal(10), market.fee_rate_bps)
    assert fee > 0
    assert f"this brings at least {cents(Decimal('2.5') - fee)} in collateral, the venue's fees taken off" in (
        html.unescape(shown)
    )
    again = {"confirmed": "yes", "again": "yes", "max_slippage": "0.1", "reason": ""}
    shown = (await sync_to_async(client.post)(page, again)).content.decode()
    assert "sell 10 yes at 0.2 or better" in shown
    await sync_to_async(client.post)(page, {"confirmed": "yes", "max_slippage": "0.1", "reason": ""})
    assert not await Order.objects.aexists(), "looking, and confirming without a reason, orders nothing"
    answer = await sync_to_async(client.post)(
        page, {"confirmed": "yes", "max_slippage": "0.1", "reason": "the pair ends"}
    )
    assert answer.status_code == 302
    order = await Order.objects.aget()
    assert (order.origin, order.action, order.size, order.price) == ("closing", "sell", Decimal(10), Decimal("0.20"))
    await account.arefresh_from_db()
    assert (account.state, account.state_reason) == ("reducing", "the pair ends")
    told = AuditEntry.objects.filter(reason="the pair ends", source="admin").values_list("action", flat=True)
    assert sorted([action async for action in told]) == ["account.state_changed", "order.placed"]
