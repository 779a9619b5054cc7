"""The sync twin of `orders.record_orders`, for Django request code: an intention becomes a row, nothing is sent."""

from datetime import datetime
from uuid import UUID

from django.db import connection

from accounts.ledger.orders import INSERT_ORDER, RECORD_CANCEL_REQUEST, order_parameters
from accounts.ledger.rows import NewOrder
from trading.enums import OrderStatus
from trading.errors import InvalidValue


def record_order_now(order: NewOrder, now: datetime) -> None:
    """Insert an INITIALIZED or DENIED order inside the caller's atomic block; an existing id stays as it is."""
    if order.status not in (OrderStatus.INITIALIZED, OrderStatus.DENIED):
        raise InvalidValue("only the executor journals signed bytes: a ticket is initialized or denied")
    with connection.cursor() as cursor:
        cursor.execute(INSERT_ORDER, order_parameters(order, now))


def record_cancel_request_now(client_order_id: UUID, now: datetime) -> None:
    """Note that somebody wants this order off the book, in the caller's atomic block: a lost command loses nothing."""
    with connection.cursor() as cursor:
        cursor.execute(RECORD_CANCEL_REQUEST, [now, now, client_order_id])
