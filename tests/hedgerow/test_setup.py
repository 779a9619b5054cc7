"""`manage.py setup`: what it makes once, shows once, and leaves alone after."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django import Settings

from identity.models import AuditEntry, User


@pytest.fixture
def vault(settings: Settings, tmp_path: Path) -> Path:
    settings.VAULT_PRIVATE_KEY_FILE = str(tmp_path / "vault" / "private.key")
    settings.VAULT_PUBLIC_KEY_FILE = str(tmp_path / "vault" / "public.key")
    return tmp_path / "vault"


def run_setup(*arguments: str) -> str:
    out = StringIO()
    call_command("setup", "--accounts", "0", *arguments, stdout=out)
    return out.getvalue()


def shown_password(text: str) -> str:
    return text.split("password: ")[1].split()[0]


@pytest.mark.django_db
def test_first_run_shows_a_working_login_once(vault: Path) -> None:
    password = shown_password(run_setup())
    operator = User.objects.get(username="operator")
    assert operator.check_password(password)
    assert operator.is_superuser
    assert run_setup() == ""


@pytest.mark.django_db
def test_reset_replaces_the_password_and_is_audited(vault: Path) -> None:
    first = shown_password(run_setup())
    second = shown_password(run_setup("--reset-operator"))
    operator = User.objects.get(username="operator")
    assert operator.check_password(second)
    assert not operator.check_password(first)
    actions = list(AuditEntry.objects.order_by("id").values_list("action", flat=True))
    assert actions == ["user.created", "user.password_reset"]
    assert second not in str(list(AuditEntry.objects.values()))


@pytest.mark.django_db
def test_vault_keys_are_made_once_and_kept(vault: Path) -> None:
    run_setup()
    before = (vault / "public.key").read_bytes()
    run_setup()
    assert (vault / "public.key").read_bytes() == before
    assert (vault / "private.key").stat().st_mode & 0o077 == 0


@pytest.mark.django_db
def test_process_without_key_place_makes_no_vault(vault: Path, settings: Settings) -> None:
    settings.VAULT_PRIVATE_KEY_FILE = ""
    run_setup()
    assert not vault.exists()
