"""Whether a desk has come to rest: nothing on its way at the venue, in the ledger or between them."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from django.db.models import QuerySet

from accounts.models import Fill, Order
from strategies.models import Exposure
from strategies.rehearsal.audit import UNDECIDED, is_dust
from strategies.rehearsal.desk import Stand, stand_accounts
from strategies.rehearsal.truth import VenueTruth
from trading.enums import Settlement

LATELY = timedelta(minutes=10)
"""A fill matched longer ago is not waited for before a rehearsal: what became of it is the reconciler's matter."""


def what_settles(stands: Sequence[Stand], truth: VenueTruth, now: datetime) -> str:
    """What of the latest fills is still on its way from the venue's books into ours, in words; empty when nothing is.

    Until then the two must not be compared: a fill moves the exposure when it matches and the venue's shares when it
    settles, and its share fee is told with the settlement.
    """
    since_ms = int((now - LATELY).timestamp() * 1000)
    happened = {e.trade_id for e in truth.executions.values() if e.state != "failed" and e.matched_at_ms >= since_ms}
    fills = Fill.objects.filter(account_id__in=[account.pk for account in stand_accounts(stands).values()])
    unsettled = fills.filter(settlement=Settlement.MATCHED.value, received_at__gte=now - LATELY).count()
    return _on_its_way(truth, unsettled, happened, fills.filter(trade_id__in=happened))


def what_is_open(stands: Sequence[Stand], truth: VenueTruth, since: datetime) -> str:
    """What of all that began since `since` is still open, in words; empty when nothing is."""
    accounts = [account.pk for account in stand_accounts(stands).values()]
    orders = Order.objects.filter(account_id__in=accounts, created_at__gte=since)
    if undecided := orders.filter(status__in=UNDECIDED).count():
        return f"the fate of {undecided} orders is open"
    fills = Fill.objects.filter(account_id__in=accounts, received_at__gte=since)
    unsettled = fills.filter(settlement=Settlement.MATCHED.value).count()
    happened = {e.trade_id for e in truth.executions.values() if e.state != "failed"}
    if coming := _on_its_way(truth, unsettled, happened, fills):
        return coming
    exposures = Exposure.objects.filter(pair__in=[stand.pair.pair for stand in stands])
    if flying := exposures.exclude(in_flight=0).count():
        return f"{flying} exposures have a hedge in flight"
    markets = {stand.key: stand for stand in stands}
    owing = [
        exposure
        for exposure in exposures.exclude(need=0).select_related("strategy", "hedge_account")
        if exposure.market_id in markets and not is_dust(markets[exposure.market_id], exposure)
    ]
    return f"{len(owing)} exposures owe more than dust ({owing[0].reason})" if owing else ""


def _on_its_way(truth: VenueTruth, unsettled: int, happened: Collection[str], fills: QuerySet[Fill]) -> str:
    if truth.pending:
        return f"{truth.pending} executions are not settled at the venue"
    if unsettled:
        return f"{unsettled} fills are not settled in the ledger"
    late = set(happened) - set(fills.values_list("trade_id", flat=True))
    return f"{len(late)} fills are not in the ledger" if late else ""
