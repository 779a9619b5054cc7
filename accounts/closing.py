"""Closing an account: taking its orders off the book and selling what it holds. Planned first; carried out when told.

The plan sells each holding at the best bid, less the slippage allowed, on the venue's grid. What cannot be sold is
listed with its reason. The engine judges each order as it judges any other, and fills are hedged as all fills are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import msgspec
from django.db.models import Q, Sum

from accounts.models import Account, Fill, Order, Position
from accounts.registration import change_account_state
from accounts.trade import SYSTEM, cancel_order, place_order
from identity.models import User
from markets.endpoints import load_endpoints
from markets.models import Market, market_key
from markets.specs import spec_from_row
from trading.commands import PlaceOrder
from trading.enums import Action, MarketStatus, OrderOrigin, OrderType, Outcome, Platform, TradingState
from trading.errors import InvalidValue, VenueError
from trading.fees import taker_fee
from trading.instruments import Book, MarketSpec
from trading.orders import IN_FLIGHT
from trading.values import ZERO, exact, floor_to, round_down
from venues.registry import market_data

FLYING = sorted(status.value for status in IN_FLIGHT)

_UNSETTLED = Q(settlement="matched", action=Action.BUY.value)


@dataclass(frozen=True)
class Closing:
    """What closing an account comes to."""

    sales: tuple[PlaceOrder, ...]
    cancels: tuple[UUID, ...]
    left: tuple[tuple[Position, str], ...]
    """Holdings that cannot be sold now, and why."""
    hedges: Mapping[UUID, UUID]
    """Sale → the exposure whose hedge it sells. Its fill takes the hedge back, so that nobody hedges the sale."""


def key_of(sale: PlaceOrder) -> str:
    """The key of the market it sells in."""
    return market_key(sale.platform, sale.market_id)


@dataclass(frozen=True)
class PricedSale:
    """A planned sale, with its market's title."""

    title: str
    sale: PlaceOrder
    brings: Decimal
    """At least, in collateral, when it is filled whole; a taker's fee is taken off."""


def load_prices(sales: Sequence[PlaceOrder]) -> list[PricedSale]:
    """What these sales bring. One query."""
    markets = Market.objects.in_bulk(map(key_of, sales))
    return [_priced(sale, markets[key_of(sale)]) for sale in sales]


def _priced(sale: PlaceOrder, market: Market) -> PricedSale:
    with exact():
        fee, _ = taker_fee(sale.action, sale.price, sale.shares, market.fee_rate_bps)
        return PricedSale(str(market), sale, sale.price * sale.shares - fee)


async def load_closing(account: Account, max_slippage: Decimal, reason: str) -> Closing:
    """Plan it from the ledger's positions and the venue's books of this moment. Orders nothing: a dry run."""
    held = (
        Position.objects.filter(account=account, size__gt=0).select_related("market").order_by("market_id", "outcome")
    )
    positions = [position async for position in held]
    books = await fetch_books(account, [position.market.market_id for position in positions])
    flying = Order.objects.filter(account=account, status__in=FLYING).order_by("created_at")
    cancels, closing = [], set()
    async for pk, origin, market_id, outcome in flying.values_list("pk", "origin", "market_id", "outcome"):
        if origin == OrderOrigin.CLOSING:
            closing.add((market_id, outcome))
        else:
            cancels.append(pk)
    unsettled = await _summed(account, "market_id", "outcome", only=_UNSETTLED)
    hedged = await _load_hedged(account)
    sales: list[PlaceOrder] = []
    left: list[tuple[Position, str]] = []
    hedges: dict[UUID, UUID] = {}
    for position in positions:
        key = (position.market_id, position.outcome)
        if key in closing:
            left.append((position, "a closing order is on its way already"))
            continue
        position.size -= unsettled.get(key, ZERO)
        planned = plan_sale(account, position, books, max_slippage, reason)
        if isinstance(planned, str):
            left.append((position, planned))
            continue
        for sale, exposure_id in split_sale(planned, hedged.get(key, {}), position):
            sales.append(sale)
            if exposure_id is not None and sale.client_order_id is not None:
                hedges[sale.client_order_id] = exposure_id
    return Closing(tuple(sales), tuple(cancels), tuple(left), hedges)


async def _summed(account: Account, *by: str, only: Q) -> dict[tuple[Any, ...], Decimal]:
    rows = Fill.objects.filter(only, account=account).order_by().values_list(*by).annotate(total=Sum("size"))
    return {tuple(row[:-1]): row[-1] async for row in rows}


