"""The vault's key is rotated: every secret opens at every moment, wherever it is broken off; nothing is shown."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from django.utils import timezone
from psycopg_pool import AsyncConnectionPool

from accounts import rotation
from accounts.credentials import CredentialStore
from accounts.models import Account, SealedSecret
from accounts.registration import register_account, update_account
from accounts.rotation import ONE_AT_A_TIME, Rotation, remove_retired, rotate_vault, seal_anew
from accounts.vault import Opener, Sealer, VaultError, ensure_vault
from accounts.vault_keys import KeyFiles, find_retired, prepare_next
from identity.models import AuditEntry
from tests.accounts.conftest import ROOT, fake_key

API_KEY = "api-sesame"
STEPS = ("prepared", "kept", "sealing", "present", "rows")


class Broken(Exception):
    """What breaks a rotation off in these tests."""


@pytest.fixture(autouse=True)
def files(tmp_path: Path, redis_url: str, transactional_db: None, settings: Any) -> KeyFiles:
    """A vault of this test's own."""
    made = ensure_vault(tmp_path / "vault")
    settings.VAULT_PRIVATE_KEY_FILE, settings.VAULT_PUBLIC_KEY_FILE = str(made.private), str(made.public)
    return KeyFiles(made.private, made.public)


@pytest.fixture
def secrets(files: KeyFiles) -> dict[tuple[str, str], bytes]:
    """Three accounts with two secrets each and more than a batch with one: what must open at any time."""
    planted: dict[tuple[str, str], bytes] = {}
    for number in range(3):
        key, name = fake_key(), f"account {number}"
        register(name, key)
        planted |= {(name, "private_key"): key, (name, "api_key"): API_KEY.encode()}
    sealer = Sealer(files.public)
    many = [Account(name=f"bulk {n}", platform="predict", address=f"0x{n:040x}") for n in range(rotation.BATCH)]
    SealedSecret.objects.bulk_create(
        SealedSecret(account=one, kind="api_key", sealed=sealer.seal(one.name.encode()), vault_key=sealer.fingerprint)
        for one in Account.objects.bulk_create(many)
    )
    return planted | {(one.name, "api_key"): one.name.encode() for one in many}


def register(name: str, key: bytes) -> Account:
    return register_account(name=name, platform="predict", private_key=key.hex(), api_key=API_KEY, by="tests")


def opened(opener: Opener) -> dict[tuple[str, str], bytes]:
    rows = SealedSecret.objects.select_related("account")
    return {(row.account.name, row.kind): opener.open(bytes(row.sealed), row.vault_key) for row in rows}


def named() -> set[str]:
    return set(SealedSecret.objects.values_list("vault_key", flat=True))


def rotate(**fields: Any) -> Rotation:
    return rotate_vault(by="tests", reason="a test", **fields)


def present(files: KeyFiles) -> str:
    return Sealer(files.public).fingerprint


def actions() -> list[str]:
    found = AuditEntry.objects.filter(action__startswith="vault.").order_by("id")
    return list(found.values_list("action", flat=True))


def test_every_secret_is_sealed_for_the_new_key(files: KeyFiles, secrets: dict[Any, bytes]) -> None:
    before, old_private = present(files), files.private.read_bytes()
    running = Opener(files.private)
    done = rotate()
    assert (done.before, done.rows, done.left) == (before, len(secrets), ())
    assert done.vault_key == present(files) == Opener(files.private).fingerprint != before
    assert named() == {done.vault_key}
    assert opened(Opener(files.private)) == secrets
    assert opened(running) == secrets, "a running process finds the new key by itself"
    assert find_retired(files)[before].read_bytes() == old_private
    assert sorted(path.name for path in files.private.parent.iterdir()) == sorted(
        ["private.key", "public.key", f"private.{before}.key"]
    )
    modes = {path.name: path.stat().st_mode & 0o777 for path in files.private.parent.iterdir()}
    assert {mode for name, mode in modes.items() if name.startswith("private")} == {0o600}
    assert modes["public.key"] == 0o644


