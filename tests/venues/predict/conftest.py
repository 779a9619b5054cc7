"""What the Predict.fun tests share: the published vectors, obviously fake keys, and markets to trade in."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from trading.enums import MarketStatus, Platform
from trading.instruments import MarketSpec

FAKE_KEY = bytes.fromhex("11" * 32)
"""A public test key; never fund it."""


@pytest.fixture(scope="session")
def vectors() -> Any:
    """predict-sdk 0.0.22's own answers, recomputed independently (venues/predict.md, 9)."""
    return json.loads((Path(__file__).parent / "vectors.json").read_text())


@pytest.fixture
def market() -> MarketSpec:
    return MarketSpec(
        platform=Platform.PREDICT,
        market_id="2880279",
        title="Up or down",
        question="Up or down?",
        status=MarketStatus.OPEN,
        yes_token="24560856779750264508715319711026588362966017722489631827651946783573553758549",
        no_token="59047651782174715897476561295618931340677381464487964467467171528850914358815",
        tick=Decimal("0.01"),
        lot=Decimal("0.01"),
        min_size=Decimal("0.01"),
        min_value=Decimal("0.9"),
        fee_rate_bps=200,
    )
