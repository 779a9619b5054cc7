"""The self-cross guard: no order of ours may trade with another order of ours in the same market."""

from collections.abc import Iterable
from decimal import Decimal

from strategies.handlers.plan import RestingOrder
from trading.enums import Action, Outcome
from trading.positions import is_bid
from trading.values import ONE, ZERO


def clear_price(
    outcome: Outcome, action: Action, price: Decimal, tick: Decimal, resting: Iterable[RestingOrder]
) -> Decimal | None:
    """The nearest price, in the order's own outcome, that crosses none of `resting`; None when there is none.

    Buys of YES and sells of NO are bids of the one book, the others its asks; a bid crosses an ask at or below it,
    and a buy of YES meets a buy of NO when together they pay 1 or more.
    """
    bids = is_bid(outcome, action)
    # One on the other side shares with ours the outcome or the action, not both and not neither.
    against = [
        order.yes_price
        for order in resting
        if (order.outcome is outcome) is not (order.action is action) and order.remaining > ZERO
    ]
    if not against:
        return price
    ours = price if outcome is Outcome.YES else ONE - price
    clear = min(ours, min(against) - tick) if bids else max(ours, max(against) + tick)
    if not ZERO < clear < ONE:
        return None
    return clear if outcome is Outcome.YES else ONE - clear
