"""The rungs of a ladder, as a person configures them: what is tried in turn when a hedge does not fill.

`strategies.config` reads them, `strategies.handlers.ladder` climbs them. Times in seconds, losses per pair of shares.
"""

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum

import msgspec

from trading.errors import InvalidValue
from trading.values import ONE, ZERO

MOST_RUNGS = 12


class ConfigError(InvalidValue):
    """A configuration that cannot be used. `field` is empty when it is not about one field."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message


class RungKind(StrEnum):
    """What a rung does (docs/hedging.md, "When it does not fill")."""

    JOIN = "join"
    CROSS = "cross"
    WIDER = "wider"
    ALTERNATE = "alternate"
    UNWIND = "unwind"
    PAUSE = "pause"


class Rung(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rung."""

    kind: RungKind
    seconds: int | None = None
    """How long it is tried; only the last rung has no end."""
    max_loss: Decimal | None = None
    """Its bound, as the strategy's own max loss, which it is when left out."""
    account: str = ""
    """For Alternate: the name of the other hedge account."""


def check_ladder(ladder: Sequence[Rung], max_loss: Decimal, *, bounded: bool) -> None:
    """Raises ConfigError that says what to write instead. `bounded` is False for a policy that bounds no loss."""
    if len(ladder) > MOST_RUNGS:
        raise ConfigError("ladder", f"{len(ladder)} rungs are too many; at most {MOST_RUNGS}")
    reached: dict[str, Decimal] = {}
    for number, rung in enumerate(ladder, start=1):
        last = number == len(ladder)
        _check_fields(rung, number, last=last, bounded=bounded)
        if rung.kind is RungKind.PAUSE:
            continue
        bound = max_loss if rung.max_loss is None else rung.max_loss
        # Each account has its own prices: only a bound on the same one can be wider or tighter.
        where = rung.account if rung.kind is RungKind.ALTERNATE else "unwind" * (rung.kind is RungKind.UNWIND)
        before = reached.get(where)
        if rung.kind is RungKind.WIDER and (before is None or bound <= before):
            raise _error(
                number,
                f"wider needs a max_loss above the rung before it ({before})"
                if before is not None
                else "wider must follow a join or a cross whose bound it widens",
            )
        if before is not None and bound < before:
            raise _error(number, f"max_loss {bound} is tighter than {before} before it; a ladder only widens")
        reached[where] = bound


def _check_fields(rung: Rung, number: int, *, last: bool, bounded: bool) -> None:
    kind = rung.kind
    if kind is RungKind.PAUSE:
        if not last:
            raise _error(number, "pause halts the strategy, so it must be the last rung")
        if rung.seconds is not None or rung.max_loss is not None or rung.account:
            raise _error(number, "pause takes no other field; it lasts until a person starts the strategy again")
        return
    if rung.seconds is None and not last:
        raise _error(number, f"{kind} needs seconds: how long it is tried before the next rung")
    if rung.seconds is not None and last:
        raise _error(number, f"nothing comes after it; remove its seconds, or end the ladder with {RungKind.PAUSE}")
    if rung.seconds is not None and rung.seconds < 1:
        raise _error(number, f"seconds must be at least 1, not {rung.seconds}")
    if rung.max_loss is not None and not (rung.max_loss.is_finite() and ZERO <= rung.max_loss < ONE):
        raise _error(number, f"max_loss {rung.max_loss} must be at least 0 and below 1, per pair of shares")
    if kind is RungKind.ALTERNATE and not rung.account:
        raise _error(number, "alternate needs account: the name of another hedge account")
    if kind is not RungKind.ALTERNATE and rung.account:
        raise _error(number, f"only alternate takes account; {kind} trades where the pair says")
    if kind in (RungKind.WIDER, RungKind.UNWIND) and rung.max_loss is None:
        raise _error(number, f"{kind} needs max_loss: what it may cost per share at worst")
    if not bounded and kind is RungKind.WIDER:
        raise _error(number, "mirror does not bound a pair's cost, so there is nothing to widen")
    if not bounded and rung.max_loss is not None and kind is not RungKind.UNWIND:
        raise _error(number, "mirror does not bound a pair's cost; remove max_loss, or choose complement or book")


def _error(number: int, message: str) -> ConfigError:
    return ConfigError("ladder", f"rung {number}: {message}")
