"""What a handler is given and what it answers. Dispatch builds the one and carries out the other."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Protocol, Self
from uuid import UUID

import msgspec

from strategies.config import DeltaNeutralConfig
from strategies.exposure import ExposureState, Step
from strategies.reasons import Reason
from trading.commands import PlaceOrder
from trading.enums import Action, Outcome, TradingState
from trading.instruments import Book, MarketSpec
from trading.positions import delta, is_bid
from trading.values import ONE, ZERO


class Wake(msgspec.Struct, frozen=True, kw_only=True):
    """Why the exposure is looked at. The amounts come from the state alone, never from here."""

    cause: str
    """Names this look at this exposure and no other ("fill:<trade id>", "sweep:<revision>"); order ids follow."""
    is_swept: bool = False
    """The venue was just asked for fills this exposure's ended orders may still have got, and the books have them."""


class AccountView(msgspec.Struct, frozen=True, kw_only=True):
    """An account as far as a decision needs it."""

    id: str
    name: str
    state: TradingState = TradingState.ACTIVE
    max_order: Decimal | None = None
    max_position: Decimal | None = None
    max_notional_per_day: Decimal | None = None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """An account an exposure may trade on beside its hedge account, and what it holds in the market."""

    account: AccountView
    positions: Mapping[Outcome, Decimal] = {}
    unsettled: Mapping[Outcome, Decimal] = {}
    day_notional: Decimal = ZERO
    free: Decimal | None = None
    fits: bool = True
    """False when it is on another venue, or paper with live: then nothing of this exposure goes there."""


