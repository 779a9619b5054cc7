"""A desk on which no page is empty: it has traded for hours, and not everything went well."""

from datetime import timedelta
from decimal import Decimal

from django.utils import timezone

from accounts.models import Account, EquityPoint, Order
from alerts.models import Alert
from strategies.models import Decision, Strategy
from tests.desk_rows import DeskRows, add_fills, add_positions, make_desk

BOOK = {
    "at_ms": 1_700_000_000_000,
    "bids": [["0.54", "120"], ["0.53", "300"]],
    "asks": [["0.56", "90"], ["0.57", "410.5"]],
}


def make_full_desk() -> DeskRows:
    """A desk that has traded for hours: fills, hedges, positions, decisions with books, alerts, a curve, a question."""
    now = timezone.now()
    rows = make_desk(now)
    for market in rows.markets:
        market.lot = market.min_size = Decimal("0.01")
        market.fee_rate_bps = 200
        market.yes_token, market.no_token = f"{market.market_id}1", f"{market.market_id}2"
        market.save()
    add_fills(rows, now, 120)
    add_positions(rows, now)
    Strategy.objects.update(started_at=now - timedelta(days=2))
    Account.objects.filter(name="predict-03").update(state="halted", state_reason="venue drill", tags=["maker"])
    Account.objects.filter(name="predict-04").update(connection="unavailable")
    newest = Order.objects.order_by("-created_at").values_list("pk", flat=True)[1]
    Order.objects.filter(pk=newest).update(
        status="unknown", reason="no answer within 3 s", attempts=1, created_at=now - timedelta(minutes=9)
    )
    for number, (filled, status) in enumerate((("40", "filled"), ("12", "cancelled"), ("5", "partially_filled"))):
        at = now - timedelta(minutes=7, seconds=number)
        Order.objects.create(
            account=Account.objects.get(name="predict-01"), market=rows.markets[number], outcome="yes", action="sell",
            price=Decimal("0.52"), size=40, filled=Decimal(filled), status=status, origin="closing", created_at=at,
            updated_at=at, reason="the market closed" if status == "cancelled" else "",
        )  # fmt: skip
    for number, exposure in enumerate(rows.exposures):
        Decision.objects.create(
            exposure=exposure, cause=f"fill:trade-{number}:matched", primary=40, hedged=0, in_flight=0, need=-40,
            reason="max_order" if number % 2 else "", book=BOOK, at=now - timedelta(seconds=7 * number),
        )  # fmt: skip
    EquityPoint.objects.bulk_create(
        EquityPoint(
            at=now - n * timedelta(minutes=10), collateral=10_000, cost=0, realized=Decimal(200 - n * n % 60),
            value=None if n == 20 else Decimal(0), accounts=10,
        )
        for n in range(40)
    )  # fmt: skip
    for number, severity in enumerate(("critical", "warning", "info")):
        Alert.objects.create(
            severity=severity, kind="imbalance", subject=f"predict-0{number + 1}", text="The venue holds more.",
            dedup_key=str(number), raised_at=now, last_seen_at=now, count=number + 1,
        )  # fmt: skip
    return rows
