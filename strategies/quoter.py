"""The quoter of paper mode: keeps one quote of each demo primary near the touch, through the product's own trade path.

It is what a desk's market maker would be: the simulated takers fill its quotes, and the engine hedges them. One quote
per pair at a time, sides taking turns; a quote filled in part is cancelled, so that it never stands in its hedge's way.
`python manage.py quoter` runs it; a rehearsal pauses it. All it knows it reads from rows, so a restart changes nothing.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from uuid import UUID

import redis
import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections
from django.db.models import Sum
from django.utils import timezone

from accounts.models import Account, Fill, Order, Position
from accounts.querysets import load_desk
from accounts.trade import cancel_order, place_order
from markets.models import Market, market_key
from markets.specs import spec_from_row
from strategies.demo import STRATEGY, DemoPair, load_demo_pairs, settle_demo_desk
from strategies.handlers.plan import RestingOrder
from strategies.models import Strategy
from strategies.paper_venue import PaperVenue, PaperVenueDown, PaperVenueRefused, Touch
from strategies.quoting import is_stale, next_quote
from streams.connection import connect_now
from trading.commands import PlaceOrder
from trading.enums import Action, OrderOrigin, OrderStatus, Outcome, Platform, Settlement, TradingState
from trading.errors import TradingError
from trading.instruments import MarketSpec
from trading.orders import IN_FLIGHT

PAUSE_KEY = "hedgerow:quoter:paused"
"""While this key lives in Redis the quoter keeps its quotes off the book. Whoever sets it gives it a short life."""
TICK_S = 1.0
STALE_AFTER = timedelta(seconds=6)
"""How long a quote stands before the touch is read again for it: reading books costs the venue's request budget."""
WAIT_AFTER_FILL = timedelta(seconds=3)
"""How long a pair's hedge is waited for before the next quote; then the quote keeps clear of it."""
_FLYING = sorted(status.value for status in IN_FLIGHT)

log = structlog.get_logger()


@dataclass
class Slot:
    """One pair's place in the quoter's round."""

    pair: DemoPair
    random: Random
    next_is_bid: bool = True
    looked_at: datetime | None = None
    cancelled: set[UUID] = field(default_factory=set)

    @property
    def key(self) -> str:
        """The market row's key."""
        return market_key(Platform.PREDICT, self.pair.market_id)


