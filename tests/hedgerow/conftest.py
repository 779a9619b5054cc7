"""The admin with the operator signed in, and a vault to seal with."""

from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from accounts.vault import ensure_vault


@pytest.fixture
def office(client: Client, operator: object) -> Client:
    client.force_login(operator)  # type: ignore[arg-type]
    return client


@pytest.fixture
def vault() -> None:
    ensure_vault(Path(settings.VAULT_PUBLIC_KEY_FILE).parent)
