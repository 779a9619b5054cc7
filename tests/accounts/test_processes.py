"""The listener as the operator runs it, and the worker's periodic rounds."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from accounts.models import Account, Position
from accounts.reconcile_rounds import Rounds
from alerts.querysets import load_open
from strategies.imbalance import check_imbalances
from strategies.models import Pair, Strategy

ROOT = Path(__file__).resolve().parents[2]


def environment(paper: Any, database_url: str, redis_url: str, **more: str) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "PREDICT_API_URL": paper.url,
        "PREDICT_WS_URL": paper.url.replace("http", "ws") + "/ws",
        "PREDICT_RPC_URL": paper.url + "/rpc",
        **more,
    }


@pytest.mark.slow
def test_listener_command_listens_and_leaves_quietly(
    account: Account, paper: Any, database_url: str, redis_url: str
) -> None:
    process = subprocess.Popen(
        [sys.executable, "manage.py", "listener"], cwd=ROOT, env=environment(paper, database_url, redis_url)
    )
    try:
        deadline = time.monotonic() + 20
        while Account.objects.get(pk=account.pk).connection != "connected":
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
    assert Account.objects.get(pk=account.pk).connection == "offline"


@pytest.mark.slow
def test_listener_without_vault_key_says_why(account: Account, paper: Any, database_url: str, redis_url: str) -> None:
    said = subprocess.run(
        [sys.executable, "manage.py", "listener"],
        cwd=ROOT,
        env=environment(paper, database_url, redis_url, HEDGEROW_VAULT_PRIVATE_KEY_FILE=""),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert said.returncode == 1
    assert "HEDGEROW_VAULT_PRIVATE_KEY_FILE is not set" in said.stderr
    assert "Traceback" not in said.stderr


def test_rounds_read_what_the_imbalance_check_compares(
    account: Account, paper: Any, redis_url: str, market: Any, settings: Any
) -> None:
    """The venue's own word on positions, by REST, against the ledger: told at the threshold, halted above the limit."""
    settings.PREDICT_API_URL = paper.url
    key, now = f"predict:{market.market_id}", datetime.now(UTC)
    primary = Account.objects.create(name="primary", platform="predict", address="0x" + "1" * 40)
    strategy = Strategy.objects.create(
        name="neutral", state="active", config={"imbalance_threshold": "3", "imbalance_halt": "8"}
    )
    Pair.objects.create(strategy=strategy, primary=primary, hedge=account)
    booked = Position.objects.create(account=account, market_id=key, outcome="no", size=Decimal(2), updated_at=now)
    rounds = Rounds()

    def check(size: int, seconds: int) -> tuple[list[str], str]:
        Position.objects.filter(pk=booked.pk).update(size=Decimal(size))
        read = rounds.read_positions()
        assert account.pk in read
        check_imbalances(read, now + timedelta(seconds=seconds))
        return [alert.severity for alert in load_open()], Strategy.objects.get().state

    try:
        assert [check(2, 0), check(2, 30)] == [([], "active")] * 2, "below the threshold"
        assert check(5, 60) == ([], "active"), "believed are the two that two reads both show"
        assert check(5, 90) == (["warning"], "active")
        assert check(9, 120) == (["warning"], "active"), "five, as two reads both show"
        assert check(9, 150) == (["critical"], "halted")
        assert check(0, 180) == ([], "halted"), "gone: the alert resolves, a person starts the strategy"
    finally:
        rounds.close()


def test_rounds_refresh_balances_and_reconcile(
    account: Account, paper: Any, database_url: str, redis_url: str, settings: Any
) -> None:
    settings.PREDICT_API_URL = paper.url
    settings.PREDICT_RPC_URL = paper.url + "/rpc"
    rounds = Rounds()
    try:
        assert rounds.refresh_balances() == 1
        assert rounds.reconcile() == 0
        assert rounds.refresh_balances() == 1
    finally:
        rounds.close()
    account.refresh_from_db()
    assert account.collateral == 10_000
    assert account.balance_at is not None
    assert account.reconciled_at is not None