class RestingOrder(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An order of ours that rests, or may rest, in the market: initialized, sent, accepted and UNKNOWN ones alike."""

    client_order_id: UUID
    account_id: str
    outcome: Outcome
    action: Action
    price: Decimal
    remaining: Decimal
    exposure_id: UUID | None = None
    cancellable: bool = True
    """False while the venue has not taken it, or once a cancel was asked for."""
    is_repriced: bool = False
    """It made way for another order of ours when it was priced."""

    @property
    def yes_price(self) -> Decimal:
        """Its price in YES terms."""
        return self.price if self.outcome is Outcome.YES else ONE - self.price

    @property
    def is_bid(self) -> bool:
        """True when it buys YES or sells NO: both are bids of the one book."""
        return is_bid(self.outcome, self.action)

    @property
    def delta(self) -> Decimal:
        """What its remaining shares would do to a delta."""
        return delta(self.outcome, self.action, self.remaining)


class HedgeState(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """All a decision may depend on, as it stands inside dispatch's transaction."""

    strategy_id: UUID
    pair_id: UUID
    exposure_id: UUID
    exposure: ExposureState
    market: MarketSpec
    config: DeltaNeutralConfig
    primary_account: AccountView
    hedge_account: AccountView
    """The account the hedge goes to: the pair's own, or the one the ladder is at (`on`)."""
    hedge_positions: Mapping[Outcome, Decimal]
    """Shares the hedge account holds in this market, those its open sells reserve included."""
    own_resting: tuple[RestingOrder, ...]
    """Over all our accounts, in this market."""
    day_notional: Decimal
    """Price × size of the hedge account's orders since UTC midnight; only given when that is limited."""
    strategy_day_notional: Decimal
    """The same over this strategy's orders."""
    now: datetime
    book: Book | None = None
    desk_state: TradingState = TradingState.ACTIVE
    strategy_state: TradingState = TradingState.ACTIVE
    venue_state: TradingState = TradingState.ACTIVE
    free: Decimal | None = None
    """Collateral the hedge account can still pay, open buys taken off; None when its balance is not known."""
    market_max_position: Decimal | None = None
    """Most shares of one outcome that all our accounts together may hold in this market."""
    market_positions: Mapping[Outcome, Decimal] = {}
    """What they hold; only given with that limit."""
    mark: Decimal | None = None
    """The middle of the book when last seen, in YES; only given with a band."""
    price_band: Decimal | None = None
    unsettled: Mapping[Outcome, Decimal] = {}
    """Of `hedge_positions`, what was bought and is not settled: a venue refuses to sell it (venues/predict.md 5.3)."""

    primary: Standing | None = None
    """What the primary holds in this market; given when the strategy has a ladder."""
    alternates: Mapping[str, Standing] = {}
    """By name, the other hedge accounts the ladder names; one that is not there does not exist."""
    is_primary_shared: bool = False
    """Another pair hedges the same primary in this market."""
    changed_at: datetime | None = None
    """When a person last changed or started the strategy."""
    rung: int = 0
    """The ladder's rung that orders are sent at; it goes into their ids."""
    scale: Decimal = ONE
    """Delta owed per delta traded: 1 on a hedge account, the ratio on the primary."""

    @cached_property
    def own_orders(self) -> list[RestingOrder]:
        """This exposure's own orders that may still move shares, on any account."""
        return [order for order in self.own_resting if order.exposure_id == self.exposure_id and order.remaining > ZERO]

    def on(self, standing: Standing, *, scale: Decimal = ONE) -> Self:
        """The same state, trading on another account."""
        return msgspec.structs.replace(
            self,
            hedge_account=standing.account,
            hedge_positions=standing.positions,
            unsettled=standing.unsettled,
            day_notional=standing.day_notional,
            free=standing.free,
            scale=scale,
        )

    def held_free(self, outcome: Outcome) -> Decimal:
        """Shares of `outcome` the hedge account can still sell."""
        settled = self.hedge_positions.get(outcome, ZERO) - self.unsettled.get(outcome, ZERO)
        if settled <= ZERO:
            return ZERO
        return max(settled - self.going.get((outcome, Action.SELL), ZERO), ZERO)

    def buying(self, outcome: Outcome, *, anywhere: bool = False) -> Decimal:
        """Shares of `outcome` the hedge account's open buys may still bring; with `anywhere` those of all accounts."""
        return sum(
            (
                order.remaining
                for order in self.own_resting
                if (anywhere or order.account_id == self.hedge_account.id)
                and order.outcome is outcome
                and order.action is Action.BUY
            ),
            ZERO,
        )

    @property
    def going(self) -> Mapping[tuple[Outcome, Action], Decimal]:
        """What the hedge account's open orders may still trade."""
        sums: dict[tuple[Outcome, Action], Decimal] = {}
        for order in self.own_resting:
            if order.account_id == self.hedge_account.id:
                key = (order.outcome, order.action)
                sums[key] = sums.get(key, ZERO) + order.remaining
        return sums


class PlannedHedge(msgspec.Struct, frozen=True, kw_only=True):
    """One leg of a hedge. With `denied` set it is recorded as a DENIED order and never sent."""

    order: PlaceOrder
    denied: Reason | None = None

    @property
    def delta(self) -> Decimal:
        """What it does to `hedged` when it fills whole."""
        return delta(self.order.side, self.order.action, self.order.shares)

    @property
    def notional(self) -> Decimal:
        """Price × size, in collateral."""
        return self.order.price * self.order.shares


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A handler's answer: orders to take off first, orders to place, and why there is no more."""

    commands: tuple[PlannedHedge, ...] = ()
    cancels: tuple[RestingOrder, ...] = ()
    """Own hedges to cancel. Their end wakes the exposure again; until then they count as in flight."""
    reason: Reason | None = None
    """Why nothing, or not everything, is sent; None when the whole need is on its way."""
    dust: Decimal = ZERO
    """The part of the need too small to send, signed like the need."""
    step: Step | None = None
    """The exposure's new place on the ladder; None leaves it where it is."""
    on: HedgeState | None = None
    """The state these commands are to be checked in, when they go to another account than the pair's."""
    sweep: bool = False
    """Look for late fills of this exposure's ended orders, then wake it again with `is_swept`."""
    halts: bool = False
    """Halt the strategy and call a person."""


class Handler(Protocol):
    """A strategy's whole judgement. Pure: the same wake and state give the same plan, and nothing else happens."""

    def handle(self, wake: Wake, state: HedgeState) -> Plan: ...
