"""The vault's key in the admin: who may ask for a new one, what a worker is told, how the page follows it."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from accounts.models import SealedSecret
from accounts.tasks import rotate_vault_key
from accounts.vault import Opener, Sealer, VaultFiles, ensure_vault
from accounts.vault_page import TASK
from identity.models import AuditEntry, User
from identity.roles import record_role_permissions
from tests.admin_office import API_KEY, PROXY, SECRETS, add_account
from web.progress import load_steps

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/admin/vault/"


@pytest.fixture(autouse=True)
def files(tmp_path: Path, settings: Any, redis_url: str) -> VaultFiles:
    """A vault of this test's own; the web tier is told of its public half only."""
    made = ensure_vault(tmp_path / "vault")
    settings.VAULT_PUBLIC_KEY_FILE, settings.VAULT_PRIVATE_KEY_FILE = str(made.public), ""
    return made


def test_page_asks_and_a_worker_rotates(office: Client, files: VaultFiles, waiting: Any, settings: Any) -> None:
    add_account(office, api_key=API_KEY, proxy_url=PROXY)
    before = Sealer(files.public).fingerprint
    page = office.get(PAGE).content.decode()
    assert f'<td>{before}</td><td class="number">3</td><td>seals now</td>' in page
    assert "Never rotated." in page
    asked = office.post(PAGE, {"reason": "somebody left"})
    assert asked.status_code == 302
    assert Sealer(files.public).fingerprint == before, "the web tier rotates nothing"
    [args] = waiting(TASK)
    followed = office.get(asked.headers["Location"])
    assert "waiting for a worker" in followed.content.decode()
    assert followed.headers["Refresh"] == "1"
    assert 'name="reason"' not in followed.content.decode(), "not asked for twice"

    settings.VAULT_PRIVATE_KEY_FILE = str(files.private)
    rotate_vault_key(*args)
    rotate_vault_key(*args)  # delivered once more
    after = Sealer(files.public).fingerprint
    assert set(SealedSecret.objects.values_list("vault_key", flat=True)) == {after} != {before}
    assert len(list(files.private.parent.glob("private.*.key"))) == 1
    opener = Opener(files.private)
    assert {opener.open(bytes(row.sealed), row.vault_key) for row in SealedSecret.objects.all()} == {
        bytes.fromhex("11" * 32), API_KEY.encode(), PROXY.encode(),
    }  # fmt: skip
    answer = office.get(asked.headers["Location"])
    page = answer.content.decode()
    assert "Refresh" not in answer.headers
    assert f'<td>{after}</td><td class="number">3</td><td>seals now</td>' in page
    assert f"{before} → {after}" in page
    assert "somebody left" in page
    assert not [secret for secret in (*SECRETS, files.private.read_text().strip()) if secret in page]
    written = AuditEntry.objects.filter(action__startswith="vault.").order_by("id")
    assert list(written.values_list("action", "who", "reason", "source")) == [
        (action, "operator", "somebody left", "admin")
        for action in ("vault.rotation_asked", "vault.rotation_began", "vault.rotated")
    ]


def test_worker_without_the_private_key_says_so(office: Client, files: VaultFiles, waiting: Any) -> None:
    office.post(PAGE, {"reason": "a drill"})
    [args] = waiting(TASK)
    rotate_vault_key(*args)
    steps = load_steps(f"vault:{args[3]}")
    assert steps is not None
    assert steps.is_over
    assert steps.word.startswith("Not rotated: HEDGEROW_VAULT_PRIVATE_KEY_FILE is not set")


def test_rotation_wants_a_reason(office: Client, waiting: Any) -> None:
    assert b"This field is required" in office.post(PAGE, {"reason": ""}).content
    assert waiting(TASK) == []
    assert not AuditEntry.objects.filter(action__startswith="vault.").exists()


def test_only_an_admin_may_ask(client: Client, trader: User, viewer: User, waiting: Any) -> None:
    record_role_permissions()
    for person in (trader, viewer):
        person.is_staff = True
        person.save()
        client.force_login(person)
        assert b'name="reason"' not in client.get(PAGE).content
        assert client.post(PAGE, {"reason": "mischief"}).status_code == 403
    client.logout()
    assert client.get(PAGE).status_code == 302
    assert waiting(TASK) == []
    assert not AuditEntry.objects.filter(action__startswith="vault.").exists()


def test_missing_vault_is_told(office: Client, files: VaultFiles, waiting: Any) -> None:
    files.public.unlink()
    page = office.get(PAGE)
    assert page.status_code == 200
    assert b"cannot read the vault key" in page.content
    assert office.post(PAGE, {"reason": "a drill"}).status_code == 200
    assert waiting(TASK) == []
