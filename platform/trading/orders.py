"""The order state machine: which step may follow which. An illegal step raises; the ledger takes no other.

    initialized ─► submitted ─► accepted ─► partially_filled ─► filled
         │             │  │         │              │
         └► denied     │  └► rejected└► cancelled / expired
                       └► unknown ─► (accepted, partially_filled, filled, cancelled, expired, rejected)

`submitted` means the signed bytes are journaled: they may have left. `unknown` means they may have arrived.
A fill is evidence that beats a status: a cancelled or expired order may still turn out filled (a late fill).
"""

from decimal import Decimal

from trading.enums import OrderStatus
from trading.errors import IllegalTransition
from trading.values import ZERO, exact

S = OrderStatus

TRANSITIONS: dict[OrderStatus, frozenset[OrderStatus]] = {
    S.INITIALIZED: frozenset({S.SUBMITTED, S.DENIED, S.CANCELLED}),
    S.SUBMITTED: frozenset({S.ACCEPTED, S.REJECTED, S.UNKNOWN, S.PARTIALLY_FILLED, S.FILLED, S.CANCELLED, S.EXPIRED}),
    S.UNKNOWN: frozenset({S.ACCEPTED, S.REJECTED, S.PARTIALLY_FILLED, S.FILLED, S.CANCELLED, S.EXPIRED}),
    S.ACCEPTED: frozenset({S.PARTIALLY_FILLED, S.FILLED, S.CANCELLED, S.EXPIRED}),
    S.PARTIALLY_FILLED: frozenset({S.PARTIALLY_FILLED, S.FILLED, S.CANCELLED, S.EXPIRED, S.ACCEPTED}),
    S.FILLED: frozenset({S.PARTIALLY_FILLED, S.ACCEPTED, S.CANCELLED, S.EXPIRED}),
    S.CANCELLED: frozenset({S.FILLED}),
    S.EXPIRED: frozenset({S.FILLED}),
    S.DENIED: frozenset(),
    S.REJECTED: frozenset(),
}
"""Steps out of FILLED exist only for a failed settlement, which takes shares back."""

IN_FLIGHT = frozenset({S.INITIALIZED, S.SUBMITTED, S.UNKNOWN, S.ACCEPTED, S.PARTIALLY_FILLED})
"""An order in one of these may still move shares: its remaining size counts as in flight."""

TERMINAL = frozenset({S.DENIED, S.REJECTED, S.FILLED, S.CANCELLED, S.EXPIRED})
"""No further shares are expected. A late fill is still recorded."""


def check_step(before: OrderStatus, after: OrderStatus) -> OrderStatus:
    """`after` itself when the step is legal, else IllegalTransition."""
    if after not in TRANSITIONS[before]:
        raise IllegalTransition(f"an order that is {before} cannot become {after}")
    return after


def status_after_fill(before: OrderStatus, size: Decimal, filled: Decimal) -> OrderStatus:
    """An order's status once `filled` of `size` is matched. A partial late fill leaves a closed order closed."""
    if before in (S.DENIED, S.INITIALIZED):
        raise IllegalTransition(f"an order that is {before} has not left, so it cannot fill")
    if filled >= size:
        return S.FILLED
    if before in (S.CANCELLED, S.EXPIRED, S.REJECTED):
        return before
    return S.PARTIALLY_FILLED if filled > 0 else S.ACCEPTED


def remaining(status: OrderStatus, size: Decimal, filled: Decimal) -> Decimal:
    """Shares this order may still move: zero once it is terminal."""
    if status not in IN_FLIGHT:
        return ZERO
    with exact():
        return max(size - filled, ZERO)
