"""Whether a desk has come to rest: nothing on its way at the venue, in the ledger or between them."""

from collections.abc import Sequence
from datetime import datetime

from accounts.models import Fill, Order
from strategies.models import Exposure
from strategies.rehearsal.audit import UNDECIDED, is_dust
from strategies.rehearsal.desk import Stand, stand_accounts
from strategies.rehearsal.truth import VenueTruth
from trading.enums import Settlement


def what_is_open(stands: Sequence[Stand], truth: VenueTruth, since: datetime) -> str:
    """What of all that began since `since` is still open, in words; empty when nothing is."""
    accounts = [account.pk for account in stand_accounts(stands).values()]
    if truth.pending:
        return f"{truth.pending} executions are not settled at the venue"
    orders = Order.objects.filter(account_id__in=accounts, created_at__gte=since)
    if undecided := orders.filter(status__in=UNDECIDED).count():
        return f"the fate of {undecided} orders is open"
    fills = Fill.objects.filter(account_id__in=accounts, received_at__gte=since)
    if unsettled := fills.filter(settlement=Settlement.MATCHED.value).count():
        return f"{unsettled} fills are not settled in the ledger"
    happened = {e.trade_id for e in truth.executions.values() if e.state != "failed"}
    if late := happened - set(fills.values_list("trade_id", flat=True)):
        return f"{len(late)} fills are not in the ledger"
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
