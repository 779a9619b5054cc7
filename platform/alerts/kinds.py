"""Every kind of alert there is: its name, how grave it is, what it means and what to do. One table, for all.

Whoever raises an alert takes its kind from here; pages, the API and the bot take its title and advice.
docs/operations.md shows the same table, and a test holds the two together. A kind's value is stored and published: it
never changes.
"""

from dataclasses import dataclass
from enum import StrEnum

from trading.enums import Severity

W, C = Severity.WARNING, Severity.CRITICAL


class AlertKind(StrEnum):
    """What sort of thing went wrong."""

    ORDER_UNKNOWN = "order_unknown"
    SETTLEMENT_FAILED = "settlement_failed"
    SETTLEMENT_SLOW = "settlement_slow"
    HEDGE_REJECTED = "hedge_rejected"
    DUST_OVERDUE = "dust_overdue"
    RUNG_STUCK = "rung_stuck"
    NO_ACCOUNT = "no_account"
    MARKET_CLOSED = "market_closed"
    LADDER_ALTERNATE = "ladder_alternate"
    LADDER_UNWIND = "ladder_unwind"
    LADDER_PAUSED = "ladder_paused"
    IMBALANCE = "imbalance"
    RECONCILE_DIFFERENCE = "reconcile_difference"
    UNRECONCILED = "unreconciled"
    VENUE_UNREACHABLE = "venue_unreachable"
    CONNECTION_LOST = "connection_lost"
    ENGINE_MISSING = "engine_missing"
    DEAD_LETTERS = "dead_letters"
    DESK_STOPPED = "desk_stopped"
    ACCOUNT_HALTED = "account_halted"
    STRATEGY_HALTED = "strategy_halted"


@dataclass(frozen=True)
class KindFacts:
    """What a person needs to know of a kind. `clears`: the alert resolves by itself once its cause is gone."""

    title: str
    severity: Severity
    """As it is first raised; some grow graver while they last."""
    clears: bool
    meaning: str
    advice: str


