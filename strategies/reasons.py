"""Why a hedge was not sent, or not whole: the codes written on decisions, denied orders and exposures.

Handlers and risk checks give them; pages and alerts show `text(reason)`. A code never changes its meaning.
"""

from enum import StrEnum


class Reason(StrEnum):
    """One stable code each; the sentence a person reads is in `TEXTS`."""

    HEDGED = "hedged"
    DUST = "dust"
    DUST_OVERDUE = "dust_overdue"
    DUST_ROUNDED_UP = "dust_rounded_up"
    CANCEL_FIRST = "cancel_first"
    MARKET_NOT_COVERED = "market_not_covered"
    MARKET_UNKNOWN = "market_unknown"
    MARKET_CLOSED = "market_closed"
    NO_PRICE = "no_price"
    SELF_CROSS = "self_cross"
    REPRICED = "repriced"
    PRICED_ANEW = "priced_anew"
    DESK_HALTED = "desk_halted"
    DESK_REDUCING = "desk_reducing"
    VENUE_HALTED = "venue_halted"
    VENUE_REDUCING = "venue_reducing"
    STRATEGY_HALTED = "strategy_halted"
    STRATEGY_REDUCING = "strategy_reducing"
    ACCOUNT_HALTED = "account_halted"
    ACCOUNT_REDUCING = "account_reducing"
    MAX_ORDER = "max_order"
    MAX_POSITION = "max_position"
    MAX_NOTIONAL_PER_DAY = "max_notional_per_day"
    MAX_MARKET_POSITION = "max_market_position"
    INSUFFICIENT_COLLATERAL = "insufficient_collateral"
    INSUFFICIENT_SHARES = "insufficient_shares"
    PRICE_BAND = "price_band"
    BELOW_MINIMUM = "below_minimum"
    RUNG_ENDING = "rung_ending"
    RUNG_STUCK = "rung_stuck"
    NO_ACCOUNT = "no_account"
    LADDER_PAUSED = "ladder_paused"


TEXTS: dict[Reason, str] = {
    Reason.HEDGED: "Nothing is owed.",
    Reason.DUST: "Too small for the venue's minimum; it waits for more.",
    Reason.DUST_OVERDUE: "Too small for the venue, past its deadline, and rounding up would cost too much.",
    Reason.DUST_ROUNDED_UP: "Past its deadline: rounded up to the venue's minimum.",
    Reason.CANCEL_FIRST: "An opposite hedge still rests; it is cancelled before anything new is sent.",
    Reason.MARKET_NOT_COVERED: "The strategy's configuration does not name this market.",
    Reason.MARKET_UNKNOWN: "The market's tick, lot and tokens are not known yet.",
    Reason.MARKET_CLOSED: "The venue takes no orders in this market.",
    Reason.NO_PRICE: "No price on the grid keeps the pair within its bound.",
    Reason.SELF_CROSS: "It would trade with another order of ours, and no price avoids that.",
    Reason.REPRICED: "Moved so as not to trade with another order of ours.",
    Reason.PRICED_ANEW: "The order of ours it made way for is gone: it is taken off and priced anew.",
    Reason.DESK_HALTED: "The desk is stopped.",
    Reason.DESK_REDUCING: "The desk only lets orders out that reduce a position.",
    Reason.VENUE_HALTED: "Nothing is sent to this venue.",
    Reason.VENUE_REDUCING: "This venue only gets orders that reduce a position.",
    Reason.STRATEGY_HALTED: "The strategy is stopped.",
    Reason.STRATEGY_REDUCING: "The strategy only lets orders out that reduce a position.",
    Reason.ACCOUNT_HALTED: "The hedge account is halted.",
    Reason.ACCOUNT_REDUCING: "The hedge account only lets orders out that reduce a position.",
    Reason.MAX_ORDER: "The largest order allowed was reached.",
    Reason.MAX_POSITION: "The largest position allowed was reached.",
    Reason.MAX_NOTIONAL_PER_DAY: "The day's notional limit was reached.",
    Reason.MAX_MARKET_POSITION: "The most all our accounts may hold in this market was reached.",
    Reason.INSUFFICIENT_COLLATERAL: "The account cannot pay for it: its balance is reserved or spent.",
    Reason.INSUFFICIENT_SHARES: "The account does not hold that many shares free to sell.",
    Reason.PRICE_BAND: "The price lies outside the strategy's band, or the market's.",
    Reason.RUNG_ENDING: "The rung is over: its orders are taken off and late fills are looked for before the next one.",
    Reason.RUNG_STUCK: "The rung is over, and one of its orders neither ends nor can be cancelled.",
    Reason.NO_ACCOUNT: "The rung has no account it may trade on.",
    Reason.LADDER_PAUSED: "The ladder's last rung: the strategy is halted until a person starts it again.",
    Reason.BELOW_MINIMUM: "What a limit left is below the venue's minimum.",
}

LEFTOVER: dict[Reason, str] = {
    Reason.DUST: "Ordered; what is left is too small for the venue's minimum and waits for more.",
    Reason.NO_PRICE: "Ordered in part; for the rest no price on the grid keeps the pair within its bound.",
}
"""What these say of a decision that made an order: they are about what it left."""


def text(reason: Reason) -> str:
    """The sentence a person reads for `reason`."""
    return TEXTS[reason]


def decision_text(reason: str, orders: int) -> str:
    """What a person reads of a decision that made so many orders; a reason that is no code is shown as it is."""
    known = next((code for code in Reason if code.value == reason), None)
    if known is None:
        return reason or ("ordered whole" if orders else "nothing to do")
    return LEFTOVER.get(known, TEXTS[known]) if orders else TEXTS[known]
