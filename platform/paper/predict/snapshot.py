"""The whole truth about one address, or the venue, for audits. Amounts are integer strings in wei."""

from collections import Counter
from typing import Any

from paper.conservation import check_conservation
from paper.predict.market_json import number
from paper.predict.venue import Venue
from paper.records import Account, Leg, Match, Order


def snapshot_json(venue: Venue, address: str | None) -> dict[str, Any]:
    """Orders, matches (unsettled and failed ones too), balances and shares; of all real accounts without address."""
    state = venue.state
    if address is not None:
        accounts = [state.accounts.get(address) or Account(address)]
    else:
        accounts = [a for a in state.accounts.values() if not a.simulated]
    wanted = {a.address for a in accounts}
    matches = [m for m in state.matches.values() if any(leg.address in wanted for leg in m.legs())]
    orders = [state.orders[i] for a in accounts for i in a.orders]
    hashes = Counter(o.hash for o in orders)
    repeats = {h: n for h, n in state.repeats.items() if h in hashes}
    return {
        "seq": state.seq,
        "accounts": [_account(a) for a in accounts],
        "orders": [order_truth(o) for o in orders],
        "matches": [match_truth(m) for m in matches],
        "accepted": dict(hashes),
        "duplicatePosts": repeats,
        "duplicatePostCount": sum(repeats.values()),
        "conservation": check_conservation(state),
    }


def _account(account: Account) -> dict[str, Any]:
    return {
        "address": account.address,
        "owner": account.owner,
        "usdt": str(account.cash),
        "reservedUsdt": str(account.reserved_cash),
        "pendingUsdt": str(account.pending_cash),
        "shares": {t: str(n) for t, n in account.shares.items() if n},
        "reservedShares": {t: str(n) for t, n in account.reserved_shares.items() if n},
        "pendingShares": {t: str(n) for t, n in account.pending_shares.items() if n},
        "grants": account.grants,
    }


def order_truth(order: Order) -> dict[str, Any]:
    return {
        "orderId": str(order.id),
        "hash": order.hash,
        "address": order.address,
        "marketId": order.market_id,
        "outcome": "yes" if order.is_yes else "no",
        "action": "buy" if order.is_buy else "sell",
        "strategy": order.strategy,
        "price": str(order.price),
        "size": str(order.size),
        "matched": str(order.matched),
        "settled": str(order.settled),
        "status": order.status,
        "resting": order.resting,
        "reason": order.reason,
        "createdAt": order.created_at,
        "changedAt": order.changed_at,
    }


def match_truth(match: Match) -> dict[str, Any]:
    return {
        "settlementId": match.id,
        "marketId": match.market_id,
        "state": match.state,
        "size": str(match.size),
        "price": str(match.price),
        "minted": str(match.minted),
        "matchedAt": match.matched_at,
        "dueAt": match.due_at,
        "closedAt": match.closed_at,
        "legs": [_leg(leg) for leg in match.legs()],
    }


def _leg(leg: Leg) -> dict[str, Any]:
    return {
        "orderId": str(leg.order_id),
        "hash": leg.hash,
        "address": leg.address,
        "outcome": "yes" if leg.is_yes else "no",
        "action": "buy" if leg.is_buy else "sell",
        "price": str(leg.price),
        "executed": str(leg.executed),
        "size": str(leg.size),
        "value": str(leg.value),
        "fee": str(leg.fee),
        "isMaker": leg.is_maker,
    }


def health_json(venue: Venue, connections: int, trades: int) -> dict[str, Any]:
    state = venue.state
    return {
        "status": "ok",
        "venue": "predict",
        "chainId": venue.settings.chain_id,
        "seq": state.seq,
        "replayed": venue.journal.replayed,
        "startedAt": venue.started_at,
        "markets": len(state.markets),
        "orders": len(state.orders),
        "matches": len(state.matches),
        "pendingMatches": sum(m.state == "pending" for m in state.matches.values()),
        "connections": connections,
        "simulatedTrades": trades,
        "issuedUsdt": number(state.issued),
    }
