"""Exchanging the vault's key pair, as files: four steps, each whole or not done at all, each harmless to repeat.

`accounts.rotation` takes them in order. A process killed between any two leaves a vault that seals and opens.
"""

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from pathlib import Path

from nacl.encoding import HexEncoder
from nacl.public import PrivateKey

from accounts.vault import (
    NEXT_NAME,
    PUBLIC_NAME,
    RETIRED_NAME,
    Sealer,
    VaultError,
    load_private_keys,
    write_beside,
)

SETTLED_AFTER = timedelta(hours=1)
"""How long a new public key is in place before an older private one may go: whoever read the old one has sealed."""


@dataclass(frozen=True)
class KeyFiles:
    """Where a vault's keys lie. There may be a copy of the public key where the web tier reads it."""

    private: Path
    public: Path

    @property
    def publics(self) -> tuple[Path, ...]:
        """Every place of the public key, the one that is sealed with last."""
        beside = self.private.with_name(PUBLIC_NAME)
        same = beside.absolute() == self.public.absolute()
        return (self.public,) if same or not beside.exists() else (beside, self.public)

    @property
    def coming(self) -> Path:
        return self.private.with_name(NEXT_NAME)


def load_sealing_key(files: KeyFiles) -> str:
    """The fingerprint of what is sealed with now. Raises VaultError when no private key here belongs to it."""
    sealing = Sealer(files.public).fingerprint
    if sealing not in load_private_keys(files.private):
        raise VaultError(
            f"{files.public} is vault key {sealing}, and none of the private keys beside {files.private} belongs to it:"
            " put the right one back before anything is rotated"
        )
    return sealing


def prepare_next(files: KeyFiles) -> None:
    """Make the new private key beside the present one. Nothing is sealed for it yet."""
    for left in files.private.parent.glob(f".{NEXT_NAME}.*"):
        left.unlink()  # half written by a process that was killed
    if not files.coming.exists():
        _install(files.coming, PrivateKey.generate().encode(HexEncoder), 0o600)


def keep_present(files: KeyFiles) -> None:
    """Give the present private key a second name, that of a retired one."""
    if not files.coming.exists():
        return
    [name, *_] = load_private_keys(files.private)
    kept = files.private.with_name(f"private.{name}.key")
    if not kept.exists():
        os.link(files.private, kept)
        _settle(files.private.parent)


def install_public(files: KeyFiles) -> None:
    """From here on everything is sealed for the new key. Openers find its private half under the name of the next."""
    if not files.coming.exists():
        return
    coming = PrivateKey(files.coming.read_bytes().strip(), HexEncoder)
    for public in files.publics:
        _install(public, coming.public_key.encode(HexEncoder), 0o644)


def install_private(files: KeyFiles) -> None:
    """The next private key is the present one. The one before it is retired."""
    if files.coming.exists():
        os.replace(files.coming, files.private)
        _settle(files.private.parent)


def find_retired(files: KeyFiles) -> dict[str, Path]:
    """Files of private keys that are not the present one, by fingerprint."""
    [present, *_] = load_private_keys(files.private)
    named = {path.name.split(".")[1]: path for path in files.private.parent.glob("private.*.key")}
    return {name: path for name, path in sorted(named.items()) if RETIRED_NAME.fullmatch(path.name) and name != present}


def minutes_until_settled(files: KeyFiles, now: datetime) -> int:
    """How long to wait until nobody can still be sealing with the key before this one; 0 when nobody is."""
    left = files.public.stat().st_mtime + SETTLED_AFTER.total_seconds() - now.timestamp()
    return max(0, ceil(left / 60))


def _install(path: Path, content: bytes, mode: int) -> None:
    """Whole, in one step, in place of what was there."""
    temporary = write_beside(path, content, mode)
    os.replace(temporary, path)
    _settle(path.parent)


def _settle(directory: Path) -> None:
    """A name is on the disk only once its directory is."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
