"""One order placed as a page places it: `place_process.py ACCOUNT_ID MARKET_ID ORDER_ID PRICE SIZE`."""

import sys
from decimal import Decimal
from uuid import UUID

import django

django.setup()

from accounts.trade import place_order  # noqa: E402
from trading.commands import PlaceOrder  # noqa: E402
from trading.enums import Action, Outcome, Platform  # noqa: E402

_, account_id, market_id, order_id, price, size = sys.argv
place_order(
    PlaceOrder(
        platform=Platform.PREDICT,
        account_id=account_id,
        market_id=market_id,
        side=Outcome.YES,
        action=Action.BUY,
        price=Decimal(price),
        shares=Decimal(size),
        post_only=True,
        client_order_id=UUID(order_id),
    ),
    "tests",
)
