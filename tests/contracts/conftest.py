"""The venues the contract suite runs against: each a paper venue in its own process, on a real socket.

To put another adapter under the contract, write its `Venue` and add it to the `venue` fixture.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.contracts.venue import PaperPredict, Venue
from trading.enums import SignerKind

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def paper_predict_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    state = tmp_path_factory.mktemp("paper-predict")
    options = {"port": port, "state-dir": state, "traders": "off", "heartbeat-s": 0.5, "settlement-delay-ms": 100}
    options |= {"trading-limit": 100_000, "other-limit": 100_000, "post-limit": 10_000}
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    process = subprocess.Popen(
        [sys.executable, "-m", "paper.predict", *arguments],
        env={**os.environ, "PYTHONPATH": f"{ROOT}/platform"},
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            break
        except OSError:
            assert process.poll() is None, "the paper venue did not start"
            assert time.monotonic() < deadline, "the paper venue did not listen in time"
            time.sleep(0.05)
    yield port
    process.terminate()
    process.wait(10)


@pytest.fixture(params=[SignerKind.EOA, SignerKind.PREDICT_ACCOUNT], ids=["predict-eoa", "predict-account"])
async def venue(request: pytest.FixtureRequest, paper_predict_port: int) -> AsyncIterator[Venue]:
    running = PaperPredict(paper_predict_port, request.param)
    yield running
    await running.close()