def test_rotation_is_audited_and_shows_nothing(files: KeyFiles, secrets: dict[Any, bytes], capfd: Any) -> None:
    done = rotate()
    began, ended = AuditEntry.objects.filter(action__startswith="vault.").order_by("id")
    assert (began.action, began.before, began.reason) == (
        "vault.rotation_began", {"vault_key": done.before}, "a test",
    )  # fmt: skip
    assert (ended.action, ended.before, ended.after) == (
        "vault.rotated", {"vault_key": done.before}, {"vault_key": done.vault_key, "rows": len(secrets), "left": []},
    )  # fmt: skip
    keys = [path.read_text().strip() for path in files.private.parent.glob("private*")]
    shown = repr(list(AuditEntry.objects.values())) + "".join(capfd.readouterr()) + repr(done)
    assert not [secret for secret in (*keys, API_KEY, *(s.hex() for s in secrets.values())) if secret in shown]


@pytest.mark.parametrize("step", STEPS)
def test_broken_off_after_any_step_is_ended_later(files: KeyFiles, secrets: dict[Any, bytes], step: str) -> None:
    before, running = present(files), Opener(files.private)

    def break_off(name: str, done: int, total: int) -> None:
        if name == step:
            raise Broken

    with pytest.raises(Broken):
        rotate(told=break_off)
    assert opened(running) == secrets
    assert opened(Opener(files.private)) == secrets
    assert len(named()) == (2 if step == "rows" else 1), "between two batches"
    assert update_account(Account.objects.get(name="account 0").pk, by="tests", api_key=API_KEY), "still seals"
    assert opened(running) == secrets
    done = rotate()
    assert present(files) != before
    assert named() == {present(files)}
    assert opened(Opener(files.private)) == opened(running) == secrets
    assert list(find_retired(files)) == [before], "one new key, not two"
    assert not list(files.private.parent.glob(".*"))
    assert done.vault_key == present(files)
    assert actions() == ["vault.rotation_began", "vault.rotation_resumed", "vault.rotated"]


@pytest.mark.parametrize(("step", "count"), [("prepared", 1), ("sealing", 1), ("rows", 2)])
def test_killed_process_loses_no_secret(
    files: KeyFiles, secrets: dict[Any, bytes], step: str, count: int, database_url: str
) -> None:
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "HEDGEROW_VAULT_PRIVATE_KEY_FILE": str(files.private),
        "HEDGEROW_VAULT_PUBLIC_KEY_FILE": str(files.public),
        "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}",
    }
    before = present(files)
    script = ROOT / "tests" / "accounts" / "rotation_process.py"
    ended = subprocess.run(
        [sys.executable, str(script), step, str(count)], env=environment, capture_output=True, timeout=60, check=False
    )
    assert ended.returncode == -9, ended.stderr.decode()[-2000:]
    assert opened(Opener(files.private)) == secrets
    rotate(replacing=before)
    assert named() == {present(files)} != {before}
    assert opened(Opener(files.private)) == secrets


def test_asked_twice_it_is_done_once(files: KeyFiles, secrets: dict[Any, bytes]) -> None:
    before = present(files)
    first = rotate(replacing=before)
    again = rotate(replacing=before)
    assert (again.before, again.vault_key, again.rows) == (first.vault_key, first.vault_key, 0)
    assert actions() == ["vault.rotation_began", "vault.rotated"]


def test_two_rotations_at_once_are_one(files: KeyFiles, secrets: dict[Any, bytes]) -> None:
    before, other = present(files), connections.create_connection("default")
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [ONE_AT_A_TIME])
        with pytest.raises(VaultError, match="being rotated already"):
            rotate()
    finally:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [ONE_AT_A_TIME])
        other.close()
    assert present(files) == before
    assert not actions()
    rotate()
    rotate()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s",
                       [ONE_AT_A_TIME % 2**32])  # fmt: skip
        assert cursor.fetchone() == (0,), "the lock was given back"