async def _load_hedged(account: Account) -> dict[tuple[str, str], dict[UUID, Decimal]]:
    """Per holding, how many of its shares are the hedge of which exposure."""
    ours = Q(exposure_id__isnull=False) & ~Q(settlement="failed")
    totals = await _summed(account, "market_id", "outcome", "exposure_id", "action", only=ours)
    hedged: dict[tuple[str, str], dict[UUID, Decimal]] = {}
    for (market_id, outcome, exposure_id, action), size in totals.items():
        of_holding = hedged.setdefault((market_id, outcome), {})
        of_holding[exposure_id] = of_holding.get(exposure_id, ZERO) + (size if action == Action.BUY else -size)
    return hedged


def split_sale(
    sale: PlaceOrder, hedged: Mapping[UUID, Decimal], position: Position
) -> list[tuple[PlaceOrder, UUID | None]]:
    """The sale in parts: each exposure's own hedge shares, and what belongs to none. A part the venue would not take
    goes with the part that belongs to none."""
    spec = spec_from_row(position.market)
    assert spec is not None  # plan_sale planned it
    rest, parts = sale.shares, []
    for exposure_id, shares in sorted(hedged.items()):
        part = sellable(min(shares, rest), spec)
        if part <= ZERO or (rest != part and sellable(rest - part, spec) != rest - part):
            continue
        rest -= part
        parts.append((msgspec.structs.replace(sale, shares=part, client_order_id=uuid4()), exposure_id))
    if rest > ZERO:
        return [*parts, (msgspec.structs.replace(sale, shares=rest), None)]
    return list(parts)


async def fetch_books(account: Account, market_ids: Sequence[str]) -> dict[str, Book]:
    """The books that could be had. Public data, read without the account's keys."""
    books: dict[str, Book] = {}
    if not market_ids:
        return books
    platform = Platform(account.platform)
    venue = market_data(platform, load_endpoints()[platform])
    try:
        for market_id in dict.fromkeys(market_ids):
            try:
                books[market_id] = await venue.fetch_book(market_id)
            except VenueError:
                continue
    finally:
        await venue.close()
    return books


def plan_sale(
    account: Account, position: Position, books: Mapping[str, Book], max_slippage: Decimal, reason: str
) -> PlaceOrder | str:
    """The order that sells the holding, or why there is none."""
    spec = spec_from_row(position.market)
    if spec is None or spec.status is not MarketStatus.OPEN:
        return "the market takes no orders"
    outcome = Outcome(position.outcome)
    book = books.get(spec.market_id)
    if book is None:
        return "the venue did not show its book"
    bids = book.view(outcome).bids
    if not bids:
        return "nobody bids"
    shares = sellable(position.size, spec)
    if shares <= ZERO:
        return f"fewer shares than the venue takes, {spec.min_size:f}"
    return PlaceOrder(
        platform=spec.platform,
        account_id=str(account.pk),
        market_id=spec.market_id,
        side=outcome,
        action=Action.SELL,
        order_type=OrderType.LIMIT,
        origin=OrderOrigin.CLOSING,
        price=max(spec.tick, floor_to(bids[0].price - max_slippage, spec.tick)),
        shares=shares,
        client_order_id=uuid4(),
        reason=reason,
    )


def sellable(size: Decimal, spec: MarketSpec) -> Decimal:
    """As much of `size` as the market's lot and minimum let through."""
    shares = round_down(size, spec.lot) if spec.lot > ZERO else size
    return shares if shares >= spec.min_size else ZERO


@dataclass(frozen=True)
class Sold:
    """What became of one planned sale: the order to follow, or why it was not ordered."""

    sale: PlaceOrder
    refusal: str = ""


def carry_out(closing: Closing, by: User, reason: str, *, source: str = SYSTEM) -> list[Sold]:
    """Let the accounts only reduce, ask for the cancels, then for the sales; one result per sale, and one that is
    refused does not stop the others. The accounts stay REDUCING until a person activates them again."""
    for account_id in sorted({sale.account_id for sale in closing.sales}):
        if Account.objects.filter(pk=account_id, state=TradingState.ACTIVE.value).exists():
            change_account_state(UUID(account_id), TradingState.REDUCING, by=by, reason=reason, source=source)
    for order_id in closing.cancels:
        cancel_order(order_id, by, reason, source=source)
    sold: list[Sold] = []
    for sale in closing.sales:
        exposure_id = closing.hedges.get(sale.client_order_id) if sale.client_order_id is not None else None
        try:
            place_order(sale, by, source=source, exposure_id=exposure_id)
            sold.append(Sold(sale))
        except InvalidValue as error:
            sold.append(Sold(sale, str(error)))
    return sold
