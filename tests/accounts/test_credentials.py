"""What a refresh of the credentials opens: everything once, and after that what changed, whenever its stamp says."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.utils import timezone
from psycopg_pool import AsyncConnectionPool

from accounts.credentials import CredentialStore
from accounts.models import Account, SealedSecret
from accounts.registration import register_account
from accounts.vault import Opener
from tests.accounts.conftest import fake_key


@pytest.fixture(autouse=True)
def desk(vault: Path, redis_url: str, transactional_db: None) -> None: ...


class CountingOpener(Opener):
    """Opens, and counts."""

    opened = 0

    def open(self, *arguments: Any) -> bytes:
        self.opened += 1
        return super().open(*arguments)


@pytest.fixture
def opener() -> CountingOpener:
    return CountingOpener(settings.VAULT_PRIVATE_KEY_FILE)


@pytest.fixture
async def store(database_url: str, opener: CountingOpener) -> AsyncIterator[CredentialStore]:
    async with AsyncConnectionPool(database_url, min_size=1, max_size=1, open=False) as pool:
        yield CredentialStore(pool, opener, "paper")


def register(name: str) -> Account:
    key = fake_key() if name == "one" else bytes([0x22]) * 31 + bytes([len(name)])
    return register_account(name=name, platform="predict", private_key=key.hex(), by="tests")


async def test_unchanged_accounts_made_at_once_are_opened_once(store: CredentialStore, opener: CountingOpener) -> None:
    for name in ("one", "second", "the third"):
        await sync_to_async(register)(name)
    assert {account.name for account in await store.refresh()} == {"one", "second", "the third"}
    assert opener.opened == 3
    for _ in range(3):
        assert await store.refresh() == []
    assert opener.opened == 3


async def test_only_the_changed_account_is_opened_again(store: CredentialStore, opener: CountingOpener) -> None:
    for name in ("one", "second"):
        await sync_to_async(register)(name)
    await store.refresh()
    await Account.objects.filter(name="second").aupdate(state="halted", updated_at=timezone.now())
    assert [(account.name, account.state) for account in await store.refresh()] == [("second", "halted")]
    assert opener.opened == 3


async def test_account_whose_transaction_ended_late_is_found(store: CredentialStore) -> None:
    """Its stamp is older than the newest that was seen."""
    await sync_to_async(register)("one")
    await store.refresh()
    late = await sync_to_async(register)("late")
    before = (await Account.objects.aget(name="one")).updated_at - timedelta(seconds=1)
    await Account.objects.filter(pk=late.pk).aupdate(updated_at=before)
    await SealedSecret.objects.filter(account=late).aupdate(created_at=before)
    assert [account.name for account in await store.refresh()] == ["late"]
    assert await store.refresh() == []


async def test_removed_account_makes_nobody_be_opened_again(store: CredentialStore, opener: CountingOpener) -> None:
    for name in ("one", "second"):
        await sync_to_async(register)(name)
    await store.refresh()
    await SealedSecret.objects.filter(account__name="second").adelete()
    await Account.objects.filter(name="second").adelete()
    for _ in range(3):
        assert await store.refresh() == []
    assert opener.opened == 2
