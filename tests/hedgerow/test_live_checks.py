"""Live mode refuses to start on demo keys, DEBUG, default passwords or a paper venue."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_django import Settings

from hedgerow.checks import check_live

ROOT = Path(__file__).resolve().parents[2]
#: Made up for these tests; no server knows them.
LIVE = {
    "HEDGEROW_MODE": "live",
    "HEDGEROW_ENV_FILE": "",
    "HEDGEROW_SECRET_KEY": "kq3vN8wXz1LmT6bRy9cJf2HsD5gPa7eUoWi4ZxQvMn0BtYrKlC",
    "HEDGEROW_ALLOWED_HOSTS": "desk.hedgerow.test",
    "HEDGEROW_PUBLIC_URL": "https://desk.hedgerow.test",
    "DATABASE_URL": "postgresql://hedgerow:rG7qLw2Xc9@127.0.0.1:9/hedgerow",
    "REDIS_URL": "redis://:rG7qLw2Xc9@127.0.0.1:9/0",
    "CLICKHOUSE_URL": "http://hedgerow:rG7qLw2Xc9@127.0.0.1:9",
    "PREDICT_API_KEY": "kq3vN8wXz1LmT6bRy9cJ",
    "PREDICT_API_URL": "https://api.predict.fun",
    "PREDICT_WS_URL": "wss://ws.predict.fun/ws",
    "PREDICT_RPC_URL": "https://bsc-dataseed.bnbchain.org",
}


@pytest.fixture
def live(settings: Settings) -> Settings:
    settings.LIVE = True
    settings.SECRET_KEY = LIVE["HEDGEROW_SECRET_KEY"]
    settings.DEBUG = False
    settings.ALLOWED_HOSTS = ["desk.hedgerow.test"]
    for name in ("DATABASE_URL", "REDIS_URL", "CLICKHOUSE_URL"):
        setattr(settings, name, LIVE[name])
    for name in ("PREDICT_API_KEY", "PREDICT_API_URL", "PREDICT_WS_URL", "PREDICT_RPC_URL"):
        setattr(settings, name, LIVE[name])
    return settings


def found(settings: Settings) -> list[str]:
    return [message.id or "" for message in check_live(None)]


def test_well_configured_live_process_starts(live: Settings) -> None:
    assert found(live) == []


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("SECRET_KEY", "paper-only-and-refused-in-live-mode-0123456789abcdef0123456789abcdef", "hedgerow.E001"),
        ("SECRET_KEY", "short", "hedgerow.E002"),
        ("SECRET_KEY", "a" * 80, "hedgerow.E002"),
        ("DEBUG", True, "hedgerow.E003"),
        ("ALLOWED_HOSTS", [], "hedgerow.E004"),
        ("ALLOWED_HOSTS", ["*"], "hedgerow.E004"),
        ("DATABASE_URL", "postgresql://hedgerow@127.0.0.1:5432/hedgerow", "hedgerow.E005"),
        ("DATABASE_URL", "postgresql://postgres:postgres@db:5432/hedgerow", "hedgerow.E006"),
        ("REDIS_URL", "redis://cache:6379/0", "hedgerow.E006"),
        ("CLICKHOUSE_URL", "http://default:@clickhouse:8123", "hedgerow.E006"),
        ("PREDICT_API_URL", "http://127.0.0.1:8701", "hedgerow.E007"),
        ("PREDICT_WS_URL", "ws://localhost:8701/ws", "hedgerow.E007"),
        ("PREDICT_API_KEY", "", "hedgerow.E008"),
    ],
)
def test_live_process_refuses_what_is_unsafe(live: Settings, name: str, value: object, error: str) -> None:
    setattr(live, name, value)
    assert found(live) == [error]


def test_paper_process_starts_on_demo_values(settings: Settings) -> None:
    settings.SECRET_KEY = settings.PAPER_SECRET_KEY
    assert found(settings) == []


def run_check(**changes: str) -> subprocess.CompletedProcess[str]:
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | LIVE | changes
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_deploy_check_passes_in_live_mode() -> None:
    done = run_check()
    assert done.returncode == 0, done.stderr


def test_live_command_stops_on_debug() -> None:
    done = run_check(HEDGEROW_DEBUG="true")
    assert done.returncode != 0
    assert "hedgerow.E003" in done.stderr
