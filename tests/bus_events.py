"""Events as the bus carries them, for tests of who hears what."""

from datetime import UTC, datetime
from decimal import Decimal

from trading.enums import Outcome, Platform
from trading.events import Event, ExposureChanged, Facts, Fill
from trading.ids import event_id


def event(number: int, data: Facts) -> Event:
    return Event(id=event_id("socket", str(number)), platform=Platform.PREDICT, timestamp=datetime.now(UTC), data=data)


def fill(number: int, account_id: str = "a", market_id: str = "100") -> Event:
    return event(
        number,
        Fill(
            account_id=account_id, account_name="predict-01", market_id=market_id, side=Outcome.YES,
            price=Decimal("0.55"), shares=Decimal("100.000000000000000001"), order_hash="0x1", trade_id=f"t{number}",
        ),
    )  # fmt: skip


def exposure(number: int) -> Event:
    zero = Decimal(0)
    return event(
        number,
        ExposureChanged(
            strategy_id="s", exposure_id="e", market_id="100", primary=zero, hedged=zero, in_flight=zero, need=zero
        ),
    )
