"""Accounts in the admin: added with sealed secrets, changed and acted on with a reason; secrets never come out."""

import json
import secrets as randomness

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Account, SealedSecret
from identity.models import AuditEntry
from identity.roles import record_role_permissions
from tests.admin_office import API_KEY, FAKE_ADDRESS, FAKE_KEY, PROXY, SECRETS, add_account, address_of
from tests.desk_rows import make_desk

pytestmark = pytest.mark.django_db(transaction=True)


def test_account_is_added_with_sealed_secrets(office: Client, vault: None, redis_url: str) -> None:
    answer = add_account(office, api_key=API_KEY, proxy_url=PROXY, tags="maker, eu", max_order="50")
    assert answer.status_code == 302
    account = Account.objects.get()
    assert account.address == FAKE_ADDRESS
    assert account.tags == ["maker", "eu"]
    assert set(SealedSecret.objects.values_list("kind", flat=True)) == {"private_key", "api_key", "proxy_url"}
    page = office.get(address_of(Account, f"{account.pk}/change/")).content.decode()
    everything = page + json.dumps(list(AuditEntry.objects.values("before", "after", "reason")), default=str)
    assert "proxy.invalid:1080" in page
    assert not any(secret in everything for secret in SECRETS)


def test_refused_account_is_explained_and_never_echoed(office: Client, vault: None, redis_url: str) -> None:
    typed = randomness.token_hex(31)
    answer = add_account(office, private_key=typed, proxy_url=PROXY)
    text = answer.content.decode()
    assert answer.status_code == 200
    assert "64 hex digits" in text
    assert typed not in text
    assert "swordfish" not in text
    assert not Account.objects.exists()
    assert not SealedSecret.objects.exists()


def test_account_is_renamed_with_a_reason_only(office: Client, vault: None, redis_url: str) -> None:
    add_account(office, api_key=API_KEY)
    account = Account.objects.get()
    sealed = {row.kind: bytes(row.sealed) for row in SealedSecret.objects.all()}
    page = address_of(Account, f"{account.pk}/change/")
    Account.objects.update(max_order=500)
    assert 'value="500"' in office.get(page).content.decode(), "without empty digits"
    assert office.post(page, {"name": "renamed"}).status_code == 200
    assert office.post(page, {"name": "renamed", "reason": "a better name"}).status_code == 302
    account.refresh_from_db()
    assert (account.name, account.address) == ("renamed", FAKE_ADDRESS)
    assert {row.kind: bytes(row.sealed) for row in SealedSecret.objects.all()} == sealed
    assert AuditEntry.objects.get(action="account.changed").reason == "a better name"


def test_secrets_are_replaced_write_only_and_audited(office: Client, vault: None, redis_url: str) -> None:
    add_account(office, api_key=API_KEY)
    account = Account.objects.get()
    before = {row.kind: bytes(row.sealed) for row in SealedSecret.objects.all()}
    page = address_of(Account, f"{account.pk}/replace-secrets/")
    shown = office.get(page).content.decode()
    assert "api key: given" in shown
    assert "The old one is overwritten and cannot be brought back." in shown
    assert shown.count("Empty: keep what is sealed.") == 3
    step = {"confirmed": "yes", "private_key": FAKE_KEY, "api_key": "another-key-of-the-tests", "reason": "rotation"}
    unreasoned = office.post(page, step | {"reason": ""}).content.decode()
    assert "11" * 32 not in unreasoned
    assert "another-key" not in unreasoned
    assert {row.kind: bytes(row.sealed) for row in SealedSecret.objects.all()} == before
    assert office.post(page, step).status_code == 302
    after = {row.kind: bytes(row.sealed) for row in SealedSecret.objects.all()}
    assert after.keys() == before.keys()
    assert all(after[kind] != before[kind] for kind in after)
    entry = AuditEntry.objects.get(action="account.changed")
    assert (entry.reason, entry.after["replaced"]) == ("rotation", "private_key, api_key")
    assert "another-key" not in json.dumps(entry.after)
    removed = {"confirmed": "yes", "remove_api_key": "on", "reason": "not needed"}
    assert office.post(page, removed).status_code == 302
    assert list(SealedSecret.objects.values_list("kind", flat=True)) == ["private_key"]
    SealedSecret.objects.all().delete()
    assert b"Nothing is sealed yet." in office.get(page).content


