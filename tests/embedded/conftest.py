"""Real engines in temporary folders, and a tiny product of stand-in processes for the supervisor."""

import os
from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from embedded.engines import EngineUrls, start_engines, stop_engines, temporary_state


@pytest.fixture
def state_dir() -> Iterator[Path]:
    with temporary_state("hedgerow-test-") as root:
        yield root


@pytest.fixture
def bare_environment() -> dict[str, str]:
    """For processes of our own: nothing that names an engine or a system already running."""
    kept = ("PATH", "HOME", "PYTHONPATH", "SSL_CERT_FILE")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"HEDGEROW_ENV_FILE": ""}


@pytest.fixture(scope="session")
def engine_urls() -> Iterator[EngineUrls]:
    with temporary_state("hedgerow-test-") as root:
        yield start_engines(root, {})
        stop_engines(root)


@pytest.fixture
def clickhouse(engine_urls: EngineUrls) -> Iterator[Client]:
    client = clickhouse_connect.get_client(dsn=engine_urls.clickhouse_url)
    client.command("DROP TABLE IF EXISTS ticks")
    client.command("CREATE TABLE ticks (id UInt64, name String, price Decimal(38, 18)) ENGINE = MergeTree ORDER BY id")
    yield client
    client.close()
