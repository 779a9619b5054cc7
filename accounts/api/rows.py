"""What orders, fills and positions have in common in the API: the seed's names for whose they are, and the filters."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet
from ninja import Schema

from trading.enums import Outcome, Platform
from web.fields import Amount

Row = TypeVar("Row", bound=Model)


class OfAccountAndMarket(Schema):
    """Some shares of one account in one market. `shares` and `side` are the seed's words for size and outcome."""

    account_id: UUID
    account_name: str
    platform: Platform
    market_id: str
    market_title: str
    side: Outcome
    shares: Amount

    @staticmethod
    def resolve_account_name(row: Any) -> str:
        return str(row.account.name)

    @staticmethod
    def resolve_platform(row: Any) -> str:
        return str(row.account.platform)

    @staticmethod
    def resolve_market_id(row: Any) -> str:
        return str(row.market.market_id)

    @staticmethod
    def resolve_market_title(row: Any) -> str:
        return str(row.market.title)

    @staticmethod
    def resolve_side(row: Any) -> str:
        return str(row.outcome)

    @staticmethod
    def resolve_shares(row: Any) -> Decimal:
        size: Decimal = row.size
        return size


COMMON = {"platform": "account__platform", "market_id": "market__market_id", "side": "outcome"}
"""Filter → column, for whatever has an account, a market and an outcome."""


def narrow(rows: QuerySet[Row], asked: Any, columns: Mapping[str, str]) -> QuerySet[Row]:
    """The rows for which every given filter holds. `columns`: the query's field → the row's column."""
    return rows.filter(**{column: value for name, column in columns.items() if (value := getattr(asked, name))})
