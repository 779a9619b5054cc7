"""A desk with rows, and callers of each role with tokens: what the tests of the API stand on."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from accounts.vault import ensure_vault
from identity.models import User
from identity.roles import Role
from identity.tokens import issue_token
from markets.models import Market
from tests.conftest import make_user
from tests.desk_rows import DeskRows, add_fills, add_positions, make_desk

FAKE_KEY = "0x" + "11" * 32
"""Obviously nobody's."""


@dataclass
class Program:
    """Something that calls the API with a token, or without one."""

    secret: str = ""
    user: User | None = None

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send JSON; the answer has `.json()`."""
        if self.secret:
            headers.setdefault("Authorization", f"Bearer {self.secret}")
        client = Client(raise_request_exception=False, headers=headers)
        given = {} if body is None else {"data": body, "content_type": "application/json"}
        return client.generic(method.upper(), f"/api{path}", **encoded(given))

    def get(self, path: str, **headers: str) -> Any:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("POST", path, {} if body is None else body, **headers)


def encoded(given: dict[str, Any]) -> dict[str, Any]:
    if "data" in given and not isinstance(given["data"], str | bytes):
        given["data"] = Client()._encode_json(given["data"], "application/json")  # type: ignore[attr-defined]
    return given


@pytest.fixture(autouse=True)
def empty_redis(redis_url: str) -> None:
    """Throttles and streams begin anew."""


@pytest.fixture
def now(db: None) -> datetime:
    return timezone.now()


@pytest.fixture
def desk(now: datetime) -> DeskRows:
    """Five pairs, five markets, thirty hedged fills, positions."""
    rows = make_desk(now)
    add_fills(rows, now, 30)
    add_positions(rows, now)
    Market.objects.update(lot=Decimal("0.01"), min_size=Decimal(1))
    return rows


@pytest.fixture
def vault() -> None:
    """The vault the settings name, made once a run."""
    ensure_vault(Path(settings.VAULT_PUBLIC_KEY_FILE).parent)


@pytest.fixture
def program(now: datetime) -> Callable[..., Program]:
    """Make a caller of a role, optionally seeing only accounts with some tags."""

    def make(role: str, *tags: str, name: str = "") -> Program:
        user = make_user(name or f"{role}-{'-'.join(tags) or 'all'}", role, staff=False)
        user.account_tags = list(tags)
        user.save()
        token, secret = issue_token(
            user, "tests", role=Role(role), by=user, now=now, expires_at=now + timedelta(days=1), account_tags=tags
        )
        token.last_used_at = now + timedelta(hours=1)
        token.save()
        return Program(secret, user)

    return make


@pytest.fixture
def viewer_program(program: Callable[..., Program]) -> Program:
    return program("viewer")


@pytest.fixture
def trader_program(program: Callable[..., Program]) -> Program:
    return program("trader")


@pytest.fixture
def admin_program(program: Callable[..., Program]) -> Program:
    return program("admin")
