"""A configuration tried against recorded fills: what it would have ordered, and why not. Saves and sends nothing.

Each fill goes through the strategy's own handler and risk check as it stands. Three things are assumed: every order
fills whole at its limit at once, the market took orders, and no book was there (so the `book` policy names no price)
and no ladder is climbed.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import msgspec

from accounts.models import Account, Fill
from markets.specs import spec_from_row
from strategies import risk
from strategies.config import DeltaNeutralConfig
from strategies.exposure import ExposureState, yes_price_of
from strategies.handlers.plan import AccountView, HedgeState, PlannedHedge, Wake
from strategies.handlers.registry import get_handler
from strategies.models import Strategy
from strategies.querysets import load_primary_fills
from strategies.reasons import Reason, decision_text
from trading.enums import Action, MarketStatus, Outcome, TradingState
from trading.instruments import MarketSpec
from trading.positions import delta
from trading.values import ZERO, price_text

FILLS_TRIED = 200
STEPS_SHOWN = 25
Key = tuple[str, str, str]


@dataclass
class Book:
    """What one pair has come to in one market by now."""

    exposure: ExposureState = field(default_factory=ExposureState)
    positions: dict[Outcome, Decimal] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One fill and the answer to it."""

    fill: Fill
    orders: list[str]
    reason: str


@dataclass
class Trial:
    """The outcome: the newest steps first, and totals over all of them."""

    steps: list[Step] = field(default_factory=list)
    fills: int = 0
    orders: int = 0
    denied: int = 0
    shares: Decimal = ZERO
    notional: Decimal = ZERO
    left: Decimal = ZERO
    reasons: list[tuple[str, int]] = field(default_factory=list)
    """Each reason and how often it was told, the most frequent first."""


def run_dry(strategy: Strategy, config: DeltaNeutralConfig, pairs: Sequence[tuple[Account, Account]]) -> Trial:
    """Try `config` on these pairs against the last recorded fills of their primaries. One query."""
    tried = msgspec.structs.replace(config, ladder=())
    fills = load_primary_fills({primary.pk for primary, _ in pairs}, FILLS_TRIED)
    trial = Trial()
    books: dict[Key, Book] = {}
    day: dict[tuple[str, str], Decimal] = {}
    for fill in fills:
        for primary, hedge in pairs:
            if primary.pk == fill.account_id:
                book = books.setdefault((str(primary.pk), str(hedge.pk), fill.market_id), Book())
                _answer(trial, strategy, tried, fill, primary, hedge, book, day)
    trial.fills = len(fills)
    trial.left = sum((abs(book.exposure.need(tried.ratio)) for book in books.values()), ZERO)
    trial.reasons = Counter(step.reason for step in trial.steps if step.reason).most_common()
    trial.steps = trial.steps[::-1][:STEPS_SHOWN]
    return trial


def _answer(
    trial: Trial,
    strategy: Strategy,
    config: DeltaNeutralConfig,
    fill: Fill,
    primary: Account,
    hedge: Account,
    book: Book,
    day: dict[tuple[str, str], Decimal],
) -> None:
    outcome, action = Outcome(fill.outcome), Action(fill.action)
    price = yes_price_of(outcome, fill.price)
    book.exposure = book.exposure.apply_primary(delta(outcome, action, fill.size), price)
    spec = spec_from_row(fill.market)
    if spec is None:
        _note(trial, fill, [], Reason.MARKET_UNKNOWN)
        return
    today = fill.received_at.date().isoformat()
    state = _state(strategy, config, spec, primary, hedge, book, fill.received_at)
    state = msgspec.structs.replace(
        state,
        day_notional=day.get((today, str(hedge.pk)), ZERO),
        strategy_day_notional=day.get((today, ""), ZERO),
    )
    plan = get_handler(strategy.kind).handle(Wake(cause=f"fill:{fill.trade_id}"), state)
    told, orders = plan.reason, []
    for planned in plan.commands:
        verdict = risk.check(planned, state)
        if isinstance(verdict, risk.Deny):
            trial.denied += 1
            told = verdict.reason
            continue
        leg = risk.shrunk(planned, verdict.size, verdict.reason) if isinstance(verdict, risk.Shrink) else planned
        told = verdict.reason if isinstance(verdict, risk.Shrink) else told
        state = risk.after(leg, state)
        _fill_whole(trial, leg, book, config)
        for key in ((today, str(hedge.pk)), (today, "")):
            day[key] = day.get(key, ZERO) + leg.notional
        order = leg.order
        orders.append(f"{order.action} {order.side} {order.shares.normalize():f} @ {price_text(order.price)}")
    _note(trial, fill, orders, told)


def _state(
    strategy: Strategy,
    config: DeltaNeutralConfig,
    spec: MarketSpec,
    primary: Account,
    hedge: Account,
    book: Book,
    at: datetime,
) -> HedgeState:
    return HedgeState(
        strategy_id=strategy.pk,
        pair_id=primary.pk,
        exposure_id=hedge.pk,
        exposure=book.exposure,
        market=msgspec.structs.replace(spec, status=MarketStatus.OPEN),
        config=config,
        primary_account=AccountView(id=str(primary.pk), name=primary.name),
        hedge_account=AccountView(
            id=str(hedge.pk),
            name=hedge.name,
            state=TradingState(hedge.state),
            max_order=hedge.max_order,
            max_position=hedge.max_position,
            max_notional_per_day=hedge.max_notional_per_day,
        ),
        hedge_positions=book.positions,
        own_resting=(),
        day_notional=ZERO,
        strategy_day_notional=ZERO,
        now=at,
    )


def _fill_whole(trial: Trial, leg: PlannedHedge, book: Book, config: DeltaNeutralConfig) -> None:
    order = leg.order
    book.exposure = book.exposure.apply_hedged(leg.delta, config.ratio)
    moved = order.shares if order.action is Action.BUY else -order.shares
    book.positions[order.side] = book.positions.get(order.side, ZERO) + moved
    trial.orders += 1
    trial.shares += order.shares
    trial.notional += leg.notional


def _note(trial: Trial, fill: Fill, orders: list[str], reason: Reason | None) -> None:
    said = decision_text(reason, len(orders)) if reason is not None else ""
    trial.steps.append(Step(fill, orders, said))
