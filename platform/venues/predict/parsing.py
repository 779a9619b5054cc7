"""From Predict.fun's wire structs to the kernel's words. Pure; a value that makes no sense raises InvalidValue."""

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

import msgspec

from trading.enums import Action, FeeKind, Liquidity, MarketStatus, OrderStatus, Outcome, Platform
from trading.errors import InvalidValue
from trading.ids import trade_id
from trading.instruments import Book, Level, MarketSpec
from trading.values import from_base_units
from venues.contract import OrderState, VenueFill, VenuePosition, WalletEvent, WalletEventKind
from venues.predict.schemas import (
    Leg,
    WireBook,
    WireCategory,
    WireMarket,
    WireMatch,
    WireOrder,
    WireOutcome,
    WirePosition,
    WireWalletEvent,
)

LOT: Final = Decimal("0.01")
"""Sizes keep 5 significant digits and 0.01 share is the least: every multiple of 0.01 below 1,000 fits. A bigger size
needs a coarser step (0.1 up to 10,000, 1 up to 100,000); `amounts.sendable_size` gives it, others are refused."""

MIN_SIZE: Final = Decimal("0.01")
MIN_VALUE: Final = Decimal("0.9")
"""Least price × size of an order in USDT (venues/predict.md, 5.3)."""

MOST_PRECISE: Final = 3
"""Markets quote in 2 or 3 decimals; a book of a market not seen yet is read at 3."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OUTCOMES: Final = {1: Outcome.YES, 2: Outcome.NO, "YES": Outcome.YES, "NO": Outcome.NO}
_ACTIONS: Final = {"BID": Action.BUY, "ASK": Action.SELL}
_STATUSES: Final = {
    "OPEN": OrderStatus.ACCEPTED,
    "FILLED": OrderStatus.FILLED,
    "CANCELLED": OrderStatus.CANCELLED,
    "EXPIRED": OrderStatus.EXPIRED,
    "INVALIDATED": OrderStatus.CANCELLED,
}
_EVENT_KINDS: Final = {
    "orderAccepted": WalletEventKind.ACCEPTED,
    "orderNotAccepted": WalletEventKind.REFUSED,
    "orderCancelled": WalletEventKind.CANCELLED,
    "orderExpired": WalletEventKind.EXPIRED,
    "orderTransactionSubmitted": WalletEventKind.MATCHED,
    "orderTransactionSuccess": WalletEventKind.SETTLED,
    "orderTransactionFailed": WalletEventKind.SETTLEMENT_FAILED,
}
"""`orderMarketMatchPlan` is left out on purpose: it plans, and `orderTransactionSubmitted` follows with the fill."""
_EXECUTIONS: Final = frozenset({WalletEventKind.MATCHED, WalletEventKind.SETTLED, WalletEventKind.SETTLEMENT_FAILED})


def parse_market(market: WireMarket, category: WireCategory | None = None) -> MarketSpec:
    """One market; its end and its category's title come from `category`, for a market has neither."""
    outcomes = {_outcome(outcome.index_set): outcome for outcome in market.outcomes}
    if len(outcomes) != 2:
        raise InvalidValue(f"market {market.id} does not have one yes and one no outcome")
    yes, no = outcomes[Outcome.YES], outcomes[Outcome.NO]
    return MarketSpec(
        platform=Platform.PREDICT,
        market_id=str(market.id),
        title=market.title,
        question=market.question,
        slug=market.category_slug,
        category=category.title if category is not None else "",
        status=_market_status(market),
        yes_token=_token(yes.on_chain_id),
        no_token=_token(no.on_chain_id),
        condition_id=market.condition_id,
        tick=Decimal(1).scaleb(-market.decimal_precision),
        lot=LOT,
        min_size=MIN_SIZE,
        min_value=MIN_VALUE,
        fee_rate_bps=market.fee_rate_bps,
        is_neg_risk=market.is_neg_risk,
        is_yield_bearing=market.is_yield_bearing,
        ends_at_ms=None if category is None or category.ends_at is None else milliseconds(category.ends_at),
        payout_yes=_payout(market.status, yes, no),
    )


def _token(on_chain_id: str) -> str:
    if not on_chain_id.isascii() or not on_chain_id.isdigit() or int(on_chain_id) >= 1 << 256:
        raise InvalidValue(f"{on_chain_id!r} is not a token id")
    return on_chain_id


def _market_status(market: WireMarket) -> MarketStatus:
    if market.status == "RESOLVED":
        return MarketStatus.RESOLVED
    if market.status == "REMOVED" or market.trading_status == "CLOSED":
        return MarketStatus.CLOSED
    # `status=OPEN` listings hold markets whose outcome is already proposed: only the trading status tells.
    if market.trading_status == "OPEN" and market.status != "PAUSED":
        return MarketStatus.OPEN
    return MarketStatus.PAUSED


def _payout(status: str, yes: WireOutcome, no: WireOutcome) -> Decimal | None:
    """What a yes share paid, only when both outcomes say so; half-half is two outcomes that neither won nor lost."""
    if status != "RESOLVED" or yes.status is None or no.status is None:
        return None
    if (yes.status, no.status) == ("WON", "LOST"):
        return Decimal(1)
    if (yes.status, no.status) == ("LOST", "WON"):
        return Decimal(0)
    return Decimal("0.5") if yes.status == no.status == "VOIDED" else None


