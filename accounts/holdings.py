"""What an account holds by the ledger, and how far the venue's word on it may differ before it is a difference.

The reconciler and the imbalance check ask here. A fill that is matched and not settled explains a difference; a single
reading proves nothing, since a fill may be on its way: only what two readings apart both show is believed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from markets.models import market_key
from trading.enums import Platform
from trading.values import ZERO
from venues.contract import VenuePosition

APART = timedelta(seconds=10)
"""Two readings closer than this are one reading."""
DUST = Decimal("0.01")
"""Below this the venue's index may leave shares out."""

Key = tuple[str, str]
"""Market key, outcome."""

_BOOKED = """
SELECT p.market_id, p.outcome, p.size, coalesce(f.coming, 0), coalesce(f.going, 0)
FROM accounts_position p LEFT JOIN (
    SELECT market_id, outcome, sum(size) FILTER (WHERE action = 'buy') AS coming,
           sum(size) FILTER (WHERE action = 'sell') AS going
    FROM accounts_fill WHERE account_id = %(account)s AND settlement = 'matched' GROUP BY market_id, outcome
) f ON f.market_id = p.market_id AND f.outcome = p.outcome
WHERE p.account_id = %(account)s
"""
_RESOLVED = "SELECT id FROM markets_market WHERE id = ANY(%s) AND status = 'resolved'"


@dataclass(frozen=True)
class Booked:
    """What the ledger says of one key, and how much of it the venue may not show yet."""

    size: Decimal = ZERO
    coming: Decimal = ZERO
    """Bought and not settled."""
    going: Decimal = ZERO
    """Sold and not settled."""


@dataclass(frozen=True)
class Apart:
    """A difference that two readings both show. `gap`: shares at the venue beyond the ledger; below zero, fewer."""

    market_key: str
    outcome: str
    at_venue: Decimal
    in_ledger: Decimal
    gap: Decimal


def difference(venue: Decimal, booked: Booked) -> Decimal:
    """Shares the venue holds beyond what the ledger can explain; below zero when it holds fewer."""
    least, most = booked.size - booked.coming, booked.size + booked.going
    return venue - min(max(venue, least), most)


def common(before: Decimal, now: Decimal) -> Decimal:
    """What two readings both show: the smaller of two differences of one sign, else nothing."""
    if (before > ZERO) != (now > ZERO) or not before or not now:
        return ZERO
    return min(abs(before), abs(now)).copy_sign(now)


def held_at(platform: Platform, positions: Iterable[VenuePosition]) -> dict[Key, Decimal]:
    """A venue's reading by key."""
    held: dict[Key, Decimal] = {}
    for position in positions:
        key = (market_key(platform, position.market_id), position.outcome.value)
        held[key] = held.get(key, ZERO) + position.size
    return held


async def load_booked(conn: AsyncConnection[Any], account_id: UUID) -> dict[Key, Booked]:
    """What the ledger says the account holds."""
    cursor = await conn.execute(_BOOKED, {"account": account_id})
    return {(market, outcome): Booked(*amounts) for market, outcome, *amounts in await cursor.fetchall()}


class Holdings:
    """Remembers each account's last readings. One process's memory: a new process reads twice again."""

    def __init__(self) -> None:
        self._seen: dict[UUID, tuple[datetime, dict[Key, Decimal]]] = {}
        self._believed: dict[UUID, list[Apart]] = {}

    async def compare(
        self, conn: AsyncConnection[Any], account_id: UUID, held: Mapping[Key, Decimal], now: datetime
    ) -> list[Apart]:
        """Compare a reading with the ledger; gives the differences that it and an earlier one both show."""
        booked = await load_booked(conn, account_id)
        keys = held.keys() | booked.keys()
        cursor = await conn.execute(_RESOLVED, ([market for market, _ in keys],))
        resolved = {market for (market,) in await cursor.fetchall()}
        gaps = {key: difference(held.get(key, ZERO), booked.get(key, Booked())) for key in keys}
        gaps = {key: gap for key, gap in gaps.items() if abs(gap) > DUST and key[0] not in resolved}
        read_at, before = self._seen.get(account_id, (None, {}))
        if read_at is not None and now - read_at < APART:
            return [apart for apart in self._believed.get(account_id, []) if (apart.market_key, apart.outcome) in gaps]
        self._seen[account_id] = (now, gaps)
        believed = [
            Apart(
                market_key=key[0],
                outcome=key[1],
                at_venue=held.get(key, ZERO),
                in_ledger=booked.get(key, Booked()).size,
                gap=shown,
            )
            for key, gap in sorted(gaps.items())
            if (shown := common(before.get(key, ZERO), gap))
        ]
        self._believed[account_id] = believed
        return believed
