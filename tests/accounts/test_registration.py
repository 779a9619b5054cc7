"""Registering and changing accounts: what is refused and why, what is sealed, what bus and audit log are told."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from psycopg_pool import AsyncConnectionPool

from accounts.credentials import CredentialStore
from accounts.models import Account, SealedSecret
from accounts.registration import announce_unannounced, change_account_state, register_account, update_account
from accounts.vault import Opener, ensure_vault
from identity.models import AuditEntry
from tests.accounts.conftest import address_of, fake_key
from trading.errors import InvalidValue
from trading.events import ACCOUNT_EVENTS, Event

PROXY = "socks5://agent:sesame-open@10.0.0.7:1080"
Events = Callable[[str], list[Event]]


@pytest.fixture(autouse=True)
def desk(vault: Path, redis_url: str, transactional_db: None) -> None: ...


def register(**fields: Any) -> Account:
    values: dict[str, Any] = {"name": "one", "platform": "predict", "private_key": fake_key().hex(), "by": "tests"}
    return register_account(**{**values, **fields})


def test_account_is_stored_sealed_and_announced(events: Events) -> None:
    key = fake_key()
    account = register(private_key="0x" + key.hex(), api_key="api-sesame", proxy_url=PROXY, tags=["a", "a", " b "])
    assert account.address == address_of(key)
    assert account.tags == ["a", "b"]
    assert account.proxy_label == "10.0.0.7:1080"
    kinds = {secret.kind: bytes(secret.sealed) for secret in SealedSecret.objects.all()}
    assert set(kinds) == {"private_key", "api_key", "proxy_url"}
    assert Opener(settings.VAULT_PRIVATE_KEY_FILE).open(kinds["private_key"]) == key
    [told] = events(ACCOUNT_EVENTS)
    assert (told.type, told.data.account_id, told.data.address) == ("account_created", str(account.pk), account.address)
    account.refresh_from_db()
    assert account.announced_at is not None


def test_no_secret_in_events_audit_or_rows(events: Events) -> None:
    key = fake_key()
    account = register(private_key=key.hex(), api_key="api-sesame", proxy_url=PROXY)
    update_account(account.pk, by="tests", api_key="second-sesame", proxy_url="", notes="n")
    written = repr([list(model.objects.values()) for model in (Account, AuditEntry)]) + repr(events(ACCOUNT_EVENTS))
    for secret in (key.hex(), "sesame", "agent"):
        assert secret not in written


def test_smart_account_needs_its_own_address() -> None:
    key = fake_key()
    with pytest.raises(InvalidValue, match="does not follow from the key"):
        register(private_key=key.hex(), signer_kind="predict_account")
    with pytest.raises(InvalidValue, match="key's own address"):
        register(private_key=key.hex(), signer_kind="predict_account", address=address_of(key))
    smart = address_of(fake_key())
    account = register(private_key=key.hex(), signer_kind="predict_account", address=smart.lower())
    assert (account.address, account.owner_address) == (smart, address_of(key))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"private_key": "0x1234"}, "64 hex digits"),
        ({"private_key": "sesame" * 11}, "64 hex digits"),
        ({"private_key": "00" * 32}, "64 hex digits"),
        ({"address": "0x" + "11" * 20}, "the key belongs to"),
        ({"address": "0x12"}, "40 hex digits"),
        ({"address": "0x8BC070BEdAB741406F4B1Eb65A72bee27894b689"}, "mistyped"),
        ({"proxy_url": "ftp://agent:sesame@h:1"}, "the proxy must be"),
        ({"proxy_url": "http://agent:sesame@host"}, "the proxy must be"),
        ({"proxy_url": "http://agent:sesame@host:port"}, "the proxy must be"),
        ({"name": " "}, "1 to 64 characters"),
        ({"name": "11111111-1111-1111-1111-111111111111"}, "look like an account id"),
        ({"platform": "nowhere"}, "no platform"),
        ({"signer_kind": "poly_safe"}, "no accounts of kind"),
    ],
)
def test_wrong_input_is_refused_without_repeating_it(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidValue, match=says) as refused:
        register(**fields)
    # No secret in the error, nor in whatever it was raised from.
    assert "sesame" not in "".join(map(str, (refused.value, refused.value.__cause__)))
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    assert not Account.objects.exists()
    assert not AuditEntry.objects.exists()


def test_same_address_or_name_twice_is_refused() -> None:
    key = fake_key()
    register(private_key=key.hex())
    with pytest.raises(InvalidValue, match="already"):
        register(private_key=key.hex(), name="two")
    with pytest.raises(InvalidValue, match="already"):
        register()


def test_lost_announcement_is_made_once_more(events: Events) -> None:
    """Its creator died between the commit and the publish."""
    account = register()
    Account.objects.update(announced_at=None)
    assert announce_unannounced() == 1
    assert announce_unannounced() == 0
    told = events(ACCOUNT_EVENTS)
    assert len(told) == 2
    assert len({event.id for event in told}) == 1
    assert told[0].data.account_id == str(account.pk)


def test_key_of_another_address_is_refused() -> None:
    account = register()
    with pytest.raises(InvalidValue, match="register another account"):
        update_account(account.pk, by="tests", private_key=fake_key().hex())


def test_state_changes_are_audited_and_told(operator: Any, events: Events) -> None:
    account = register()
    change_account_state(account.pk, "halted", by=operator, reason="smoke", source="page")
    account.refresh_from_db()
    assert (account.state, account.state_reason) == ("halted", "smoke")
    entry = AuditEntry.objects.get(action="account.state_changed")
    assert (entry.user, entry.reason, entry.before["state"]) == (operator, "smoke", "active")
    assert [event.data.value for event in events(ACCOUNT_EVENTS) if event.type == "account_changed"] == ["halted"]


async def load_store(database_url: str, mode: str = "paper", opener: Opener | None = None) -> CredentialStore:
    async with AsyncConnectionPool(database_url, min_size=1, max_size=1, open=False) as pool:
        store = CredentialStore(pool, opener or Opener(settings.VAULT_PRIVATE_KEY_FILE), mode)  # type: ignore[arg-type]
        await store.refresh()
        return store


async def test_credentials_open_and_show_nothing(database_url: str, capfd: Any) -> None:
    key = fake_key()
    account = await sync_to_async(register)(private_key=key.hex(), proxy_url=PROXY, api_key="api-sesame")
    store = await load_store(database_url)
    known = store.get(account.pk)
    assert known is not None
    assert known.credentials is not None
    assert known.credentials.private_key == key
    assert known.credentials.proxy_url == PROXY
    shown = repr(store) + repr(known) + repr(known.credentials) + "".join(capfd.readouterr())
    for secret in (key.hex(), "sesame", repr(key)):
        assert secret not in shown


async def test_other_vaults_account_is_unavailable(database_url: str, tmp_path: Path) -> None:
    account = await sync_to_async(register)()
    other = Opener(ensure_vault(tmp_path / "other").private)
    known = (await load_store(database_url, opener=other)).get(account.pk)
    assert known is not None
    assert known.credentials is None
    assert "sealed with vault key" in known.problem


async def test_proxy_without_its_secret_is_unavailable(database_url: str) -> None:
    """An account with a proxy never speaks without it."""
    account = await sync_to_async(register)(proxy_url=PROXY)
    await SealedSecret.objects.filter(kind="proxy_url").adelete()
    known = (await load_store(database_url)).get(account.pk)
    assert known is not None
    assert known.credentials is None
    assert "proxy" in known.problem


async def test_live_process_holds_no_paper_key(database_url: str) -> None:
    await sync_to_async(register)()
    assert (await load_store(database_url, mode="live")).known() == []
