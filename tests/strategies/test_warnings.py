"""What a person is told of an exposure."""

from decimal import Decimal

from strategies.config import DeltaNeutralConfig
from strategies.exposure import ExposureState
from strategies.handlers.plan import Plan
from strategies.reasons import Reason
from strategies.watching import Watch, warnings


def test_tiny_amounts_are_told_short_and_never_as_nothing() -> None:
    figures = Watch(
        unhedged_shares=Decimal("0.001190658798410313"),
        unhedged_seconds=Decimal(5),
        dollars_at_risk=Decimal("0.000000000000000001"),
    )
    told = warnings(Plan(), Reason.DUST_OVERDUE, DeltaNeutralConfig(), ExposureState(), figures)
    assert [warning.text.endswith(" 0.0012 shares unhedged, 0.0001 USDT at risk.") for warning in told] == [True]
