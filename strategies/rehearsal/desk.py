"""The desk a rehearsal trades with: some of the demo pairs, alone on their markets while it lasts.

Meanwhile the quoter is paused and the simulated takers rest (the makers go on quoting: hedges need a book to take).
Both are given back at the end, and by themselves when the rehearsal dies: the pause is a key with a short life.
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from types import TracebackType
from typing import Self

import redis
from django.utils import timezone

from accounts.models import Account, Order
from accounts.querysets import load_desk, load_fresh_leases
from markets.models import Market, market_key
from markets.specs import spec_from_row
from strategies.demo import STRATEGY, DemoPair, ensure_demo_desk, load_demo_pairs
from strategies.models import Exposure, Strategy
from strategies.paper_venue import PaperVenue, PaperVenueDown, PaperVenueRefused
from strategies.quoter import pause_quoter, resume_quoter
from strategies.rehearsal.patience import wait_until
from streams.connection import connect_now
from trading.enums import OrderOrigin, Platform, TradingState
from trading.errors import TradingError
from trading.instruments import MarketSpec
from trading.orders import IN_FLIGHT

PAUSE_S = 15
READY_S = 90.0
USUAL_PACE = Decimal("1.5")
FLYING = sorted(status.value for status in IN_FLIGHT)


class NotReady(TradingError):
    """The system is not fit for a rehearsal; the message says what to do."""


@dataclass(frozen=True)
class Stand:
    """One pair in its market."""

    pair: DemoPair
    market: MarketSpec

    @property
    def key(self) -> str:
        """The market row's key."""
        return market_key(Platform.PREDICT, self.pair.market_id)

    @property
    def accounts(self) -> tuple[Account, Account]:
        """Primary and hedge."""
        return self.pair.primary, self.pair.hedge


class RehearsalDesk:
    """A context: on entry the stands are ready and quiet, on exit everybody may trade again."""

    def __init__(self, venue: PaperVenue, redis_url: str, accounts: int, say: Callable[[str], None]) -> None:
        self.venue = venue
        self.stands: list[Stand] = []
        self._redis = connect_now(redis_url)
        self._accounts = accounts
        self._say = say
        self._ended = threading.Event()
        self._keeper = threading.Thread(target=self._keep_paused, name="rehearsal pause", daemon=True)
        self._pace = USUAL_PACE

    def __enter__(self) -> Self:
        ensure_demo_desk(self._accounts)
        self._check_trading()
        pause_quoter(self._redis, PAUSE_S)
        self._keeper.start()
        try:
            self._pace = self.venue.load_taker_pace() or USUAL_PACE
            self.venue.set_taker_pace(Decimal(0))
            self._make_ready()
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._release()

    def keep_takers_resting(self) -> None:
        """Again: a venue that was killed starts with its takers trading."""
        with suppress(PaperVenueDown, PaperVenueRefused):
            self.venue.set_taker_pace(Decimal(0))

    def _make_ready(self) -> None:
        deadline = time.monotonic() + READY_S
        if not wait_until(lambda: not self._missing(), deadline, 0.5):
            raise NotReady(f"the system did not become ready: {self._missing()}")
        self.stands = self._load_stands()
        self._say(f"{len(self.stands)} pairs ready; waiting until they are quiet")
        if not wait_until(self.is_quiet, time.monotonic() + READY_S, 0.5):
            raise NotReady("the desk did not become quiet: orders are still in flight; look at its page")

    def is_quiet(self) -> bool:
        """True when none of the stands' accounts has an order that may still trade."""
        accounts = [account.pk for stand in self.stands for account in stand.accounts]
        open_orders = Order.objects.filter(status__in=FLYING, account_id__in=accounts)
        return not open_orders.exclude(origin=OrderOrigin.STRATEGY.value).exists() and not self._owing()

    def _owing(self) -> bool:
        exposures = Exposure.objects.filter(market_id__in=[stand.key for stand in self.stands])
        return exposures.exclude(in_flight=0).exists()

    def _missing(self) -> str:
        """What is not ready yet, in words; empty when everything is."""
        if not load_fresh_leases(timezone.now()):
            return "no engine is up"
        pairs = load_demo_pairs()[: self._accounts // 2]
        if len(pairs) < self._accounts // 2:
            return "the demo desk has too few markets"
        connected = Account.Connection.CONNECTED.value
        offline = [a.name for pair in pairs for a in (pair.primary, pair.hedge) if a.connection != connected]
        if offline:
            return f"{offline[0]} is not connected"
        keys = {market_key(Platform.PREDICT, pair.market_id) for pair in pairs}
        synced = Market.objects.filter(pk__in=keys, synced_at__isnull=False).count()
        return "" if synced == len(keys) else "the markets are not synced"

    def _load_stands(self) -> list[Stand]:
        stands = []
        for pair in load_demo_pairs()[: self._accounts // 2]:
            spec = spec_from_row(Market.objects.get(pk=market_key(Platform.PREDICT, pair.market_id)))
            if spec is not None:
                stands.append(Stand(pair, spec))
        return stands

    def _check_trading(self) -> None:
        if load_desk().stopped:
            raise NotReady("the desk is stopped: lift the stop first")
        if not Strategy.objects.filter(name=STRATEGY, state=TradingState.ACTIVE.value).exists():
            raise NotReady("the demo strategy is not active: start it first")

    def _keep_paused(self) -> None:
        while not self._ended.wait(PAUSE_S / 3):
            with suppress(redis.RedisError):
                pause_quoter(self._redis, PAUSE_S)

    def _release(self) -> None:
        self._ended.set()
        if self._keeper.is_alive():
            self._keeper.join()
        with suppress(PaperVenueDown, PaperVenueRefused):
            self.venue.set_taker_pace(self._pace)
        with suppress(redis.RedisError):
            resume_quoter(self._redis)


def stand_accounts(stands: Sequence[Stand]) -> dict[str, Account]:
    """Lower-case address → account, of everybody in the rehearsal."""
    return {account.address.lower(): account for stand in stands for account in stand.accounts}
