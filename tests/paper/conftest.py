"""Fixtures: a paper Predict.fun listening on a real socket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from paper.predict.server import build_app
from paper.predict.settings import Settings
from tests.paper.desk import Running, Start


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """`async with start(settlement_delay_ms=…) as venue`: no simulated traders unless asked for."""

    @asynccontextmanager
    async def run(**given: Any) -> AsyncIterator[Running]:
        values: dict[str, Any] = {
            "state_dir": tmp_path / "state",
            "port": 0,
            "traders": False,
            "settlement_delay_ms": 30,
            "trading_limit": 100_000,
            "other_limit": 100_000,
            "post_limit": 10_000,
            **given,
        }
        app = build_app(Settings(**values))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with aiohttp.ClientSession() as session:
            yield Running(f"http://127.0.0.1:{runner.addresses[0][1]}", session, app)
        await runner.cleanup()

    return run


@pytest.fixture
async def venue(start: Start) -> AsyncIterator[Running]:
    async with start() as running:
        yield running
