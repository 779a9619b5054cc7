"""What a stop will touch, before it is pulled, and how far it has come, after. Pages, the API and the bot show both."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Count, Exists, F, OuterRef, Q, Sum
from django.utils import timezone

from accounts.levels import CANCELLING, FLATTEN, HEDGE_ONLY, LEVELS
from accounts.models import Account, Order, Position, SealedSecret
from accounts.querysets import load_desk, load_fresh_leases
from trading.enums import OrderOrigin, OrderStatus, TradingState
from trading.orders import IN_FLIGHT
from trading.values import ZERO

SENTENCES = {
    "hedge_only": "Hedges still leave. Nothing anybody else asks for does. Resting orders stay.",
    "no_new": "No order leaves. Resting orders stay at the venue and may still fill.",
    "cancel_all": "No order leaves, and every resting order is taken off its book.",
    "flatten": "Every resting order is taken off its book and every holding is sold, at up to 0.10 USDT below its bid.",
}
_FLYING = sorted(status.value for status in IN_FLIGHT)
_UNSENT = [OrderStatus.INITIALIZED.value, OrderStatus.SUBMITTED.value]
_HEDGES = Q(origin=OrderOrigin.STRATEGY.value, exposure_id__isnull=False)


@dataclass(frozen=True)
class StopPreview:
    """What pulling the stop at `level` would do at this moment."""

    level: str
    sentence: str
    engines: tuple[str, ...]
    """Processes that will be waited for."""
    held_back: int
    """Orders on their way that would not leave any more."""
    resting: int
    """Orders at the venue, of unknown outcome included."""
    resting_value: Decimal
    """What remains of them, price × shares."""
    is_cancelling: bool
    holdings: int
    """Holdings that would be sold; 0 unless flattening."""
    shares: Decimal
    halted_holders: tuple[str, ...]
    """HALTED accounts whose holdings are sold all the same: a stop that flattens is stronger than their state."""
    unreachable_holders: tuple[str, ...]
    """Accounts with holdings that have no usable key or no connection: their sales wait until they can be sent."""


@dataclass(frozen=True)
class StopProgress:
    """How far the stop in force has come."""

    level: str
    generation: int
    since: datetime | None
    resting: int
    """Still in flight, closing orders not counted."""
    cancelling: int
    """Of those, asked to be cancelled."""
    closing: int
    """Closing orders in flight."""
    holdings: int
    is_done: bool


@dataclass(frozen=True)
class _Count:
    """All that the levels' previews are made of, as it stood at one moment."""

    engines: tuple[str, ...]
    unsent: int
    unsent_others: int
    """Of those, the ones that are no hedge."""
    resting: int
    resting_value: Decimal
    holdings: int
    shares: Decimal
    halted_holders: tuple[str, ...]
    unreachable_holders: tuple[str, ...]


def preview_stop(level: str, now: datetime | None = None) -> StopPreview:
    """Raises ValueError for an unknown level."""
    if level not in LEVELS:
        raise ValueError(f"no stop level {level!r}; known: {', '.join(LEVELS)}")
    return _preview(level, _count(now or timezone.now()))


def preview_levels(now: datetime | None = None) -> list[StopPreview]:
    """Every level, from the mildest to the strictest. All come from one count, so that none contradicts another."""
    counted = _count(now or timezone.now())
    return [_preview(level, counted) for level in LEVELS]


def _count(now: datetime) -> _Count:
    """Five queries; the orders are counted by one of them."""
    unsent = Q(status__in=_UNSENT)
    orders = (
        Order.objects.filter(status__in=_FLYING)
        .order_by()
        .aggregate(
            unsent=Count("id", filter=unsent),
            others=Count("id", filter=unsent & ~_HEDGES),
            resting=Count("id", filter=~unsent),
            value=Sum(F("price") * (F("size") - F("filled")), filter=~unsent),
        )
    )
    held = Position.objects.filter(size__gt=0)
    holding = held.order_by().aggregate(count=Count("id"), shares=Sum("size"))
    holders = Account.objects.filter(positions__in=held).order_by("name").distinct()
    return _Count(
        engines=tuple(lease.name for lease in load_fresh_leases(now)),
        unsent=orders["unsent"],
        unsent_others=orders["others"],
        resting=orders["resting"],
        resting_value=orders["value"] or ZERO,
        holdings=holding["count"],
        shares=holding["shares"] or ZERO,
        halted_holders=tuple(holders.filter(state=TradingState.HALTED.value).values_list("name", flat=True)),
        unreachable_holders=tuple(holders.filter(is_unreachable()).values_list("name", flat=True)),
    )


def _preview(level: str, counted: _Count) -> StopPreview:
    """What of the count concerns the level: holdings only when it flattens."""
    sells = level == FLATTEN
    return StopPreview(
        level=level,
        sentence=SENTENCES[level],
        engines=counted.engines,
        held_back=counted.unsent_others if level == HEDGE_ONLY else counted.unsent,
        resting=counted.resting,
        resting_value=counted.resting_value,
        is_cancelling=level in CANCELLING,
        holdings=counted.holdings if sells else 0,
        shares=counted.shares if sells else ZERO,
        halted_holders=counted.halted_holders if sells else (),
        unreachable_holders=counted.unreachable_holders if sells else (),
    )


def is_unreachable() -> Q:
    """Accounts nothing can be sold of now: no key is sealed, or their listener finds no way to the venue."""
    has_key = SealedSecret.objects.filter(account=OuterRef("pk"), kind=SealedSecret.Kind.PRIVATE_KEY)
    return Q(connection=Account.Connection.UNAVAILABLE) | Q(~Exists(has_key))


def load_progress() -> StopProgress:
    """Of the stop in force; a desk that trades has the level "" and is done."""
    desk = load_desk()
    flying = Order.objects.filter(status__in=_FLYING)
    others = flying.exclude(origin=OrderOrigin.CLOSING.value)
    resting, closing = others.count(), flying.filter(origin=OrderOrigin.CLOSING.value).count()
    holdings = Position.objects.filter(size__gt=0).count()
    level = desk.level if desk.stopped else ""
    return StopProgress(
        level=level,
        generation=desk.generation,
        since=desk.changed_at,
        resting=resting,
        cancelling=others.filter(cancel_requested_at__isnull=False).count(),
        closing=closing,
        holdings=holdings,
        is_done=level not in CANCELLING or (resting == 0 and (level != FLATTEN or (holdings == 0 and closing == 0))),
    )