class Quoter:
    """One round a second over every pair; `run` until told to stop."""

    def __init__(self, venue: PaperVenue, redis_url: str, seed: int = 1) -> None:
        self._venue = venue
        self._redis = connect_now(redis_url)
        self._seed = seed
        self._slots: dict[UUID, Slot] = {}
        self._settled = False
        self._touches: Mapping[str, Touch] = {}

    def run(self, stop: threading.Event) -> None:
        """Rounds until `stop` is set; an outage of anything is waited out. Ends with no quote of its own resting."""
        while not stop.wait(TICK_S):
            try:
                self.run_once()
            except (DatabaseError, redis.RedisError, PaperVenueDown) as error:
                log.warning("quoter_waits", error=type(error).__name__)
                close_old_connections()
            except (TradingError, PaperVenueRefused):
                log.exception("quoter_round_failed")
        try:
            self._clear(self._load_open(), "the quoter ends")
        except (DatabaseError, redis.RedisError):
            log.warning("quoter_left_quotes_behind")

    def run_once(self) -> None:
        """One round: cancel what should not stand, quote where nothing stands."""
        if not self._settled:
            settle_demo_desk(self._venue)
            self._settled = True
        open_orders = self._load_open()
        if self._redis.exists(PAUSE_KEY) or not _is_trading():
            self._clear(open_orders, "the quoter is paused")
            return
        slots = self._load_slots()
        self._touches = {}
        specs = _load_specs([slot.key for slot in slots])
        quotes = [order for order in open_orders if order.origin == OrderOrigin.QUOTER.value]
        for slot in slots:
            spec = specs.get(slot.key)
            own = [o for o in quotes if o.account.pk == slot.pair.primary.pk and o.market.pk == slot.key]
            if spec is None:
                continue
            if own:
                self._tend(slot, spec, own)
            else:
                self._quote(slot, spec, [o for o in open_orders if o.market.pk == slot.key])

    def _tend(self, slot: Slot, spec: MarketSpec, own: Sequence[Order]) -> None:
        """Look after the quote that stands: alone, whole, and near the touch."""
        now = timezone.now()
        for order in own[1:]:
            self._cancel(slot, order, "one quote at a time")
        order = own[0]
        if order.filled:
            self._cancel(slot, order, "filled in part")
            return
        looked_at = max(order.created_at, slot.looked_at or order.created_at)
        if now - looked_at < STALE_AFTER:
            return
        slot.looked_at = now
        resting = resting_order(order)
        if is_stale(resting.yes_price, resting.is_bid, self._touch(slot), spec.tick):
            self._cancel(slot, order, "stale")

    def _quote(self, slot: Slot, spec: MarketSpec, others: Sequence[Order]) -> None:
        """Place the next quote, once the pair's hedge is done or has had its time."""
        now = timezone.now()
        if any(now - order.created_at < WAIT_AFTER_FILL for order in others if order.exposure_id):
            return
        quote = next_quote(
            spec,
            self._touch(slot),
            bid=slot.next_is_bid,
            held=load_sellable(slot.pair.primary, slot.key),
            resting=[resting_order(order) for order in others],
            random=slot.random,
        )
        slot.next_is_bid = not slot.next_is_bid
        if quote is None:
            return
        slot.cancelled.clear()
        slot.looked_at = None
        command = PlaceOrder(
            platform=spec.platform,
            account_id=str(slot.pair.primary.pk),
            market_id=spec.market_id,
            side=quote.outcome,
            price=quote.price,
            shares=quote.size,
            action=quote.action,
            post_only=True,
            origin=OrderOrigin.QUOTER,
            reason="demo quote",
        )
        place_order(command, "quoter")

    def _touch(self, slot: Slot) -> Touch:
        """The touch of the slot's market; one request reads them all, once a round and only when one is wanted."""
        if not self._touches:
            self._touches = self._venue.load_touches([s.pair.market_id for s in self._load_slots()])
        return self._touches.get(slot.pair.market_id, (None, None))

    def _cancel(self, slot: Slot, order: Order, reason: str) -> None:
        if order.pk not in slot.cancelled:
            slot.cancelled.add(order.pk)
            cancel_order(order.pk, "quoter", reason)

    def _clear(self, open_orders: Sequence[Order], reason: str) -> None:
        """Ask for every quote's cancel, once each."""
        for order in open_orders:
            if order.origin == OrderOrigin.QUOTER.value and order.cancel_requested_at is None:
                cancel_order(order.pk, "quoter", reason)

    def _load_open(self) -> list[Order]:
        """Our orders in the desk's markets that may still trade: one query a round."""
        markets = [slot.key for slot in self._load_slots()]
        orders = Order.objects.filter(status__in=_FLYING, market_id__in=markets)
        return list(orders.select_related("account", "market").defer("body", "salt").order_by("created_at"))

    def _load_slots(self) -> list[Slot]:
        if not self._slots:
            for number, pair in enumerate(load_demo_pairs()):
                self._slots[pair.pair.pk] = Slot(pair, Random(self._seed * 1000 + number))  # noqa: S311 - a demo
        return list(self._slots.values())


def pause_quoter(client: redis.Redis, seconds: int) -> None:
    """Keep the quoter's quotes off the book for so long; ask again before it is over to go on."""
    client.set(PAUSE_KEY, b"1", ex=seconds)


def resume_quoter(client: redis.Redis) -> None:
    """Let it quote again."""
    client.delete(PAUSE_KEY)


def _is_trading() -> bool:
    state = Strategy.objects.filter(name=STRATEGY).values_list("state", flat=True).first()
    return state == TradingState.ACTIVE.value and not load_desk().stopped


def _load_specs(keys: Sequence[str]) -> Mapping[str, MarketSpec]:
    specs = {market.pk: spec_from_row(market) for market in Market.objects.filter(pk__in=keys)}
    return {key: spec for key, spec in specs.items() if spec is not None}


def load_sellable(account: Account, market_key: str) -> dict[Outcome, Decimal]:
    """Shares the account holds settled: the venue refuses to sell what was only matched yet."""
    rows = Position.objects.filter(account=account, market_id=market_key)
    held = {Outcome(outcome): size for outcome, size in rows.values_list("outcome", "size")}
    coming = Fill.objects.filter(
        account=account, market_id=market_key, settlement=Settlement.MATCHED.value, action=Action.BUY.value
    )
    for outcome, size in coming.values_list("outcome").annotate(total=Sum("size")).order_by():
        held[Outcome(outcome)] = held.get(Outcome(outcome), Decimal(0)) - size
    return held


def resting_order(order: Order) -> RestingOrder:
    """An order's row as the self-cross guard sees it."""
    return RestingOrder(
        client_order_id=order.pk,
        account_id=str(order.account.pk),
        outcome=Outcome(order.outcome),
        action=Action(order.action),
        price=order.price,
        remaining=order.size - order.filled,
        exposure_id=order.exposure_id,
        cancellable=order.status in (OrderStatus.ACCEPTED.value, OrderStatus.PARTIALLY_FILLED.value),
    )


def make_quoter(seed: int = 1) -> Quoter:
    """The quoter of this process's settings."""
    return Quoter(PaperVenue(settings.PREDICT_API_URL), settings.REDIS_URL, seed)
