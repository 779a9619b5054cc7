"""A market and a state to decide in, with everything a test does not care about filled in."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from strategies.config import DeltaNeutralConfig
from strategies.exposure import ExposureState
from strategies.handlers.plan import AccountView, HedgeState
from trading.enums import MarketStatus, Platform
from trading.instruments import MarketSpec

NOW = datetime(2026, 2, 5, 1, 0, tzinfo=UTC)


@pytest.fixture
def market():
    return MarketSpec(
        platform=Platform.PREDICT,
        market_id="123",
        title="A market",
        question="Will it?",
        status=MarketStatus.OPEN,
        yes_token="1",
        no_token="2",
        tick=Decimal("0.01"),
        lot=Decimal("0.01"),
        min_size=Decimal("0.01"),
        min_value=Decimal("0.9"),
        fee_rate_bps=0,
    )


@pytest.fixture
def hedge_state(market):
    def build(**changed):
        fields = {
            "strategy_id": UUID(int=1),
            "pair_id": UUID(int=2),
            "exposure_id": UUID(int=3),
            "exposure": ExposureState(),
            "market": market,
            "config": DeltaNeutralConfig(),
            "primary_account": AccountView(id="account1", name="account1"),
            "hedge_account": AccountView(id="account2", name="account2"),
            "hedge_positions": {},
            "own_resting": (),
            "day_notional": Decimal(0),
            "strategy_day_notional": Decimal(0),
            "now": NOW,
        }
        return HedgeState(**{**fields, **changed})

    return build
