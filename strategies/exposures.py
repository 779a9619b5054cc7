"""Exposure rows in SQL: made when first needed, locked, read with everything a decision depends on, written back.

Called by the dispatch alone, inside its one transaction. Locks are taken in one order everywhere (orders, fills,
positions, exposures by id), so two engines can wait for each other but never in a circle.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection

from accounts.ledger.fills import Opened as LedgerOpened
from accounts.ledger.fills import encode
from accounts.ledger.rows import Received
from strategies.trips import Trips
from trading.enums import Outcome, TradingState

Connection = AsyncConnection[Any]


class ExposureRow(msgspec.Struct, frozen=True):
    """One exposure, with its strategy, pair, accounts and desk as they stand in this transaction."""

    id: UUID
    strategy_id: UUID
    pair_id: UUID
    market_key: str
    primary_id: UUID
    hedge_id: UUID
    primary: Decimal
    hedged: Decimal
    lots: list[list[str]]
    in_flight: Decimal
    need: Decimal
    rung: int
    rung_since: datetime | None
    next_rung: int | None
    rung_owed: Decimal
    reason: str
    unhedged_since: datetime | None
    dust_since: datetime | None
    revision: int
    strategy_name: str
    strategy_kind: str
    config: str
    strategy_state: str
    strategy_changed_at: datetime
    is_primary_shared: bool
    pair_enabled: bool
    primary_name: str
    primary_state: str
    hedge_name: str
    hedge_state: str
    hedge_platform: str
    hedge_mode: str
    hedge_max_order: Decimal | None
    hedge_max_position: Decimal | None
    hedge_max_notional: Decimal | None
    has_ladder: bool
    desk_stopped: bool
    desk_level: str


class OpenOrder(msgspec.Struct, frozen=True):
    """An order of ours that may still move shares in a market.

    Told one by one are those that the exposures concerned made and those that these fills filled. The others of an
    account that may hedge are told as one for each outcome and action: an id of theirs, the price that is the soonest
    crossed, the sum of what remains, and nothing that could be cancelled. Of all our orders the best bid and the best
    ask are told once more, in YES and of no account; where the market has a limit of its own, everybody's sums instead.
    """

    id: UUID
    exposure_id: UUID | None
    account_id: UUID
    market_key: str
    outcome: str
    action: str
    price: Decimal
    remaining: Decimal
    status: str
    cancel_requested: bool
    is_repriced: bool = False
    """It made way for another order of ours (`strategies.reasons.Reason.REPRICED`)."""


class ExposureUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """An exposure's new values after one evaluation."""

    id: UUID
    primary: Decimal
    hedged: Decimal
    lots: list[list[str]]
    in_flight: Decimal
    need: Decimal
    rung: int
    rung_since: datetime | None
    next_rung: int | None
    rung_owed: Decimal
    reason: str
    unhedged_since: datetime | None
    dust_since: datetime | None
    unhedged: Decimal
    at_risk: Decimal


class NewDecision(msgspec.Struct, frozen=True, kw_only=True):
    """One evaluation worth remembering."""

    exposure_id: UUID
    cause: str
    primary: Decimal
    hedged: Decimal
    in_flight: Decimal
    need: Decimal
    orders: list[str]
    reason: str
    book: Mapping[str, Any] | None = None
    """The top of the book that was looked at (`strategies.surroundings.seen`); None when none was."""


class PositionRow(msgspec.Struct, frozen=True):
    """What an account we may trade on holds of one outcome."""

    account_id: UUID
    market_key: str
    outcome: Outcome
    size: Decimal
    unsettled: Decimal
    """Of `size`, bought but not settled: the venue lets nobody sell it yet."""


class AccountRow(msgspec.Struct, frozen=True):
    """An account a ladder may trade on beside the pair's hedge account."""

    id: UUID
    name: str
    platform: str
    mode: str
    state: str
    max_order: Decimal | None
    max_position: Decimal | None
    max_notional_per_day: Decimal | None


class Bound(msgspec.Struct, frozen=True):
    """What all our accounts together may hold in a market (`markets.models.MarketLimit`), and do hold."""

    market_key: str
    max_position: Decimal | None
    price_band: Decimal | None
    mark: Decimal | None
    """The middle of its book in YES, when seen within the hour."""
    yes: Decimal
    no: Decimal


class Funds(msgspec.Struct, frozen=True):
    """What an account can still pay."""

    account_id: UUID
    free: Decimal


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """What `dispatch_open` answers: the ledger's part, then everything the decisions depend on."""

    ledger: LedgerOpened
    exposures: list[ExposureRow]
    open_orders: list[OpenOrder]
    positions: list[PositionRow]
    accounts: list[AccountRow]
    """Primaries and alternates of the exposures whose strategy has a ladder."""
    bounds: list[Bound]
    """Of the markets that have a limit."""
    funds: list[Funds]
    """Of the accounts whose balance is known."""
    venues: dict[str, TradingState]
    """Platforms somebody gave a state; the others are ACTIVE."""
    desk_state: TradingState


_NOTIONAL = """
SELECT o.account_id, o.strategy_id, coalesce(sum(o.price * o.size), 0) FROM accounts_order o
WHERE o.account_id = ANY(%s) AND o.created_at >= %s AND o.status NOT IN ('denied', 'rejected')
GROUP BY o.account_id, o.strategy_id
"""

_OPEN = """
SELECT e.id FROM strategies_exposure e
JOIN strategies_strategy s ON s.id = e.strategy_id
WHERE (e.need <> 0 OR e.in_flight <> 0) AND s.state <> 'halted' AND e.updated_at < %s AND e.id > %s
ORDER BY e.id LIMIT %s
"""


_opened = msgspec.json.Decoder(Opened)
_ids = msgspec.json.Decoder(list[UUID])


def begin_dispatch(trips: Trips, executions: Sequence[Received], ids: Sequence[UUID], now: datetime) -> None:
    """Ask to record what is new, to lock and to read what it concerns. Returns once it is asked."""
    wanted = b"{%b}" % b",".join(str(exposure_id).encode() for exposure_id in ids)
    trips.begin(encode(executions), wanted, now.isoformat().encode())


async def opened_dispatch(trips: Trips) -> Opened:
    """The answer to `begin_dispatch`."""
    return _opened.decode(await trips.opened())


def inserted(answer: bytes) -> set[UUID]:
    """The orders a dispatch made, from the answer to its writes; an id missing there was taken by another decision."""
    return set(_ids.decode(answer))


async def load_day_notional(
    conn: Connection, accounts: Sequence[UUID], since: datetime
) -> dict[tuple[UUID, UUID | None], Decimal]:
    """Price × size of today's orders by (account, strategy); only asked for when a daily limit is set."""
    cursor = await conn.execute(_NOTIONAL, (list(accounts), since), prepare=True)
    return {(account_id, strategy_id): total for account_id, strategy_id, total in await cursor.fetchall()}


async def load_open_exposures(conn: Connection, before: datetime, after: UUID, limit: int) -> list[UUID]:
    """Exposures that still need something or have something in flight, untouched since `before`, by id beyond `after`.

    Fewer than `limit` means the end: begin again at the zero UUID, so that every one has its turn.
    """
    cursor = await conn.execute(_OPEN, (before, after, limit), prepare=True)
    return [row[0] for row in await cursor.fetchall()]
