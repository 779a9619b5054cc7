"""What is not hedged, since when, and what it may cost; and which of it a person must be told. Pure.

One place computes the figures: the dispatch keeps them on the exposure, events, metrics and pages show them.
"""

from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

import msgspec

from alerts.kinds import AlertKind
from strategies.config import DeltaNeutralConfig
from strategies.exposure import ExposureState
from strategies.handlers.ladder import is_beyond_mending
from strategies.handlers.plan import Plan
from strategies.reasons import TEXTS, Reason
from strategies.rungs import RungKind
from trading.enums import Severity, by_value
from trading.values import ONE, WIDE, ZERO, ceil_to, text

_PLACES = Decimal(1).scaleb(-18)
_READABLE = Decimal(1).scaleb(-4)
_REASONS = by_value(Reason)
REJECTED = "rejected:"
"""What an exposure's reason begins with after a refusal; the venue's slug follows."""

_TOLD = {
    Reason.DUST_OVERDUE: Severity.WARNING,
    Reason.RUNG_STUCK: Severity.WARNING,
    Reason.NO_ACCOUNT: Severity.CRITICAL,
    Reason.MARKET_CLOSED: Severity.WARNING,
    Reason.LADDER_PAUSED: Severity.CRITICAL,
}
"""Reasons a person should know of; the rest only waits."""


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """How exposed an exposure is."""

    unhedged_shares: Decimal
    """Delta no fill has covered yet, without sign; what is in flight has covered nothing."""
    unhedged_seconds: Decimal
    dollars_at_risk: Decimal
    """What those shares cost, and so what is lost if they lose. To 18 places."""


class Warning(msgspec.Struct, frozen=True, kw_only=True):
    """An alert to raise; `kind` and the exposure make its key."""

    severity: Severity
    kind: AlertKind
    text: str


def watch(exposure: ExposureState, ratio: Decimal, now: datetime) -> Watch:
    """The figures of an exposure whose lots are aligned with what is hedged (`ExposureState.realigned`)."""
    with localcontext(WIDE):
        shares = abs(exposure.unhedged(ratio))
        worth = sum([_own_cost(lot.delta, lot.yes_price) for lot in exposure.lots], ZERO)
        risk = (ratio * worth).quantize(_PLACES, ROUND_HALF_EVEN)
    return Watch(
        unhedged_shares=shares,
        unhedged_seconds=seconds_since(exposure.unhedged_since, now),
        dollars_at_risk=risk,
    )


def seconds_since(moment: datetime | None, now: datetime) -> Decimal:
    """Seconds from `moment` to now, to the millisecond; zero without a moment."""
    if moment is None:
        return ZERO
    elapsed = now - moment
    milliseconds = (elapsed.days * 86_400 + elapsed.seconds) * 1000 + elapsed.microseconds // 1000
    return max(Decimal(milliseconds).scaleb(-3), ZERO)


def warnings(
    plan: Plan, told: str, config: DeltaNeutralConfig, exposure: ExposureState, figures: Watch
) -> tuple[Warning, ...]:
    """What a person should be told of this look. `exposure` is as it was before the plan's step.

    The caller asks only when the reason or the rung is new: an alert says that something began.
    """
    slug = told.removeprefix(REJECTED) if told.startswith(REJECTED) else ""
    reason = _REASONS.get(told)
    step = plan.step
    rung = config.ladder[step.rung] if step is not None and step.rung > exposure.step.rung else None
    if reason not in _TOLD and not slug and rung is None:
        return ()
    found: list[Warning] = []
    shares, risk = _readable(figures.unhedged_shares), _readable(figures.dollars_at_risk)
    facts = f"{shares} shares unhedged, {risk} USDT at risk."
    if reason in _TOLD:
        found.append(Warning(severity=_TOLD[reason], kind=AlertKind(reason.value), text=f"{TEXTS[reason]} {facts}"))
    elif slug:
        after = "Trying again cannot mend it." if is_beyond_mending(slug) else "It is tried again."
        said = f"The venue refused a hedge: {slug}. {after} {facts}"
        found.append(Warning(severity=Severity.WARNING, kind=AlertKind.HEDGE_REJECTED, text=said))
    if rung is not None and rung.kind in (RungKind.ALTERNATE, RungKind.UNWIND):
        said = f"Went on to {rung.kind.value} {rung.account}".rstrip() + f". {facts}"
        found.append(Warning(severity=Severity.WARNING, kind=AlertKind(f"ladder_{rung.kind.value}"), text=said))
    return tuple(found)


def _readable(value: Decimal) -> str:
    """To four places, rounded up: what is open never reads as nothing."""
    return text(ceil_to(value, _READABLE))


def _own_cost(delta: Decimal, yes_price: Decimal) -> Decimal:
    """What open shares of `delta` cost in their own outcome."""
    return delta * yes_price if delta > ZERO else -delta * (ONE - yes_price)
