"""The admin: every model is there, ledger rows are only read, secrets go in and never come out."""

import json
import secrets as randomness
from datetime import timedelta
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Account, SealedSecret
from accounts.vault import ensure_vault
from identity.back_office import ReadOnlyAdmin, plain
from identity.models import AuditEntry
from strategies.models import Pair, Strategy
from tests.desk_rows import add_fills, add_positions, make_desk

OURS = ("identity", "alerts", "markets", "accounts", "strategies")
LEDGER = ("accounts.Order", "accounts.Fill", "accounts.Position", "accounts.EngineLease", "accounts.Desk",
          "strategies.Exposure", "strategies.Decision", "identity.AuditEntry", "accounts.SealedSecret")  # fmt: skip
FAKE_KEY = "0x" + "11" * 32
"""An obviously fake private key."""
FAKE_ADDRESS = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
PROXY = "socks5://someone:swordfish-of-the-tests@proxy.invalid:1080"


@pytest.fixture
def office(client: Client, operator: object) -> Client:
    client.force_login(operator)  # type: ignore[arg-type]
    return client


@pytest.fixture
def vault() -> None:
    ensure_vault(Path(settings.VAULT_PUBLIC_KEY_FILE).parent)


def address_of(model: type[models.Model], tail: str = "") -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/{tail}"


def test_every_model_of_every_app_is_registered() -> None:
    ours = {model for label in OURS for model in apps.get_app_config(label).get_models()}
    assert ours <= admin.site._registry.keys()


@pytest.mark.parametrize("label", LEDGER)
def test_ledger_rows_are_read_only(office: Client, label: str) -> None:
    model = apps.get_model(label)
    assert isinstance(admin.site._registry[model], ReadOnlyAdmin)
    assert office.get(address_of(model)).status_code == 200
    assert office.get(address_of(model, "add/")).status_code == 403


def test_every_list_and_row_opens_in_few_queries(office: Client) -> None:
    now = timezone.now()
    rows = make_desk(now)
    add_fills(rows, now, 120, spacing=timedelta(seconds=1))
    add_positions(rows, now)
    for model, model_admin in admin.site._registry.items():
        with CaptureQueriesContext(connection) as queries:
            assert office.get(address_of(model)).status_code == 200
            assert office.get(address_of(model, "?q=100")).status_code == 200
        assert len(queries) <= 16, f"{model_admin}: {len(queries)} queries for a list and a search"
        row = model._default_manager.first()
        if row is not None:
            page = office.get(address_of(model, f"{quote(str(row.pk))}/change/"))
            assert page.status_code == 200
            assert b"SIGNED-BYTES" not in page.content


def test_header_tells_paper_from_live(office: Client) -> None:
    assert b"PAPER" in office.get("/admin/").content


def add_account(office: Client, **fields: str):  # type: ignore[no-untyped-def]
    data = {"name": "first", "platform": "predict", "signer_kind": "eoa", "private_key": FAKE_KEY, **fields}
    return office.post(address_of(Account, "add/"), data)


@pytest.mark.django_db(transaction=True)
def test_account_is_added_with_sealed_secrets(office: Client, vault: None, redis_url: str) -> None:
    answer = add_account(office, api_key="an-api-key-of-the-tests", proxy_url=PROXY, tags="maker, eu", max_order="50")
    assert answer.status_code == 302
    account = Account.objects.get()
    assert account.address == FAKE_ADDRESS
    assert account.tags == ["maker", "eu"]
    assert set(SealedSecret.objects.values_list("kind", flat=True)) == {"private_key", "api_key", "proxy_url"}
    page = office.get(address_of(Account, f"{account.pk}/change/")).content.decode()
    everything = page + json.dumps(list(AuditEntry.objects.values("before", "after", "reason")), default=str)
    assert "proxy.invalid:1080" in page
    for secret in ("11" * 32, "swordfish", "an-api-key-of-the-tests"):
        assert secret not in everything


@pytest.mark.django_db(transaction=True)
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


@pytest.mark.django_db(transaction=True)
def test_empty_secret_fields_keep_what_is_sealed(office: Client, vault: None, redis_url: str) -> None:
    add_account(office, api_key="an-api-key-of-the-tests")
    account = Account.objects.get()
    sealed = {row.kind: bytes(row.sealed) for row in SealedSecret.objects.all()}
    page = address_of(Account, f"{account.pk}/change/")
    assert office.post(page, {"name": "renamed"}).status_code == 302
    account.refresh_from_db()
    assert account.name == "renamed"
    assert account.address == FAKE_ADDRESS
    assert {row.kind: bytes(row.sealed) for row in SealedSecret.objects.all()} == sealed
    assert office.post(page, {"name": "renamed", "remove_api_key": "on"}).status_code == 302
    assert list(SealedSecret.objects.values_list("kind", flat=True)) == ["private_key"]