def test_damaged_secret_stays_and_is_named(files: KeyFiles, secrets: dict[Any, bytes]) -> None:
    row = SealedSecret.objects.filter(account__name="account 1", kind="api_key")
    row.update(sealed=b"damaged")
    done = rotate()
    assert done.rows == len(secrets) - 1
    assert "api_key of account 1" in done.left[0]
    assert row.get().vault_key == done.before
    assert bytes(row.get().sealed) == b"damaged"
    assert actions()[-1] == "vault.rotation_incomplete"
    _, kept = remove_retired(by="tests", reason="too early", now=timezone.now() + timedelta(days=1))
    assert kept == {done.before: "1 secrets are sealed with it"}
    with pytest.raises(CommandError, match="account 1"):
        call_command("rotate_vault", "--reason", "once more")


def test_seal_that_does_not_hold_is_not_kept(files: KeyFiles, secrets: dict[Any, bytes], tmp_path: Path) -> None:
    """Another vault's public key: its seals are never put in the place of ours."""
    stranger = Sealer(ensure_vault(tmp_path / "stranger").public)
    rows, left = seal_anew(Opener(files.private), stranger)
    assert rows == 0
    assert len(left) == len(secrets)
    assert opened(Opener(files.private)) == secrets


def test_lost_new_key_is_noticed_before_anything_is_sealed(files: KeyFiles, secrets: dict[Any, bytes]) -> None:
    ours = files.public.read_bytes()
    files.public.write_bytes(ensure_vault(files.private.parent.parent / "wrong").public.read_bytes())
    with pytest.raises(VaultError, match="none of the private keys"):
        rotate()
    files.public.write_bytes(ours)
    assert opened(Opener(files.private)) == secrets


def test_old_key_goes_only_once_nothing_needs_it(files: KeyFiles, secrets: dict[Any, bytes]) -> None:
    old = Sealer(files.public)
    rotate()
    removed, kept = remove_retired(by="tests", reason="at once")
    assert removed == []
    assert "may still be sealed" in kept[old.fingerprint]
    later = timezone.now() + timedelta(hours=2)
    slow = SealedSecret.objects.get(account__name="account 2", kind="api_key")
    SealedSecret.objects.filter(pk=slow.pk).update(sealed=old.seal(API_KEY.encode()), vault_key=old.fingerprint)
    assert remove_retired(by="tests", reason="still", now=later)[0] == []
    assert opened(Opener(files.private)) == secrets, "a slow web process sealed with the key of before"
    ended = rotate()
    assert (ended.before, ended.rows) == (ended.vault_key, 1), "that one is sealed anew, without another key"
    assert remove_retired(by="tests", reason="now", now=later) == ([old.fingerprint], {})
    assert find_retired(files) == {}
    assert opened(Opener(files.private)) == secrets
    assert actions()[-1] == "vault.key_removed"


def test_unfinished_rotation_keeps_every_key(files: KeyFiles, secrets: dict[Any, bytes]) -> None:
    prepare_next(files)
    with pytest.raises(VaultError, match="unfinished"):
        remove_retired(by="tests", reason="x", now=timezone.now() + timedelta(days=1))


def test_second_rotation_keeps_both_older_keys(files: KeyFiles, secrets: dict[Any, bytes]) -> None:
    first, second = rotate(), rotate()
    assert first.vault_key == second.before
    assert set(find_retired(files)) == {first.before, second.before}
    assert opened(Opener(files.private)) == secrets


def test_copy_of_the_public_key_is_exchanged_too(
    files: KeyFiles, secrets: dict[Any, bytes], settings: Any, tmp_path: Path
) -> None:
    """The web tier may read it from a directory of its own."""
    copy = tmp_path / "web" / "public.key"
    copy.parent.mkdir()
    copy.write_bytes(files.public.read_bytes())
    settings.VAULT_PUBLIC_KEY_FILE = str(copy)
    rotate()
    assert copy.read_bytes() == files.public.read_bytes()
    assert opened(Opener(files.private)) == secrets


