"""Trading states of a venue and of the whole desk, and the markets' limits: changed by a person, with a reason.

Accounts have theirs in `registration.change_account_state`, strategies in `strategies.control`. A change holds from
the next order on that is judged. What each state lets out is the table in docs/operations.md.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

import structlog
from django.db import transaction
from django.utils import timezone

from accounts.models import Desk
from accounts.querysets import lock_desk
from identity.audit import record_audit
from identity.models import AuditEntry, User
from markets.models import Market, MarketLimit, VenueState
from trading.enums import Platform, TradingState
from trading.errors import InvalidValue
from trading.values import ZERO

SYSTEM = AuditEntry.Source.SYSTEM.value

log = structlog.get_logger()


def change_venue_state(
    platform: Platform | str, state: TradingState | str, *, by: User | str, reason: str, source: str = SYSTEM
) -> VenueState:
    """Halt, reduce or activate a whole venue: every account, strategy and person's order there. Raises ValueError for
    a platform or a state there is not."""
    venue, wanted, now = Platform(platform), TradingState(state), timezone.now()
    with transaction.atomic():
        row, _ = VenueState.objects.select_for_update().get_or_create(platform=venue.value)
        before = {"state": row.state, "reason": row.reason}
        row.state, row.reason, row.changed_by, row.changed_at = wanted.value, reason[:255], str(by)[:150], now
        row.save()
        _audit("venue.state_changed", row, by, reason, source, now, before, {"state": wanted.value, "reason": reason})
    log.warning("venue_state_changed", platform=venue.value, state=wanted.value, by=str(by))
    return row


def change_desk_state(state: TradingState | str, *, by: User | str, reason: str, source: str = SYSTEM) -> Desk:
    """Let the whole desk only reduce, or trade again. Raises InvalidValue for HALTED: that is the emergency stop
    (`accounts.stop`), which waits until no process sends any more."""
    wanted, now = TradingState(state), timezone.now()
    if wanted is TradingState.HALTED:
        raise InvalidValue("to halt the whole desk pull the emergency stop: it waits until nothing leaves any more")
    with transaction.atomic():
        desk = lock_desk()
        before = {"state": desk.state}
        desk.state = wanted.value
        desk.save(update_fields=["state"])
        _audit("desk.state_changed", desk, by, reason, source, now, before, {"state": wanted.value, "reason": reason})
    log.warning("desk_state_changed", state=wanted.value, by=str(by))
    return desk


def change_market_limit(
    market_id: str | None,
    *,
    max_position: Decimal | None,
    price_band: Decimal | None,
    by: User | str,
    reason: str,
    source: str = SYSTEM,
) -> MarketLimit:
    """Set what all accounts together may do in one market (its key), or with None in every market without a figure of
    its own. None for a figure: no limit here. Raises InvalidValue that says what to change."""
    for name, value in (("max_position", max_position), ("price_band", price_band)):
        if value is not None and (not value.is_finite() or value < ZERO):
            raise InvalidValue(f"{name} {value} must be at least 0; leave it empty for no limit")
    if market_id is not None and not Market.objects.filter(pk=market_id).exists():
        raise InvalidValue(f"there is no market {market_id!r}: give its key, like predict:123")
    now = timezone.now()
    with transaction.atomic():
        row = MarketLimit.objects.select_for_update().filter(market_id=market_id).first()
        before = None if row is None else {"max_position": _told(row.max_position), "price_band": _told(row.price_band)}
        row = row or MarketLimit(market_id=market_id)
        row.max_position, row.price_band = max_position, price_band
        row.changed_by, row.changed_at = str(by)[:150], now
        row.save()
        after = {"max_position": _told(max_position), "price_band": _told(price_band)}
        _audit("market.limit_changed", row, by, reason, source, now, before, after)
    return row


def _told(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"


def _audit(
    what: str,
    subject: VenueState | Desk | MarketLimit,
    by: User | str,
    reason: str,
    source: str,
    at: datetime,
    before: Mapping[str, str | None] | None,
    after: Mapping[str, str | None],
) -> None:
    record_audit(
        what,
        user=by if isinstance(by, User) else None,
        who=str(by),
        subject=subject,
        before=None if before is None else dict(before),
        after=dict(after),
        reason=reason,
        source=source,
        at=at,
    )