@pytest.mark.django_db(transaction=True)
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


@pytest.mark.django_db(transaction=True)
def test_viewer_cannot_halt_accounts(client: Client, viewer, redis_url: str) -> None:  # type: ignore[no-untyped-def]
    rows = make_desk(timezone.now(), pairs=1)
    viewer.is_staff = True
    viewer.save()
    client.force_login(viewer)
    step = {"action": "halt_accounts", "_selected_action": [str(rows.pairs[0].primary_id)]}
    client.post(address_of(Account), step | {"confirmed": "yes", "reason": "mischief"})
    assert not Account.objects.filter(state="halted").exists()


def strategy_data(strategy: Strategy, **fields: object) -> dict[str, object]:
    pairs = list(Pair.objects.filter(strategy=strategy).order_by("id"))
    data: dict[str, object] = {
        "config": json.dumps(strategy.config), "expected_version": strategy.version, "reason": "a test",
        "pairs-TOTAL_FORMS": len(pairs), "pairs-INITIAL_FORMS": len(pairs),
    }  # fmt: skip
    for n, pair in enumerate(pairs):
        data |= {
            f"pairs-{n}-id": str(pair.pk), f"pairs-{n}-strategy": str(strategy.pk),
            f"pairs-{n}-primary": str(pair.primary_id), f"pairs-{n}-hedge": str(pair.hedge_id),
            f"pairs-{n}-enabled": "on",
        }  # fmt: skip
    return data | fields


@pytest.mark.django_db(transaction=True)
def test_strategy_is_reconfigured_and_audited(office: Client, redis_url: str) -> None:
    strategy = make_desk(timezone.now(), pairs=2).strategy
    page = address_of(Strategy, f"{strategy.pk}/change/")
    answer = office.post(page, strategy_data(strategy, config='{"max_loss": "0.01"}'))
    assert answer.status_code == 302, answer.context["errors"] if answer.context else answer
    strategy.refresh_from_db()
    assert strategy.config["max_loss"] == "0.01"
    assert strategy.version == 2
    assert AuditEntry.objects.filter(action="strategy.reconfigured", reason="a test").count() == 1
    assert Pair.objects.filter(strategy=strategy, enabled=True).count() == 2


@pytest.mark.django_db(transaction=True)
def test_bad_configuration_is_refused_in_its_own_words(office: Client, redis_url: str) -> None:
    strategy = make_desk(timezone.now(), pairs=1).strategy
    page = address_of(Strategy, f"{strategy.pk}/change/")
    answer = office.post(page, strategy_data(strategy, config='{"max_los": "0.01"}'))
    assert answer.status_code == 200
    assert b"max_los" in answer.content
    strategy.refresh_from_db()
    assert strategy.version == 1


@pytest.mark.django_db(transaction=True)
def test_stale_form_does_not_overwrite_a_change(office: Client, redis_url: str) -> None:
    strategy = make_desk(timezone.now(), pairs=1).strategy
    stale = strategy_data(strategy, config='{"max_loss": "0.05"}')
    Strategy.objects.filter(pk=strategy.pk).update(version=7)
    answer = office.post(address_of(Strategy, f"{strategy.pk}/change/"), stale)
    assert b"Somebody else changed this strategy" in answer.content
    strategy.refresh_from_db()
    assert strategy.config == {}


@pytest.mark.django_db(transaction=True)
def test_pair_taken_off_is_disabled_not_deleted(office: Client, redis_url: str) -> None:
    rows = make_desk(timezone.now(), pairs=2)
    data = strategy_data(rows.strategy)
    del data["pairs-1-enabled"]
    answer = office.post(address_of(Strategy, f"{rows.strategy.pk}/change/"), data)
    assert answer.status_code == 302
    assert sorted(Pair.objects.values_list("enabled", flat=True)) == [False, True]


@pytest.mark.django_db(transaction=True)
def test_strategy_is_started_and_halted_by_action(office: Client, redis_url: str) -> None:
    strategy = make_desk(timezone.now(), pairs=1).strategy
    step = {"_selected_action": [str(strategy.pk)], "confirmed": "yes"}
    office.post(address_of(Strategy), step | {"action": "halt_strategies", "reason": "night"})
    strategy.refresh_from_db()
    assert (strategy.state, strategy.state_reason) == ("halted", "night")
    office.post(address_of(Strategy), step | {"action": "start_strategies", "reason": "morning"})
    strategy.refresh_from_db()
    assert strategy.state == "active"


def test_amounts_lose_no_digit_that_counts() -> None:
    assert plain(None) == "–"
    assert plain(Account._meta.get_field("collateral").to_python("1250.500000000000000000")) == "1,250.5"
    assert plain(Account._meta.get_field("collateral").to_python("0E-18")) == "0"
