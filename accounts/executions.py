"""The venue's words as events of the bus: one place that decides ids, so that a fact told twice is one event.

The listener, the reconciler and the recovery publish through here. A fill seen on the wallet stream and the same fill
found by REST have the same event id and the same trade id.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from trading.enums import Action, FeeKind, Liquidity, OrderStatus, Outcome, Platform
from trading.events import Event, Fill, FillFailed, FillSettled, OrderUpdate
from trading.ids import event_id
from venues.contract import OrderState, VenueFill, WalletEvent, WalletEventKind

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STATUSES = {
    WalletEventKind.ACCEPTED: OrderStatus.ACCEPTED,
    WalletEventKind.REFUSED: OrderStatus.REJECTED,
    WalletEventKind.CANCELLED: OrderStatus.CANCELLED,
    WalletEventKind.EXPIRED: OrderStatus.EXPIRED,
}
_EXECUTIONS: dict[WalletEventKind, type[Fill] | type[FillSettled] | type[FillFailed]] = {
    WalletEventKind.MATCHED: Fill,
    WalletEventKind.SETTLED: FillSettled,
    WalletEventKind.SETTLEMENT_FAILED: FillFailed,
}


def wallet_event(platform: Platform, account_id: str, account_name: str, said: WalletEvent) -> Event | None:
    """What the private stream said, as an event; None for what is no fact of an order (connected, disconnected)."""
    fact = _EXECUTIONS.get(said.kind)
    if fact is not None:
        if said.outcome is None or said.action is None or said.price is None or said.size is None:
            return None
        return _event(
            platform,
            fact(
                account_id=account_id,
                account_name=account_name,
                market_id=said.market_id,
                side=said.outcome,
                action=said.action,
                price=said.price,
                shares=said.size,
                order_hash=said.order_hash,
                trade_id=said.trade_id,
                settlement_id=said.settlement_id,
                liquidity=said.liquidity,
                fee=said.fee,
                fee_kind=said.fee_kind,
                transaction_hash=said.transaction_hash,
                venue_time_ms=said.venue_time_ms,
                received_at_ns=said.received_at_ns,
            ),
            said.received_at_ns,
        )
    status = _STATUSES.get(said.kind)
    if status is None or not said.order_hash:
        return None
    return order_update(
        platform,
        account_id,
        account_name,
        market_id=said.market_id,
        order_hash=said.order_hash,
        venue_order_id=said.venue_order_id,
        status=status,
        reason=said.reason,
        venue_time_ms=said.venue_time_ms,
        at_ns=said.received_at_ns,
    )


def settled_fill(platform: Platform, account_id: str, account_name: str, fill: VenueFill, now_ns: int) -> Event:
    """A settled execution found by REST. One event is enough: the ledger enters an unseen fill as settled at once."""
    return _event(
        platform,
        FillSettled(
            account_id=account_id,
            account_name=account_name,
            market_id=fill.market_id,
            side=fill.outcome,
            action=fill.action,
            price=fill.price,
            shares=fill.size,
            order_hash=fill.order_hash,
            trade_id=fill.trade_id,
            settlement_id=fill.settlement_id,
            liquidity=Liquidity(fill.liquidity),
            fee=fill.fee,
            fee_kind=FeeKind(fill.fee_kind),
            transaction_hash=fill.transaction_hash,
            venue_time_ms=fill.executed_at_ms,
            received_at_ns=now_ns,
        ),
        now_ns,
    )


def failed_fill(
    platform: Platform,
    account_id: str,
    account_name: str,
    *,
    market_id: str,
    outcome: Outcome,
    action: Action,
    price: Decimal,
    size: Decimal,
    order_hash: str,
    trade_id: str,
    settlement_id: str,
    now_ns: int,
) -> Event:
    """A settlement that failed unheard, as the wallet stream would have told it."""
    return _event(
        platform,
        FillFailed(
            account_id=account_id,
            account_name=account_name,
            market_id=market_id,
            side=outcome,
            action=action,
            price=price,
            shares=size,
            order_hash=order_hash,
            trade_id=trade_id,
            settlement_id=settlement_id,
            received_at_ns=now_ns,
        ),
        now_ns,
    )


def order_state(platform: Platform, account_id: str, account_name: str, state: OrderState, now_ns: int) -> Event:
    """An order's status as REST tells it."""
    return order_update(
        platform,
        account_id,
        account_name,
        market_id=state.market_id,
        order_hash=state.order_hash,
        venue_order_id=state.venue_order_id,
        status=state.status,
        at_ns=now_ns,
    )


def order_update(
    platform: Platform,
    account_id: str,
    account_name: str,
    *,
    market_id: str,
    order_hash: str,
    status: OrderStatus,
    venue_order_id: str = "",
    reason: str = "",
    venue_time_ms: int = 0,
    at_ns: int,
) -> Event:
    """The venue's word on one order. Its id names (account, order, status)."""
    return Event(
        id=event_id("order_update", account_id, order_hash.lower(), status.value),
        platform=platform,
        timestamp=_moment(at_ns),
        data=OrderUpdate(
            account_id=account_id,
            account_name=account_name,
            market_id=market_id,
            order_hash=order_hash.lower(),
            venue_order_id=venue_order_id,
            status=status,
            reason=reason,
            venue_time_ms=venue_time_ms,
        ),
    )


def missing(fills: Iterable[VenueFill], recorded: set[str]) -> list[VenueFill]:
    """Those whose trade id the ledger does not have as settled, each once, in the venue's order."""
    seen = set(recorded)
    found = []
    for fill in fills:
        if fill.trade_id not in seen:
            seen.add(fill.trade_id)
            found.append(fill)
    return found


def _event(platform: Platform, data: Fill | FillSettled | FillFailed, at_ns: int) -> Event:
    return Event(
        id=event_id(data.type, data.account_id, data.trade_id), platform=platform, timestamp=_moment(at_ns), data=data
    )


def _moment(unix_ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=unix_ns // 1000)
