"""The emergency stop's levels: which orders each still lets out. The gate, the intake and the stop's pages ask here.

    hedge_only   hedges leave; nothing a person, a quoter or a program asks for does
    no_new       no order leaves at all; what rests at the venue stays there
    cancel_all   no order leaves, and every resting order is taken off its book
    flatten      as cancel_all, and what the accounts hold is sold: only these closing orders leave

Cancels, reads and logins are no orders and pass at every level. A level this build does not know lets nothing out.
"""

from uuid import UUID

from trading.enums import OrderOrigin

HEDGE_ONLY = "hedge_only"
NO_NEW = "no_new"
CANCEL_ALL = "cancel_all"
FLATTEN = "flatten"
LEVELS = (HEDGE_ONLY, NO_NEW, CANCEL_ALL, FLATTEN)
"""From the mildest to the strictest."""
LABELS = {HEDGE_ONLY: "Hedges only", NO_NEW: "No new orders", CANCEL_ALL: "Cancel all", FLATTEN: "Flatten"}
"""What the pages, the admin and the bot call each; the API says the level itself."""

CANCELLING = frozenset({CANCEL_ALL, FLATTEN})
"""Levels at which the engine takes every resting order off its book."""

HEDGE, CLOSING, OTHER = "hedge", "closing", "other"
PASSES = (HEDGE, CLOSING, OTHER)
"""What the gate tells apart: a hedge of an exposure, an order that closes a holding, anything else."""

_LETS_OUT: dict[str, frozenset[str]] = {
    "": frozenset(PASSES),
    HEDGE_ONLY: frozenset({HEDGE}),
    NO_NEW: frozenset(),
    CANCEL_ALL: frozenset(),
    FLATTEN: frozenset({CLOSING}),
}
_NOTHING: frozenset[str] = frozenset()


def pass_of(origin: OrderOrigin | str, exposure_id: UUID | None) -> str:
    """Which pass an order travels on. Only the dispatch gives an order its exposure, so nobody can claim a hedge's."""
    if origin == OrderOrigin.CLOSING:
        return CLOSING
    return HEDGE if exposure_id is not None and origin == OrderOrigin.STRATEGY else OTHER


def lets_out(level: str, kind: str) -> bool:
    """Whether orders on this pass may leave at this level; "" is a desk that trades."""
    return kind in _LETS_OUT.get(level, _NOTHING)


def label_of(level: str) -> str:
    """A level's name for people. One this build does not know is shown by its own name."""
    return LABELS.get(level, level)


def is_milder(level: str, than: str) -> bool:
    """Whether going from `than` to `level` would loosen a stop: only a lift does that."""
    return than in LEVELS and level in LEVELS and LEVELS.index(level) < LEVELS.index(than)
