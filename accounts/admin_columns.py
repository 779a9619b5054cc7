"""Columns that lists, panels and pages of the admin share: states in colour, fees with what they are taken in."""

from datetime import UTC, datetime

from django.contrib import admin

from accounts.models import Fill, Order, Reconciliation
from identity.admin_panels import EMPTY
from identity.back_office import STATE_COLOURS, marked, plain

STATE = marked("state", STATE_COLOURS)
CONNECTION = marked("connection", {"connected": "good", "connecting": "warn", "offline": "bad", "unavailable": "bad"})
STATUS = marked("status", {"filled": "good", "unknown": "warn", "denied": "bad", "rejected": "bad"})
SETTLEMENT = marked("settlement", {"failed": "bad"})


@admin.display(description="fee", ordering="fee")
def fee_plain(fill: Fill) -> str:
    """The fee and what it is taken in: 0.02 shares."""
    return f"{plain(fill.fee)} {fill.fee_kind or ''}".rstrip()


@admin.display(description="reason", ordering="reason")
def reason(order: Order) -> str:
    """Why it stands as it does. The code that may lead it is in words, so that a line can break between them."""
    code, colon, text = order.reason.partition(":")
    words = code.replace("_", " ") if code.replace("_", "").islower() and " " not in code else code
    return f"{words}{colon}{text}" or EMPTY


@admin.display(description="side", ordering="action")
def side(order: Order) -> str:
    """What it does with which outcome's shares, in one column: why an order stands as it does is then in view."""
    return f"{order.action} {order.outcome}"


@admin.display(description="fill → left", ordering="latency_us")
def latency_plain(order: Order) -> str:
    """From the fill's arrival to the order's bytes leaving. The unit stands at the figure."""
    us = order.latency_us
    return EMPTY if us is None else f"{us // 1000}.{us % 1000 // 10:02d} ms"


@admin.display(description="explanations")
def explanations(books: Reconciliation) -> str:
    """What differed at the last look, a line each."""
    return "\n".join(books.explanations) or EMPTY


@admin.display(description="expires")
def expires(order: Order) -> str:
    """When the venue forgets the order, in UTC."""
    at = order.expires_at_s
    return "never" if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}"
