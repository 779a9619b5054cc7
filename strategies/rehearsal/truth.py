"""What the venue says happened, read from its snapshot: executions, orders and shares of our accounts. Exact."""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from strategies.paper_venue import PaperVenue
from trading.enums import Action, Outcome
from trading.ids import trade_id
from trading.values import ZERO, from_base_units


class VenueExecution(msgspec.Struct, frozen=True, kw_only=True):
    """One leg of one match."""

    trade_id: str
    address: str
    order_hash: str
    market_id: str
    outcome: Outcome
    action: Action
    price: Decimal
    size: Decimal
    state: str
    """pending, settled or failed."""
    matched_at_ms: int


class VenueTruth(msgspec.Struct, frozen=True, kw_only=True):
    """One snapshot, as far as an audit needs it."""

    executions: Mapping[str, VenueExecution]
    """By trade id."""
    repeated: int
    """Executions that appear more than once: never."""
    order_addresses: Mapping[str, str]
    """Order hash → address, of orders made since the start."""
    accepted: Mapping[str, int]
    """Order hash → how often the venue took it: once."""
    shares: Mapping[tuple[str, str], Decimal]
    """(address, token) → settled shares."""
    pending: int

    def since(self, before: "VenueTruth") -> "VenueTruth":
        """What happened after `before`, whatever the venue's clock said; the shares as they are now."""
        orders = {key: value for key, value in self.order_addresses.items() if key not in before.order_addresses}
        executions = {key: value for key, value in self.executions.items() if key not in before.executions}
        return msgspec.structs.replace(
            self,
            executions=executions,
            order_addresses=orders,
            accepted={order_hash: self.accepted.get(order_hash, 0) for order_hash in orders},
        )

    def held(self, address: str, token: str) -> Decimal:
        """Settled shares of one token."""
        return self.shares.get((address, token), ZERO)


def load_truth(venue: PaperVenue, addresses: Collection[str], since_ms: int) -> VenueTruth:
    """The venue's truth about these (lower-case) addresses; executions and orders from `since_ms` on, shares in all."""
    return parse_truth([venue.load_snapshot(address) for address in addresses], addresses, since_ms)


def parse_truth(snapshots: Sequence[Mapping[str, Any]], addresses: Collection[str], since_ms: int) -> VenueTruth:
    """The truth in snapshots of one address each."""
    ours = set(addresses)
    executions: dict[str, VenueExecution] = {}
    seen: dict[str, int] = {}
    orders: dict[str, str] = {}
    accepted: dict[str, int] = {}
    shares: dict[tuple[str, str], Decimal] = {}
    for snapshot in snapshots:
        (account,) = snapshot["accounts"]
        address = account["address"]
        for token, units in account["shares"].items():
            shares[address, token] = from_base_units(int(units))
        for order in snapshot["orders"]:
            if order["createdAt"] >= since_ms:
                orders[order["hash"]] = address
        accepted.update(snapshot["accepted"])
        for match in snapshot["matches"]:
            if match["matchedAt"] < since_ms:
                continue
            for leg in match["legs"]:
                if leg["address"] != address or address not in ours:
                    continue
                execution = _execution(match, leg)
                executions[execution.trade_id] = execution
                seen[execution.trade_id] = seen.get(execution.trade_id, 0) + 1
    return VenueTruth(
        executions=executions,
        repeated=sum(count - 1 for count in seen.values()),
        order_addresses=orders,
        accepted={order_hash: accepted.get(order_hash, 0) for order_hash in orders},
        shares=shares,
        pending=sum(execution.state == "pending" for execution in executions.values()),
    )


def _execution(match: Mapping[str, Any], leg: Mapping[str, Any]) -> VenueExecution:
    return VenueExecution(
        trade_id=trade_id(match["settlementId"], leg["hash"]),
        address=leg["address"],
        order_hash=leg["hash"].lower(),
        market_id=str(match["marketId"]),
        outcome=Outcome(leg["outcome"]),
        action=Action(leg["action"]),
        price=from_base_units(int(leg["executed"])),
        size=from_base_units(int(leg["size"])),
        state=match["state"],
        matched_at_ms=match["matchedAt"],
    )
