"""Closing an account from the admin, against a venue's real book: the dry run first, then with a reason the orders."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

from asgiref.sync import sync_to_async
from django.test import Client

from accounts.models import Account, Order, Position
from identity.models import AuditEntry
from tests.accounts.conftest import address_of, fake_key
from trading.enums import Action, Outcome, SignerKind
from trading.instruments import MarketSpec
from venues.contract import Credentials, OrderTicket
from venues.registry import order_signer, venue_client


async def bid(paper: Any, market: MarketSpec) -> None:
    """Somebody who is not us bids 0.30 for a hundred yes."""
    key = fake_key()
    paper.fund(address_of(key))
    credentials = Credentials(
        account_id=str(uuid4()), address=address_of(key), signer_kind=SignerKind.EOA, private_key=key
    )
    client = venue_client(market.platform, credentials, paper.endpoints)
    ticket = OrderTicket(
        client_order_id=uuid4(), market=market, outcome=Outcome.YES, action=Action.BUY, price=Decimal("0.30"),
        size=Decimal(100), salt=int(uuid4()) % 10**9,
    )  # fmt: skip
    await client.submit(order_signer(market.platform, credentials, paper.endpoints).sign(ticket))
    await client.close()


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
    assert "sell 10 yes at 0.25 or better" in shown
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
