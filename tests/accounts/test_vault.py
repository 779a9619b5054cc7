"""Secrets go in and never come out but through the opener; nothing prints one."""

import traceback
from pathlib import Path

import pytest

from accounts.vault import Opener, Sealer, VaultError, ensure_vault

SECRET = b"0x1111 obviously fake"


def test_sealed_secret_opens_with_private_key(tmp_path: Path) -> None:
    files = ensure_vault(tmp_path / "vault")
    sealer, opener = Sealer(files.public), Opener(files.private)
    sealed = sealer.seal(SECRET)
    assert SECRET not in sealed
    assert sealed != sealer.seal(SECRET)
    assert opener.open(sealed, sealer.fingerprint) == SECRET
    assert sealer.fingerprint == opener.fingerprint


def test_vault_is_made_only_once(tmp_path: Path) -> None:
    first = ensure_vault(tmp_path / "vault").private.read_bytes()
    assert ensure_vault(tmp_path / "vault").private.read_bytes() == first
    assert (tmp_path / "vault" / "private.key").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in (tmp_path / "vault").iterdir()) == ["private.key", "public.key"]


def test_lost_public_key_is_derived_again(tmp_path: Path) -> None:
    files = ensure_vault(tmp_path)
    content = files.public.read_bytes()
    files.public.unlink()
    assert ensure_vault(tmp_path).public.read_bytes() == content


def test_lost_private_key_is_never_replaced(tmp_path: Path) -> None:
    ensure_vault(tmp_path).private.unlink()
    with pytest.raises(VaultError, match="backup"):
        ensure_vault(tmp_path)


def test_process_without_private_key_says_so() -> None:
    with pytest.raises(VaultError, match="HEDGEROW_VAULT_PRIVATE_KEY_FILE is not set"):
        Opener("")


def test_other_vaults_secret_is_refused(tmp_path: Path) -> None:
    one, two = ensure_vault(tmp_path / "one"), ensure_vault(tmp_path / "two")
    sealed = Sealer(one.public).seal(SECRET)
    with pytest.raises(VaultError, match="does not open"):
        Opener(two.private).open(sealed)
    with pytest.raises(VaultError, match="sealed with vault key"):
        Opener(two.private).open(sealed, Sealer(one.public).fingerprint)


def test_damaged_key_file_is_not_repeated(tmp_path: Path) -> None:
    damaged = tmp_path / "private.key"
    damaged.write_text("sesame-but-not-hex")
    try:
        Opener(damaged)
    except VaultError:
        assert "sesame" not in traceback.format_exc()
    else:
        pytest.fail("opened")


def test_neither_half_shows_its_key(tmp_path: Path) -> None:
    files = ensure_vault(tmp_path)
    private = files.private.read_text().strip()
    opener, sealer = Opener(files.private), Sealer(files.public)
    assert private not in repr(opener) + str(vars(opener)) + repr(sealer)