KINDS: dict[AlertKind, KindFacts] = {
    AlertKind.ORDER_UNKNOWN: KindFacts(
        "Order of unknown outcome", W, True,
        "For 30 s nobody has known whether an order arrived; critical after five minutes.",
        "Recovery keeps asking. If the venue answers otherwise, look the order up there and resolve it with evidence.",
    ),
    AlertKind.SETTLEMENT_FAILED: KindFacts(
        "Settlement failed", W, False,
        "A matched fill did not settle. It is reversed, and what it had hedged is open again.",
        "Nothing at once: the hedger decides anew. If it repeats, look at the account's balance and allowance.",
    ),
    AlertKind.SETTLEMENT_SLOW: KindFacts(
        "Settlement is slow", W, True,
        "Fills matched over a minute ago have neither settled nor failed. They stay in the books as matched.",
        "Wait. After five minutes look the order up at the venue and on the chain.",
    ),
    AlertKind.HEDGE_REJECTED: KindFacts(
        "Hedge rejected", W, True,
        "The venue refused a hedge. It is tried again later, or the ladder goes on.",
        "Read the venue's word: collateral, allowance and a closed market need you.",
    ),
    AlertKind.DUST_OVERDUE: KindFacts(
        "Dust overdue", W, True,
        "Shares too few to hedge wait past their deadline, and rounding up would cost too much.",
        "Hedge by hand, or allow a larger “Dust max loss” in the strategy.",
    ),
    AlertKind.RUNG_STUCK: KindFacts(
        "Order will not end", W, True,
        "A ladder's rung is over and one of its orders neither ends nor can be cancelled. The ladder waits.",
        "Look the order up at the venue; cancel it there.",
    ),
    AlertKind.NO_ACCOUNT: KindFacts(
        "No account to hedge on", C, True,
        "The ladder's rung names an account that may not trade.",
        "Activate the account, or change the ladder.",
    ),
    AlertKind.MARKET_CLOSED: KindFacts(
        "Closed with shares unhedged", W, True,
        "A market takes no more orders and shares are still unhedged.",
        "Hedge elsewhere, or wait for the result.",
    ),
    AlertKind.LADDER_ALTERNATE: KindFacts(
        "Hedging on the alternate", W, False,
        "The hedge account did not fill in time; the ladder went on to another account.",
        "Look at the hedge account's balance and the market's book.",
    ),
    AlertKind.LADDER_UNWIND: KindFacts(
        "Unwinding", W, False,
        "No hedge filled in time; the ladder sells the unhedged part on the primary.",
        "Look at the market's book and the ladder's bounds.",
    ),
    AlertKind.LADDER_PAUSED: KindFacts(
        "Strategy paused itself", C, False,
        "A ladder came to its end with shares unhedged; the strategy is halted.",
        "Hedge or accept what is open, then start the strategy again.",
    ),
    AlertKind.IMBALANCE: KindFacts(
        "Venue and ledger disagree", W, True,
        "Two reads apart show other shares at the venue than in the ledger; critical when it halts a strategy.",
        "Look for trades, transfers or redemptions made outside; then start the strategy again.",
    ),
    AlertKind.RECONCILE_DIFFERENCE: KindFacts(
        "Reconcile found a difference", W, True,
        "The venue knew of fills, orders or shares that the ledger did not. Fills are in the books now.",
        "Read the explanation on the account's page. Foreign orders mean somebody trades the account elsewhere.",
    ),
    AlertKind.UNRECONCILED: KindFacts(
        "Account cannot be reconciled", W, True,
        "Something stays unexplained look after look; critical when the account is halted for it.",
        "Settle it at the venue, then activate the account again.",
    ),
    AlertKind.VENUE_UNREACHABLE: KindFacts(
        "Books cannot be compared", W, True,
        "The venue, the account's proxy or our own engine has not answered a reconcile for 90 s. After ten minutes it "
        "is critical, and the account takes only hedges and orders that reduce.",
        "Look at the reason: an outage passes by itself, a refused login or proxy does not.",
    ),
    AlertKind.CONNECTION_LOST: KindFacts(
        "Wallet stream lost", W, True,
        "An account has been without its private stream for over a minute. Fills are found by the reconcile, later.",
        "Look at the listener, the proxy and the venue.",
    ),
    AlertKind.ENGINE_MISSING: KindFacts(
        "No engine is running", C, True,
        "No process holds a fresh lease to send orders: nothing is hedged.",
        "Start the engine. Fills wait on the bus and are hedged then.",
    ),
    AlertKind.DEAD_LETTERS: KindFacts(
        "Dead letters", W, True,
        "Messages could not be handled and were put aside.",
        "Read them with “manage.py deadletters list”; replay or purge them, with a reason.",
    ),
    AlertKind.DESK_STOPPED: KindFacts(
        "Emergency stop", C, True,
        "Somebody pulled the emergency stop; the text says who, why and at which level.",
        "When the reason is gone, an admin lifts it.",
    ),
    AlertKind.ACCOUNT_HALTED: KindFacts(
        "Account halted", W, True,
        "Somebody halted an account; the text says who and why.",
        "Activate it when the reason is gone.",
    ),
    AlertKind.STRATEGY_HALTED: KindFacts(
        "Strategy stopped", W, True,
        "Somebody stopped a strategy; the text says who and why. What it owed stays open.",
        "Start it when the reason is gone.",
    ),
}  # fmt: skip


def title_of(kind: str) -> str:
    """The kind's title; a kind of another build is shown by its name."""
    return KINDS[AlertKind(kind)].title if kind in AlertKind.__members__.values() else kind.replace("_", " ")


def advice_of(kind: str) -> str:
    """What to do; empty for a kind of another build."""
    return KINDS[AlertKind(kind)].advice if kind in AlertKind.__members__.values() else ""
