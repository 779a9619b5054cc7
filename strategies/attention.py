"""Resolving the alerts of exposures whose reason has changed. The dispatch raises them; the worker looks every 10 s."""

from datetime import datetime

from alerts.conditions import key_of, resolve_others
from alerts.kinds import AlertKind
from strategies.models import Exposure
from strategies.watching import REJECTED

REASONED = (AlertKind.DUST_OVERDUE, AlertKind.RUNG_STUCK, AlertKind.NO_ACCOUNT, AlertKind.MARKET_CLOSED)
"""Kinds named as the exposure's own reason is."""


def resolve_exposure_alerts(now: datetime) -> int:
    """Resolve what no exposure gives as its reason any more; how many alerts that is."""
    resolved = 0
    for kind in REASONED:
        ids = Exposure.objects.filter(reason=kind.value).values_list("pk", flat=True)
        resolved += resolve_others(kind, [key_of(kind, str(pk)) for pk in ids], now)
    refused = Exposure.objects.filter(reason__startswith=REJECTED).exclude(need=0).values_list("pk", flat=True)
    still = [key_of(AlertKind.HEDGE_REJECTED, str(pk)) for pk in refused]
    return resolved + resolve_others(AlertKind.HEDGE_REJECTED, still, now)