def parse_book(book: WireBook, decimals: int = MOST_PRECISE) -> Book:
    """The book in yes prices. Prices come as float64 text (0.8300000000000001) and are put back on the grid."""
    grid = Decimal(1).scaleb(-decimals)
    return Book(
        market_id=str(book.market_id),
        updated_at_ms=book.update_timestamp_ms,
        bids=_levels(book.bids, grid),
        asks=_levels(book.asks, grid),
    )


def _levels(levels: list[tuple[Decimal, Decimal]], grid: Decimal) -> tuple[Level, ...]:
    return tuple(Level(price.quantize(grid, rounding=ROUND_HALF_EVEN), size) for price, size in levels if size > 0)


def parse_order(order: WireOrder) -> OrderState:
    """An order as REST tells it, which may lag seconds behind the truth (venues/predict.md, 5.5)."""
    filled = _amount(order.amount_filled)
    status = _STATUSES.get(order.status)
    if status is None:
        raise InvalidValue(f"order status {order.status!r} is not known")
    if status is OrderStatus.ACCEPTED and filled > 0:
        status = OrderStatus.PARTIALLY_FILLED
    return OrderState(
        order_hash=order.order.hash.lower(),
        venue_order_id=str(order.id),
        market_id=str(order.market_id),
        status=status,
        size=_amount(order.amount),
        filled=filled,
        is_invalidated=order.status == "INVALIDATED",
    )


def parse_match(match: WireMatch, address: str) -> list[VenueFill]:
    """The legs of `match` that are `address`'s, each as its own fill.

    A maker trades at its own limit; the taker at the executed price, the average over its makers.
    """
    mine = address.lower()
    fills = []
    if match.taker.signer.lower() == mine:
        fills.append(_fill(match, match.taker, match.price_executed, Liquidity.TAKER))
    fills.extend(_fill(match, leg, leg.price, Liquidity.MAKER) for leg in match.makers if leg.signer.lower() == mine)
    return fills


def _fill(match: WireMatch, leg: Leg, price: str, liquidity: Liquidity) -> VenueFill:
    return VenueFill(
        trade_id=trade_id(match.settlement_id, leg.hash),
        settlement_id=match.settlement_id,
        order_hash=leg.hash.lower(),
        market_id=str(match.market.id),
        outcome=_outcome(leg.outcome.index_set),
        action=_action(leg.quote_type),
        price=_amount(price),
        size=_amount(leg.amount),
        liquidity=liquidity,
        fee=_amount(leg.fee.amount),
        fee_kind=_fee_kind(leg.fee.type),
        transaction_hash=match.transaction_hash,
        executed_at_ms=milliseconds(match.executed_at),
    )


def parse_position(position: WirePosition) -> VenuePosition:
    """Shares of one outcome, as the venue's index has them."""
    return VenuePosition(
        market_id=str(position.market.id),
        outcome=_outcome(position.outcome.index_set),
        size=_amount(position.amount),
    )


def parse_wallet_event(event: WireWalletEvent, received_at_ns: int) -> WalletEvent | None:
    """One message of the private stream; None for kinds that move nothing (and for kinds not known yet).

    An execution without market, outcome, side or fill raises InvalidValue: it must be looked up, never guessed.
    """
    kind = _EVENT_KINDS.get(event.type)
    if kind is None:
        return None
    order_hash = event.order_hash.lower()
    told = WalletEvent(
        kind=kind,
        received_at_ns=received_at_ns,
        venue_time_ms=event.timestamp,
        order_hash=order_hash,
        venue_order_id=str(event.order_id),
        market_id=str(event.details.market_id) if event.details is not None else "",
        reason=event.reason or "",
        transaction_hash=event.transaction_hash or "",
    )
    if kind not in _EXECUTIONS:
        return told
    details, fill, fee = event.details, event.fill, event.fee
    if details is None or fill is None or not event.settlement_id:
        raise InvalidValue(f"a {event.type} without details, fill or settlement")
    liquidity = None if event.is_maker is None else Liquidity.MAKER if event.is_maker else Liquidity.TAKER
    return msgspec.structs.replace(
        told,
        outcome=_OUTCOMES.get(details.outcome.upper()) or _outcome(details.outcome_index),
        action=_action(details.quote_type),
        trade_id=trade_id(event.settlement_id, order_hash),
        settlement_id=event.settlement_id,
        price=_amount(fill.executed_price_wei),
        size=_amount(fill.executed_size_wei),
        liquidity=liquidity,
        fee=None if fee is None else _amount(fee.amount_wei),
        fee_kind=None if fee is None else _fee_kind(fee.type),
    )


def milliseconds(moment: datetime) -> int:
    """Unix milliseconds, exactly."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _amount(wei: str) -> Decimal:
    if not wei.isascii() or not wei.isdigit():
        raise InvalidValue(f"{wei!r} is not an amount in wei")
    return from_base_units(int(wei))


def _outcome(index_set: int | None) -> Outcome:
    outcome = _OUTCOMES.get(index_set) if index_set is not None else None
    if outcome is None:
        raise InvalidValue(f"index set {index_set} is neither yes (1) nor no (2)")
    return outcome


def _action(quote_type: str) -> Action:
    """ "Bid"/"Ask" in REST, "BID"/"ASK" on the stream; always of the order's own outcome."""
    action = _ACTIONS.get(quote_type.upper())
    if action is None:
        raise InvalidValue(f"quote type {quote_type!r} is neither bid nor ask")
    return action


def _fee_kind(name: str) -> FeeKind:
    try:
        return FeeKind(name.lower())
    except ValueError:
        raise InvalidValue(f"fee type {name!r} is not known") from None
