"""The listener as the operator runs it, and the worker's periodic rounds."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from accounts.models import Account
from accounts.reconcile_rounds import Rounds

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
