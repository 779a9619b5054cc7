"""Closing an account: taking its orders off the book and selling what it holds. Planned first; carried out when told.

The plan sells each holding at the best bid, less the slippage allowed, on the venue's grid. What cannot be sold is
listed with its reason. The engine judges each order as it judges any other, and fills are hedged as all fills are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID, uuid4

from accounts.models import Account, Order, Position
from accounts.trade import SYSTEM, cancel_order, place_order
from identity.models import User
from markets.endpoints import load_endpoints
from markets.specs import spec_from_row
from trading.commands import PlaceOrder
from trading.enums import Action, MarketStatus, OrderType, Outcome, Platform
from trading.errors import VenueError
from trading.instruments import Book, MarketSpec
from trading.orders import IN_FLIGHT
from trading.values import ZERO, floor_to, round_down
from venues.registry import market_data


@dataclass(frozen=True)
class Closing:
    """What closing an account comes to."""

    sales: tuple[PlaceOrder, ...]
    cancels: tuple[UUID, ...]
    left: tuple[tuple[Position, str], ...]
    """Holdings that cannot be sold now, and why."""


async def load_closing(account: Account, max_slippage: Decimal, reason: str) -> Closing:
    """Plan it from the ledger's positions and the venue's books of this moment."""
    held = (
        Position.objects.filter(account=account, size__gt=0).select_related("market").order_by("market_id", "outcome")
    )
    positions = [position async for position in held]
    books = await fetch_books(account, [position.market.market_id for position in positions])
    flying = Order.objects.filter(account=account, status__in=sorted(status.value for status in IN_FLIGHT))
    cancels = [pk async for pk in flying.order_by("created_at").values_list("pk", flat=True)]
    sales: list[PlaceOrder] = []
    left: list[tuple[Position, str]] = []
    for position in positions:
        planned = plan_sale(account, position, books, max_slippage, reason)
        if isinstance(planned, str):
            left.append((position, planned))
        else:
            sales.append(planned)
    return Closing(tuple(sales), tuple(cancels), tuple(left))


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
        price=max(spec.tick, floor_to(bids[0].price - max_slippage, spec.tick)),
        shares=shares,
        client_order_id=uuid4(),
        reason=reason,
    )


def sellable(size: Decimal, spec: MarketSpec) -> Decimal:
    """As much of `size` as the market's lot and minimum let through."""
    shares = round_down(size, spec.lot) if spec.lot > ZERO else size
    return shares if shares >= spec.min_size else ZERO


def carry_out(closing: Closing, by: User, reason: str, *, source: str = SYSTEM) -> None:
    """Ask for the cancels, then for the sales. The engine takes them in this order."""
    for order_id in closing.cancels:
        cancel_order(order_id, by, reason, source=source)
    for sale in closing.sales:
        place_order(sale, by, source=source)
