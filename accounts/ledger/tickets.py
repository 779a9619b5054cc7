"""The sync twin of `orders.record_orders`, for Django request code: an intention becomes a row, nothing is sent."""

from datetime import datetime

from django.db import connection

from accounts.ledger.orders import INSERT_ORDER, order_parameters
from accounts.ledger.rows import NewOrder
from trading.enums import OrderStatus
from trading.errors import InvalidValue


def record_order_now(order: NewOrder, now: datetime) -> None:
    """Insert an INITIALIZED or DENIED order inside the caller's atomic block; an existing id stays as it is."""
    if order.status not in (OrderStatus.INITIALIZED, OrderStatus.DENIED):
        raise InvalidValue("only the executor journals signed bytes: a ticket is initialized or denied")
    with connection.cursor() as cursor:
        cursor.execute(INSERT_ORDER, order_parameters(order, now))
