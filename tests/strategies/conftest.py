"""A market and a state to decide in, everything a test does not care about filled in; and a paper venue of its own."""

import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from accounts.vault import ensure_vault
from strategies.config import DeltaNeutralConfig
from strategies.exposure import ExposureState
from strategies.handlers.plan import AccountView, HedgeState
from strategies.paper_venue import PaperVenue
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


@pytest.fixture(scope="module")
def venue_url(tmp_path_factory):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    state = tmp_path_factory.mktemp("paper")
    command = [sys.executable, "-m", "paper.predict", "--port", str(port), "--state-dir", str(state)]
    process = subprocess.Popen([*command, "--taker-every-s", "0"])
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 20
    while not PaperVenue(url).is_up():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield url
    process.terminate()
    process.wait(10)


@pytest.fixture
def paper_desk(db, settings, tmp_path, venue_url):
    settings.STATE_DIR = tmp_path
    settings.PREDICT_API_URL = venue_url
    settings.VAULT_PUBLIC_KEY_FILE = str(ensure_vault(tmp_path / "vault").public)
    return PaperVenue(venue_url)
