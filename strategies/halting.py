"""Halting a strategy by itself: when its ladder came to an end, or the venue and the ledger disagree."""

from uuid import UUID

from django.db import connection, transaction

from strategies import control
from strategies.control import Actor, stop_strategy
from strategies.models import Strategy
from trading.enums import TradingState

ENGINE = Actor(who=control.ENGINE)


def halt_strategy(strategy_id: UUID, reason: str) -> None:
    """`stop_by_itself` for a thread of the engine: blocks, and gives its connection back."""
    try:
        stop_by_itself(strategy_id, reason)
    finally:
        connection.close()


def stop_by_itself(strategy_id: UUID, reason: str) -> None:
    """HALTED, audited and announced; a strategy that is halted already keeps its reason."""
    with transaction.atomic():
        strategy = Strategy.objects.select_for_update().filter(pk=strategy_id).first()
        if strategy is not None and strategy.state != TradingState.HALTED.value:
            stop_strategy(strategy_id, by=ENGINE, reason=reason)