def test_key_of_another_address_is_refused(office: Client, vault: None, redis_url: str) -> None:
    add_account(office)
    account = Account.objects.get()
    other = "22" * 32  # obviously fake
    sealed = bytes(SealedSecret.objects.get().sealed)
    page = address_of(Account, f"{account.pk}/replace-secrets/")
    answer = office.post(page, {"confirmed": "yes", "private_key": other, "reason": "rotation"}, follow=True)
    assert b"register another account" in answer.content
    assert other.encode() not in answer.content
    assert bytes(SealedSecret.objects.get().sealed) == sealed


def test_only_an_admin_replaces_secrets(client: Client, trader, office: Client, vault: None, redis_url: str) -> None:  # type: ignore[no-untyped-def]
    add_account(office)
    account, sealed = Account.objects.get(), bytes(SealedSecret.objects.get().sealed)
    record_role_permissions()
    client.force_login(trader)
    page = address_of(Account, f"{account.pk}/replace-secrets/")
    assert client.get(page).status_code == 403
    assert client.post(page, {"confirmed": "yes", "private_key": FAKE_KEY, "reason": "mischief"}).status_code == 403
    assert bytes(SealedSecret.objects.get().sealed) == sealed


def test_accounts_are_halted_with_a_reason(office: Client, redis_url: str) -> None:
    rows = make_desk(timezone.now(), pairs=1)
    chosen = [str(rows.pairs[0].primary_id), str(rows.pairs[0].hedge_id)]
    step = {"action": "halt_accounts", "_selected_action": chosen}
    assert b"predict-01" in office.post(address_of(Account), step).content
    assert not Account.objects.filter(state="halted").exists(), "looking at it halts nothing"
    office.post(address_of(Account), step | {"confirmed": "yes", "reason": ""})
    assert not Account.objects.filter(state="halted").exists(), "without a reason nothing happens"
    office.post(address_of(Account), step | {"confirmed": "yes", "reason": "venue is odd"})
    assert list(Account.objects.values_list("state", "state_reason")) == [("halted", "venue is odd")] * 2
    assert AuditEntry.objects.filter(action="account.state_changed", reason="venue is odd", source="admin").count() == 2
    here = address_of(Account, f"{chosen[0]}/activate-accounts/")
    assert b"These send orders again" in office.get(here).content
    assert office.post(here, {"confirmed": "yes", "reason": "it is well again"}).status_code == 302
    assert Account.objects.get(pk=chosen[0]).state == "active"


def test_viewer_cannot_act_on_accounts(client: Client, viewer, redis_url: str) -> None:  # type: ignore[no-untyped-def]
    rows = make_desk(timezone.now(), pairs=1)
    record_role_permissions()
    viewer.is_staff = True
    viewer.save()
    client.force_login(viewer)
    first = str(rows.pairs[0].primary_id)
    done = {"confirmed": "yes", "reason": "mischief", "max_slippage": "0.05"}
    for name in ("halt_accounts", "reduce_accounts", "close_accounts"):
        client.post(address_of(Account), done | {"action": name, "_selected_action": [first]})
        page = address_of(Account, f"{first}/{name.replace('_', '-')}/")
        assert client.post(page, done).status_code == 403
    assert set(Account.objects.values_list("state", flat=True)) == {"active"}
    assert not AuditEntry.objects.exists()


def test_everything_at_once_is_refused(office: Client, redis_url: str) -> None:
    rows = make_desk(timezone.now(), pairs=1)
    step = {"action": "halt_accounts", "_selected_action": [str(rows.pairs[0].primary_id)], "select_across": "1"}
    office.post(address_of(Account), step | {"confirmed": "yes", "reason": "all of them"})
    assert not Account.objects.filter(state="halted").exists()


def test_closing_without_a_book_says_why(office: Client, redis_url: str, settings) -> None:  # type: ignore[no-untyped-def]
    settings.PREDICT_API_URL = "http://127.0.0.1:9"
    rows = make_desk(timezone.now(), pairs=1)
    account = rows.pairs[0].primary
    page = office.get(address_of(Account, f"{account.pk}/close-accounts/")).content.decode()
    assert "It has no orders and holds nothing: there is nothing to close." in page
    assert "0 orders" not in page
    assert Account.objects.get(pk=account.pk).state == "active"
