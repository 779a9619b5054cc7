"""MarketSpec from rows: what the executor and the strategies price and sign with.

Two readers of the same columns: `spec_from_row` for Django code, `load_specs` for the engine's own connection.
A stub (a market the ledger met in a fill before the catalogue knew it) gives no spec: nothing is ordered there.
"""

from collections.abc import Collection
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from markets.models import Market
from trading.enums import MarketStatus, Platform
from trading.instruments import MarketSpec

COLUMNS = (
    "platform",
    "market_id",
    "title",
    "question",
    "slug",
    "category",
    "status",
    "yes_token",
    "no_token",
    "condition_id",
    "tick",
    "lot",
    "min_size",
    "min_value",
    "fee_rate_bps",
    "is_neg_risk",
    "is_yield_bearing",
    "ends_at",
    "payout_yes",
)
_DIGEST = f"hashtextextended(row({', '.join(COLUMNS)})::text, 0)"
_CATALOGUE = f"SELECT count(*), coalesce(sum({_DIGEST}), 0) FROM markets_market WHERE synced_at IS NOT NULL"
_DIGESTS = f"SELECT id, {_DIGEST} FROM markets_market WHERE id = ANY(%s) AND synced_at IS NOT NULL"
LOAD = f"SELECT id, {', '.join(COLUMNS)} FROM markets_market WHERE id = ANY(%s) AND synced_at IS NOT NULL"


def spec_from_row(market: Market) -> MarketSpec | None:
    """The spec of a market row, or None for a stub."""
    if market.synced_at is None:
        return None
    return spec_from_columns({name: getattr(market, name) for name in COLUMNS})


def spec_from_columns(row: dict[str, Any]) -> MarketSpec:
    """The spec from columns by name, as PostgreSQL gives them."""
    ends_at: datetime | None = row["ends_at"]
    return MarketSpec(
        platform=Platform(row["platform"]),
        market_id=row["market_id"],
        title=row["title"],
        question=row["question"],
        slug=row["slug"],
        category=row["category"],
        status=MarketStatus(row["status"]),
        yes_token=row["yes_token"],
        no_token=row["no_token"],
        condition_id=row["condition_id"],
        tick=shorten(row["tick"]),
        lot=shorten(row["lot"]),
        min_size=shorten(row["min_size"]),
        min_value=shorten(row["min_value"]),
        fee_rate_bps=row["fee_rate_bps"],
        is_neg_risk=row["is_neg_risk"],
        is_yield_bearing=row["is_yield_bearing"],
        ends_at_ms=int(ends_at.timestamp()) * 1000 + ends_at.microsecond // 1000 if ends_at else None,
        payout_yes=shorten(row["payout_yes"]) if row["payout_yes"] is not None else None,
    )


def columns_from_spec(spec: MarketSpec) -> dict[str, Any]:
    """The row's columns as the venue's spec has them; texts cut to what the columns hold."""
    return {
        "platform": spec.platform.value,
        "market_id": spec.market_id,
        "title": spec.title[:255],
        "question": spec.question,
        "slug": spec.slug[:200],
        "category": spec.category[:200],
        "status": spec.status.value,
        "yes_token": spec.yes_token,
        "no_token": spec.no_token,
        "condition_id": spec.condition_id,
        "tick": spec.tick,
        "lot": spec.lot,
        "min_size": spec.min_size,
        "min_value": spec.min_value,
        "fee_rate_bps": spec.fee_rate_bps,
        "is_neg_risk": spec.is_neg_risk,
        "is_yield_bearing": spec.is_yield_bearing,
        "ends_at": datetime.fromtimestamp(spec.ends_at_ms // 1000, tz=UTC).replace(
            microsecond=spec.ends_at_ms % 1000 * 1000
        )
        if spec.ends_at_ms is not None
        else None,
        "payout_yes": spec.payout_yes,
    }


def shorten(value: Decimal) -> Decimal:
    """The same number without the column's trailing zeros, and without an exponent for whole numbers."""
    number = value.normalize()
    return number if int(number.as_tuple().exponent) <= 0 else number.quantize(Decimal(1))


async def load_specs(conn: AsyncConnection[Any], keys: Collection[str]) -> dict[str, MarketSpec]:
    """The specs of `keys` in one query; unknown markets and stubs are left out."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(LOAD, (list(keys),))
        return {row["id"]: spec_from_columns(row) for row in await cursor.fetchall()}


async def load_catalogue_mark(conn: AsyncConnection[Any]) -> tuple[int, Decimal]:
    """A mark that changes when the spec of any market does. PostgreSQL works it out; one row is read."""
    row = await (await conn.execute(_CATALOGUE, prepare=True)).fetchone()
    assert row is not None
    return row[0], row[1]


async def load_digests(conn: AsyncConnection[Any], keys: Collection[str]) -> dict[str, int]:
    """Market key → a number that changes when its spec does; unknown markets and stubs are left out."""
    return dict(await (await conn.execute(_DIGESTS, (list(keys),))).fetchall())