def test_process_without_the_private_key_rotates_nothing(files: KeyFiles, settings: Any) -> None:
    settings.VAULT_PRIVATE_KEY_FILE = ""
    with pytest.raises(CommandError, match="HEDGEROW_VAULT_PRIVATE_KEY_FILE is not set"):
        call_command("rotate_vault", "--reason", "a test")
    assert not actions()


def test_command_rotates_and_removes(files: KeyFiles, secrets: dict[Any, bytes], capsys: Any) -> None:
    before = present(files)
    call_command("rotate_vault", "--reason", "yearly")
    assert f"The private key of {before} stays" in capsys.readouterr().out
    old = (timezone.now() - timedelta(hours=2)).timestamp()
    os.utime(files.public, (old, old))
    call_command("rotate_vault", "--reason", "yearly", "--remove-retired")
    assert capsys.readouterr().out == f"Removed {before}.\n"
    assert set(AuditEntry.objects.filter(action__startswith="vault.").values_list("who", "reason", "source")) == {
        ("manage.py rotate_vault", "yearly", "command")
    }


def test_rotation_within_a_transaction_is_refused(files: KeyFiles, secrets: dict[Any, bytes]) -> None:
    """Its batches must be durable one by one."""
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        seal_anew(Opener(files.private), Sealer(ensure_vault(files.private.parent.parent / "other").public))


async def test_running_process_keeps_its_accounts(files: KeyFiles, database_url: str) -> None:
    """No account connects anew for a rotation; one changed after it is opened with the new key."""
    key = fake_key()
    account = await sync_to_async(register)("one", key)
    opener = Opener(files.private)
    async with AsyncConnectionPool(database_url, min_size=1, max_size=1, open=False) as pool:
        store = CredentialStore(pool, opener, "paper")
        await store.refresh()
        held = store.get(account.pk)
        await sync_to_async(rotate, thread_sensitive=True)()
        assert await store.refresh() == []
        assert store.get(account.pk) == held
        await sync_to_async(update_account)(account.pk, by="tests", api_key="another")
        [changed] = await store.refresh()
        assert changed.problem == ""
        assert changed.credentials is not None
        assert (changed.credentials.private_key, changed.credentials.api_key) == (key, "another")


async def test_account_comes_back_when_its_key_arrives_late(files: KeyFiles, database_url: str, tmp_path: Path) -> None:
    """On another machine the new private key is copied after the rotation."""
    there = ensure_vault(tmp_path / "there")
    there.private.write_bytes(files.private.read_bytes())
    opener = Opener(there.private)
    await sync_to_async(rotate)()
    account = await sync_to_async(register)("one", fake_key())
    async with AsyncConnectionPool(database_url, min_size=1, max_size=1, open=False) as pool:
        store = CredentialStore(pool, opener, "paper")
        await store.refresh()
        known = store.get(account.pk)
        assert known is not None
        assert "sealed with vault key" in known.problem
        there.private.with_name("private.next.key").write_bytes(files.private.read_bytes())
        await sync_to_async(Account.objects.update)(updated_at=timezone.now() - timedelta(hours=1))
        await sync_to_async(SealedSecret.objects.update)(created_at=timezone.now() - timedelta(hours=1))
        [back] = await store.refresh()
        assert back.problem == ""


def test_progress_is_told_secret_by_secret(files: KeyFiles, secrets: dict[Any, bytes]) -> None:
    told: list[tuple[int, int]] = []
    done = rotate(told=lambda name, done, total: told.append((done, total)) if name == "rows" else None)
    assert done.rows == len(secrets) > rotation.BATCH
    assert told == [(n, done.rows) for n in range(1, done.rows + 1)]
