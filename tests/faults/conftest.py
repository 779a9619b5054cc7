"""The house whose processes are killed."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings

from accounts.vault import ensure_vault
from tests.faults.house import House


@pytest.fixture
def open_house(tmp_path: Path, database_url: str, redis_url: str, settings: Any) -> Iterator[Callable[..., House]]:
    """`open_house(pairs=…)`: a desk with its venue; a listener and engines are the test's to start."""
    opened: list[House] = []
    ensure_vault(Path(django_settings.VAULT_PUBLIC_KEY_FILE).parent)

    def make(pairs: int = 1) -> House:
        opened.append(House(tmp_path, database_url, redis_url, settings, pairs))
        return opened[-1]

    yield make
    for house in opened:
        house.close()
