"""The audit of a rehearsal: venue against ledger, ledger against exposures, hedge orders against the venue's.

It trusts none of the three. A difference is counted and described; what has an explanation (dust below the venue's
minimum) is counted apart.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec

from accounts.models import Fill, Order, Position
from strategies.config import parse_config
from strategies.exposure import ExposureState, parse_lots
from strategies.handlers.pricing import leg_outcome, leg_price
from strategies.handlers.sizing import meets_minimum, sendable
from strategies.models import Exposure
from strategies.rehearsal.desk import Stand, stand_accounts
from strategies.rehearsal.truth import VenueTruth
from trading.enums import Action, OrderStatus, Outcome, Settlement
from trading.values import ZERO, text

NEVER_LEFT = (OrderStatus.DENIED.value, OrderStatus.INITIALIZED.value)
UNDECIDED = (OrderStatus.INITIALIZED.value, OrderStatus.SUBMITTED.value, OrderStatus.UNKNOWN.value)
_DETAILS = 20


class Findings(msgspec.Struct, kw_only=True):
    """What the comparison found. Shares are absolute sums over the exposures."""

    venue_fills: int = 0
    ledger_fills: int = 0
    lost: int = 0
    """At the venue and not in the ledger, or in the ledger with another price or size."""
    phantom: int = 0
    """In the ledger and not at the venue."""
    duplicates: int = 0
    """Doubled executions, hedge orders twice for one cause, and orders at the venue that no row of ours stands for."""
    unhedged_shares: Decimal = ZERO
    dust_shares: Decimal = ZERO
    unhedged: dict[UUID, Decimal] = {}
    """Exposure → shares, without dust."""
    orders_unknown: int = 0
    position_differences: int = 0
    exposure_differences: int = 0
    details: list[str] = []

    @property
    def is_clean(self) -> bool:
        """True when nothing is lost, doubled, left unhedged or unexplained."""
        counts = self.lost, self.phantom, self.duplicates, self.orders_unknown
        return not (any(counts) or self.position_differences or self.exposure_differences or self.unhedged_shares)

    def tell(self, sentence: str) -> None:
        """Keep a sentence for the person who reads the result; only so many."""
        if len(self.details) < _DETAILS:
            self.details.append(sentence)


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """Where the stands were before the first fill."""

    owed: dict[str, Decimal]
    """Market key → Σ (need + in flight) of its exposures."""
    net: dict[str, Decimal]
    """Market key → yes − no shares the pair holds at the venue."""


def load_baseline(stands: Sequence[Stand], truth: VenueTruth) -> Baseline:
    """The present as the baseline; the stands must be quiet."""
    return Baseline(
        owed={stand.key: _owed(stand) for stand in stands}, net={stand.key: _net(stand, truth) for stand in stands}
    )


def audit(stands: Sequence[Stand], truth: VenueTruth, since: datetime, baseline: Baseline) -> Findings:
    """Compare everything since `since`; the stands should be quiet and the venue settled."""
    findings = Findings()
    _compare_fills(stands, truth, since, findings)
    _compare_orders(stands, truth, since, findings)
    for stand in stands:
        _compare_positions(stand, truth, findings)
        _compare_exposures(stand, truth, baseline, findings)
    return findings


def _compare_fills(stands: Sequence[Stand], truth: VenueTruth, since: datetime, findings: Findings) -> None:
    accounts = stand_accounts(stands)
    ids = [account.pk for account in accounts.values()]
    rows = Fill.objects.filter(account_id__in=ids, received_at__gte=since).select_related("account", "market")
    ledger: dict[str, Fill] = {}
    for fill in rows:
        if fill.trade_id in ledger:
            findings.duplicates += 1
            findings.tell(f"{fill.trade_id} is in the ledger twice")
        ledger[fill.trade_id] = fill
    findings.duplicates += truth.repeated
    findings.venue_fills = sum(execution.state != "failed" for execution in truth.executions.values())
    findings.ledger_fills = sum(fill.settlement != Settlement.FAILED.value for fill in ledger.values())
    for trade_id, execution in truth.executions.items():
        row = ledger.get(trade_id)
        failed = execution.state == "failed"
        if row is None:
            if not failed:
                findings.lost += 1
                findings.tell(f"{trade_id} of {execution.address} happened at the venue and is not in the ledger")
        elif (row.size, row.price, row.outcome, row.action) != (
            execution.size,
            execution.price,
            execution.outcome.value,
            execution.action.value,
        ) or failed != (row.settlement == Settlement.FAILED.value):
            findings.lost += 1
            findings.tell(f"{trade_id} is not the same at the venue and in the ledger")
    for trade_id in ledger.keys() - truth.executions.keys():
        findings.phantom += 1
        findings.tell(f"{trade_id} is in the ledger and did not happen at the venue")


def _compare_orders(stands: Sequence[Stand], truth: VenueTruth, since: datetime, findings: Findings) -> None:
    accounts = stand_accounts(stands)
    ids = [account.pk for account in accounts.values()]
    orders = list(Order.objects.filter(account_id__in=ids, created_at__gte=since).defer("body"))
    findings.orders_unknown = sum(order.status in UNDECIDED for order in orders)
    legs = Counter((o.exposure_id, o.cause, o.leg, o.rung) for o in orders if o.exposure_id and _left(o))
    for (_, cause, leg, _), count in legs.items():
        if count > 1:
            findings.duplicates += count - 1
            findings.tell(f"{count} hedge orders for leg {leg} of {cause}")
    known = {order.order_hash.lower() for order in orders if order.order_hash}
    for order_hash, address in truth.order_addresses.items():
        if order_hash not in known:
            findings.duplicates += 1
            findings.tell(f"{order_hash} of {address} is at the venue and in no row")
        if truth.accepted[order_hash] != 1:
            findings.duplicates += 1
            findings.tell(f"{order_hash} was taken {truth.accepted[order_hash]} times by the venue")
    for order in orders:
        taken = order.status not in (*NEVER_LEFT, *UNDECIDED, OrderStatus.REJECTED.value) and not _never_arrived(order)
        if taken and (order.order_hash or "").lower() not in truth.order_addresses:
            findings.phantom += 1
            findings.tell(f"order {order.pk} is {order.status} and the venue does not know it")


def _compare_positions(stand: Stand, truth: VenueTruth, findings: Findings) -> None:
    rows = Position.objects.filter(account__in=stand.accounts, market_id=stand.key).select_related("account")
    ledger = {(row.account.address.lower(), row.outcome): row.size for row in rows}
    for account in stand.accounts:
        for outcome in Outcome:
            address = account.address.lower()
            ours = ledger.get((address, outcome.value), ZERO)
            theirs = truth.held(address, stand.market.token(outcome))
            if ours != theirs:
                findings.position_differences += 1
                findings.tell(f"{account.name} holds {text(theirs)} {outcome} at the venue, {text(ours)} in the ledger")


def _compare_exposures(stand: Stand, truth: VenueTruth, baseline: Baseline, findings: Findings) -> None:
    """What the exposure says it owes must be what the venue's shares say; and it must be nothing, or dust."""
    owed = _owed(stand)
    moved = _net(stand, truth) - baseline.net[stand.key]
    if owed - baseline.owed[stand.key] != -moved:
        findings.exposure_differences += 1
        findings.tell(f"{stand.key}: exposures owe {text(owed)}, the venue's shares moved by {text(moved)}")
    exposures = Exposure.objects.filter(pair=stand.pair.pair, market_id=stand.key)
    for exposure in exposures.select_related("strategy", "hedge_account"):
        open_shares = abs(exposure.need) + abs(exposure.in_flight)
        if not exposure.in_flight and is_dust(stand, exposure):
            findings.dust_shares += open_shares
        elif open_shares:
            findings.unhedged_shares += open_shares
            findings.unhedged[exposure.pk] = open_shares
            findings.tell(
                f"{stand.key}: {text(exposure.need)} needed, {text(exposure.in_flight)} in flight ({exposure.reason})"
            )


