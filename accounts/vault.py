"""The vault: secrets are sealed with a public key and opened with a private one (libsodium sealed boxes).

The web tier holds a `Sealer` only, so it can write a key and never read one. The engine, the listener and the
reconciling worker hold an `Opener`. Neither shows key material in a repr, an error or a log. There is one public key
at a time; private keys stay beside it until nothing is sealed with theirs (`accounts.vault_keys` exchanges them).
"""

import os
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_hex

from nacl.encoding import HexEncoder
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

PUBLIC_NAME = "public.key"
PRIVATE_NAME = "private.key"
NEXT_NAME = "private.next.key"
"""Made by a rotation, beside the present one, before anything is sealed for it."""
RETIRED_NAME = re.compile(r"private\.[0-9a-f]{16}\.key")
"""A private key of before; kept as long as a row names it."""


class VaultError(Exception):
    """A vault key that is missing, unreadable or not the one a secret was sealed with. Says what to do."""


@dataclass(frozen=True)
class VaultFiles:
    """Where a vault's two keys lie."""

    public: Path
    private: Path


def ensure_vault(directory: Path) -> VaultFiles:
    """The vault of `directory`, made on the first call: private.key (0600) first, then public.key.

    A lost public key is derived again from the private one. A lost private key is an error, never replaced: what was
    sealed before could not be opened any more.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    files = VaultFiles(public=directory / PUBLIC_NAME, private=directory / PRIVATE_NAME)
    if files.public.exists() and not files.private.exists():
        raise VaultError(
            f"{files.private} is missing beside {files.public}: put it back from its backup. A new vault would not open"
            " what this one sealed."
        )
    if not files.private.exists():
        _write(files.private, PrivateKey.generate().encode(HexEncoder), 0o600)
    if not files.public.exists():
        _write(files.public, _load_private(files.private).public_key.encode(HexEncoder), 0o644)
    return files


def fingerprint(public_key: PublicKey) -> str:
    """Sixteen hex digits that name a vault key; kept with every secret that was sealed with it."""
    return sha256(b"hedgerow vault" + bytes(public_key)).hexdigest()[:16]


class Sealer:
    """Seals secrets. Cannot open them, not even its own."""

    def __init__(self, public_key_file: Path | str) -> None:
        """Raises VaultError when there is no such key."""
        path = _configured(public_key_file, "HEDGEROW_VAULT_PUBLIC_KEY_FILE")
        try:
            self._key = PublicKey(_read(path), HexEncoder)
        except (ValueError, TypeError, CryptoError):
            raise VaultError(f"{path} is not a vault key: run `manage.py setup`, or restore the file") from None
        self._box = SealedBox(self._key)
        self.fingerprint = fingerprint(self._key)

    def __repr__(self) -> str:
        return f"Sealer({self.fingerprint})"

    def seal(self, secret: bytes) -> bytes:
        """`secret` so that only the vault's private key opens it; sealing twice gives different bytes."""
        return bytes(self._box.encrypt(secret))


class Opener:
    """Opens what any of the vault's private keys is for. Made only by what runs in engine, listener and worker."""

    def __init__(self, private_key_file: Path | str) -> None:
        """Raises VaultError when this process was not given the private key."""
        self._path = _configured(private_key_file, "HEDGEROW_VAULT_PRIVATE_KEY_FILE")
        self._load()

    def __repr__(self) -> str:
        return f"Opener({self.fingerprint})"

    def open(self, sealed: bytes, vault_key: str = "") -> bytes:
        """The secret in `sealed`; VaultError when another key sealed it. `vault_key` names the key that sealed it.

        A name not known yet is looked for in the files once more: the key was rotated while this process ran.
        """
        if vault_key and vault_key not in self._boxes:
            self._load()
        if vault_key and vault_key not in self._boxes:
            raise VaultError(f"sealed with vault key {vault_key}, but this process holds {', '.join(self._boxes)}")
        for box in [self._boxes[vault_key]] if vault_key else self._boxes.values():
            try:
                return bytes(box.decrypt(bytes(sealed)))
            except (CryptoError, ValueError, TypeError):
                continue
        raise VaultError("a sealed secret does not open: it was damaged, or another key sealed it")

    def _load(self) -> None:
        keys = load_private_keys(self._path)
        self.fingerprint = next(iter(keys))
        self._boxes = {name: SealedBox(key) for name, key in keys.items()}


def load_private_keys(present: Path) -> dict[str, PrivateKey]:
    """The private keys of a vault by fingerprint: `present` first, then the next one if there is one, then the retired.

    Raises VaultError when `present` is no key; any other file that is none is passed over. Read in the order in which
    a rotation renames them, so that none is missed while one is under way.
    """
    coming = _load_if_key(present.with_name(NEXT_NAME))
    keys = [_load_private(present), coming]
    keys += [_load_if_key(path) for path in sorted(present.parent.glob("*.key")) if RETIRED_NAME.fullmatch(path.name)]
    return {fingerprint(key.public_key): key for key in keys if key is not None}


def _load_if_key(path: Path) -> PrivateKey | None:
    try:
        return _load_private(path)
    except VaultError:
        return None


def _configured(path: Path | str, variable: str) -> Path:
    if not str(path):
        raise VaultError(
            f"{variable} is not set for this process. Only processes that sign orders get the private key;"
            " every other one works without it."
        )
    return Path(path)


def _load_private(path: Path) -> PrivateKey:
    try:
        return PrivateKey(_read(path), HexEncoder)
    except (ValueError, TypeError, CryptoError):
        raise VaultError(f"{path} is not a vault key: restore it from its backup") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes().strip()
    except OSError as error:
        raise VaultError(f"cannot read the vault key {path}: {error.strerror}") from None


def _write(path: Path, content: bytes, mode: int) -> None:
    """Whole or not at all, and never over an existing file: two first starts at once end with one vault."""
    temporary = write_beside(path, content, mode)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return
    finally:
        temporary.unlink()


def write_beside(path: Path, content: bytes, mode: int) -> Path:
    """A hidden file beside `path` with that content, safely on the disk; the caller gives it its name."""
    temporary = path.with_name(f".{path.name}.{token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink()
        raise
    return temporary
