"""The admin with the operator signed in, a vault to seal with, and what was handed to workers."""

import json
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings
from django.test import Client

from accounts.vault import ensure_vault
from hedgerow.celery import app


@pytest.fixture
def office(client: Client, operator: object) -> Client:
    client.force_login(operator)  # type: ignore[arg-type]
    return client


@pytest.fixture
def vault() -> None:
    ensure_vault(Path(settings.VAULT_PUBLIC_KEY_FILE).parent)


@pytest.fixture
def waiting(redis_url: str) -> Callable[[str], list[list[Any]]]:
    """What a worker would take of a task, once: the arguments of each time it was asked for."""

    def take(task: str) -> list[list[Any]]:
        with redis.Redis.from_url(app.conf.broker_url) as bus:
            told = [json.loads(message) for message in bus.lrange("celery:worker", 0, -1)]
            bus.delete("celery:worker")
        return [json.loads(b64decode(one["body"]))[0] for one in told if one["headers"]["task"] == task]

    take("")
    return take