def is_dust(stand: Stand, exposure: Exposure) -> bool:
    """True when no order for what is needed meets the venue's minimum, at the strategy's own prices.

    Judged anew from the row's amounts, not taken from the reason on it.
    """
    lots, covered = parse_lots(exposure.lots)
    config = parse_config(exposure.strategy.kind, exposure.strategy.config)
    state = ExposureState(primary=exposure.primary, hedged=exposure.hedged, lots=lots, last_covered=covered)
    need = exposure.need
    if not need:
        return True
    sold = leg_outcome(need, Action.SELL)
    row = Position.objects.filter(account=exposure.hedge_account, market_id=stand.key, outcome=sold.value).first()
    for action, size in ((Action.BUY, abs(need)), (Action.SELL, min(abs(need), row.size if row else ZERO))):
        price = leg_price(
            config,
            stand.market,
            None,
            need=need,
            unhedged_vwap=state.unhedged_vwap(config.ratio),
            action=action,
            size=size,
        )
        if price is not None and meets_minimum(stand.market, price, sendable(size, stand.market)):
            return False
    return True


def _owed(stand: Stand) -> Decimal:
    exposures = Exposure.objects.filter(pair=stand.pair.pair, market_id=stand.key)
    return sum((exposure.need + exposure.in_flight for exposure in exposures), ZERO)


def _net(stand: Stand, truth: VenueTruth) -> Decimal:
    market = stand.market
    return sum(
        (
            truth.held(account.address.lower(), market.yes_token) - truth.held(account.address.lower(), market.no_token)
            for account in stand.accounts
        ),
        ZERO,
    )


def _never_arrived(order: Order) -> bool:
    """A stop held it back, or the recovery found that it was never there: ended, with nothing to show for it."""
    return order.status == OrderStatus.CANCELLED.value and not order.filled and not order.venue_order_id


def _left(order: Order) -> bool:
    return order.status not in (*NEVER_LEFT, OrderStatus.REJECTED.value)
