"""Removing a strategy that never hedged anything. One with exposures stays in the books: it is stopped instead."""

import uuid

from django.db import transaction

from identity.audit import record_audit
from identity.models import User
from strategies.control import Actor, ControlError
from strategies.models import Exposure, Strategy
from trading.enums import TradingState


class StrategyInUse(ControlError):
    """The strategy trades, or has a history."""


def remove_strategy(strategy_id: uuid.UUID, *, by: Actor) -> None:
    """Remove a halted strategy without exposures, and its pairs. Raises StrategyInUse, Strategy.DoesNotExist."""
    with transaction.atomic():
        strategy = Strategy.objects.select_for_update().get(pk=strategy_id)
        if strategy.state != TradingState.HALTED.value:
            raise StrategyInUse(f"{strategy.name} is {strategy.state}: stop it first")
        if Exposure.objects.filter(strategy=strategy).exists():
            raise StrategyInUse(f"{strategy.name} has exposures, which stay in the books: leave it stopped instead")
        record_audit(
            "strategy.removed",
            user=by.who if isinstance(by.who, User) else None,
            who=str(by.who),
            subject=strategy,
            before={"state": strategy.state, "config": strategy.config, "version": strategy.version},
            source=by.source,
            address=by.address,
        )
        strategy.delete()
