"""How the admin searches the long tables: by indexed columns only, never by a pattern over all rows.

Names are looked up first, in the short tables of accounts and markets; the long one is then asked by their keys.
"""

from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from accounts.models import Account, Fill, Order, Position
from markets.models import Market

MOST_ACCOUNTS = 200
MOST_MARKETS = 50


def find_accounts(term: str) -> list[UUID]:
    """Accounts with this in their name."""
    return list(
        Account.objects.filter(name__icontains=term).order_by("name").values_list("pk", flat=True)[:MOST_ACCOUNTS]
    )


def find_markets(term: str, *, by_title: bool = False) -> list[str]:
    """Markets with this id, of any venue; or with this in their title."""
    named = Q(pk=term) | Q(market_id=term)
    if by_title:
        named |= Q(title__icontains=term)
    return list(Market.objects.filter(named).order_by("pk").values_list("pk", flat=True)[:MOST_MARKETS])


def of_account_or_market(rows: QuerySet[Any], term: str, *, by_title: bool = False) -> QuerySet[Any]:
    """Rows of the accounts so named, else of the markets; none when there are neither."""
    if accounts := find_accounts(term):
        return rows.filter(account_id__in=accounts)
    return rows.filter(market_id__in=find_markets(term, by_title=by_title))


def search_orders(rows: QuerySet[Order], term: str) -> QuerySet[Order]:
    """By id, exposure, order hash, the venue's id, account or market."""
    try:
        wanted = UUID(term)
    except ValueError:
        if term.startswith("0x"):
            return rows.filter(order_hash=term)
        # A venue's ids may be as short as a market's: both are shown.
        known = list(Order.objects.filter(venue_order_id=term).values_list("pk", flat=True)[:MOST_MARKETS])
        found = of_account_or_market(rows, term)
        return found | rows.filter(pk__in=known) if known else found
    return rows.filter(Q(pk=wanted) | Q(exposure_id=wanted))


def search_fills(rows: QuerySet[Fill], term: str) -> QuerySet[Fill]:
    """By order hash, trade, account or market. A trade's index begins with the account, so all of them are named."""
    everyone = list(Account.objects.values_list("pk", flat=True))
    found = Fill.objects.filter(account_id__in=everyone, trade_id=term).values_list("pk", flat=True)
    if trades := list(found[:MOST_ACCOUNTS]):
        return rows.filter(pk__in=trades)
    return rows.filter(order_hash=term) if term.startswith("0x") else of_account_or_market(rows, term)


def search_positions(rows: QuerySet[Position], term: str) -> QuerySet[Position]:
    """By account or market."""
    return of_account_or_market(rows, term, by_title=True)
