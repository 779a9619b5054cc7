"""What the bus hears of a dispatch once its orders have left. Pages and the bot live on it; no hedge depends on it."""

from datetime import datetime

from strategies.evaluation import Evaluation
from trading.enums import Platform
from trading.events import Event, ExposureChanged
from trading.ids import event_id


def exposure_changed(evaluation: Evaluation, now: datetime) -> Event:
    """The exposure as this evaluation left it. One event per revision."""
    row, update = evaluation.row, evaluation.update
    return Event(
        id=event_id("exposure", str(row.id), str(row.revision + 1)),
        timestamp=now,
        platform=Platform(row.hedge_platform),
        data=ExposureChanged(
            strategy_id=str(row.strategy_id),
            exposure_id=str(row.id),
            market_id=row.market_key.partition(":")[2],
            primary=update.primary,
            hedged=update.hedged,
            in_flight=update.in_flight,
            need=update.need,
            reason=update.reason,
        ),
    )
