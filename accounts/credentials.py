"""Accounts' opened credentials, in memory only. Imported by executor, listener, reconciler and connection check: what
runs in engine, listener and worker; nobody else.

Nothing here shows a secret: not a repr, not an error, not a log line. What an account lacks (no key, a key sealed for
another vault, a changed key that does not fit its address) makes that account unavailable, with the reason.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from accounts.vault import Opener, VaultError
from trading.enums import Mode, Platform, SignerKind
from venues.contract import Credentials

Pool = AsyncConnectionPool[AsyncConnection[Any]]

_ROWS = """
SELECT a.id, a.name, a.platform, a.address, a.signer_kind, a.state, a.proxy_label <> '',
       coalesce(array_agg(s.kind) FILTER (WHERE s.kind IS NOT NULL), '{}'),
       coalesce(array_agg(s.sealed) FILTER (WHERE s.kind IS NOT NULL), '{}'),
       coalesce(array_agg(s.vault_key) FILTER (WHERE s.kind IS NOT NULL), '{}'),
       coalesce(max(s.created_at), a.created_at)
FROM accounts_account a LEFT JOIN accounts_sealedsecret s ON s.account_id = a.id
WHERE a.mode = %(mode)s AND a.id = ANY(%(ids)s)
GROUP BY a.id
"""

_VERSIONS = """
WITH versions AS (
    SELECT a.id, greatest(a.updated_at, coalesce(max(s.created_at), a.updated_at)) AS changed_at
    FROM accounts_account a LEFT JOIN accounts_sealedsecret s ON s.account_id = a.id
    WHERE a.mode = %(mode)s GROUP BY a.id
)
"""

_NEWER = f"""
{_VERSIONS}
SELECT count(*) FILTER (WHERE changed_at > %(seen)s),
    count(*) FILTER (WHERE changed_at BETWEEN %(since)s AND %(seen)s)
FROM versions
"""

_SINCE = f"{_VERSIONS} SELECT id, changed_at FROM versions WHERE changed_at >= %(since)s"

_OVERLAP = timedelta(seconds=5)
"""A transaction's rows carry the time it began, and appear only when it ends."""
_NEVER = datetime.min.replace(tzinfo=UTC)

log = structlog.get_logger()


class KnownAccount(msgspec.Struct, frozen=True, kw_only=True):
    """One account with its opened credentials, or the reason why it has none."""

    id: UUID
    name: str
    platform: Platform
    state: str
    credentials: Credentials | None
    problem: str = ""
    """Why nothing can be sent for it; empty when it is fit to trade."""
    sealed_at: datetime
    """When its secrets last changed: a newer one means new clients and signers."""

    def __repr__(self) -> str:
        return f"KnownAccount({self.name!r}, {self.platform.value}, problem={self.problem!r})"


class CredentialStore:
    """Loads and opens what accounts need to speak to their venue, and notices when it changes."""

    def __init__(self, pool: Pool, opener: Opener, mode: Mode | str = Mode.PAPER) -> None:
        """Accounts of any other `mode` do not exist here: a paper process never holds a live key."""
        self._pool = pool
        self._opener = opener
        self._mode = str(mode)
        self._known: dict[UUID, KnownAccount] = {}
        self._versions: dict[UUID, datetime] = {}
        """When each was changed last, as far as it was seen here."""
        self._seen = _NEVER

    def __repr__(self) -> str:
        return f"CredentialStore({len(self._known)} accounts)"

    def get(self, account_id: UUID) -> KnownAccount | None:
        """The account if it was loaded before."""
        return self._known.get(account_id)

    def known(self) -> list[KnownAccount]:
        """Every account loaded so far."""
        return list(self._known.values())

    async def load(self, account_ids: Iterable[UUID]) -> list[KnownAccount]:
        """These accounts as they stand in the database; unknown ids are missing from the answer."""
        async with self._pool.connection() as conn:
            return await self._load(conn, account_ids)

    async def refresh(self) -> list[KnownAccount]:
        """Load what changed since the last refresh (at first everything); returns accounts that differ from before.

        An unfit one is looked at each time: the vault's key that it lacks may have come. Sealing the same secret anew
        for another vault key is no change: nobody's connection is closed for it.
        """
        before = dict(self._known)
        async with self._pool.connection() as conn:
            versions = await self._moved(conn)
            changed = {key for key, at in versions.items() if self._versions.get(key) != at}
            unfit = {account.id for account in self._known.values() if account.problem}
            loaded = await self._load(conn, changed | unfit)
        # Only now: what could not be loaded is found again.
        self._versions.update(versions)
        self._seen = max(self._seen, *versions.values()) if versions else self._seen
        return [account for account in loaded if before.get(account.id) != account]

    async def _moved(self, conn: AsyncConnection[Any]) -> dict[UUID, datetime]:
        """The versions of late, or nothing when all of them are known. An account whose transaction ended late is older
        than the newest seen: it is found by their number. Of ten thousand that were made at once no more is read."""
        since = self._seen - _OVERLAP if self._seen != _NEVER else _NEVER
        values = {"mode": self._mode, "seen": self._seen, "since": since}
        row = await (await conn.execute(_NEWER, values)).fetchone()
        if row == (0, sum(since <= at <= self._seen for at in self._versions.values())):
            return {}
        rows = await (await conn.execute(_SINCE, values)).fetchall()
        found: dict[UUID, datetime] = dict(rows)
        for key in [key for key, at in self._versions.items() if at >= since and key not in found]:
            del self._versions[key]  # It is no more.
        return found

    async def _load(self, conn: AsyncConnection[Any], ids: Iterable[UUID]) -> list[KnownAccount]:
        wanted = list(ids)
        if not wanted:
            return []
        cursor = await conn.execute(_ROWS, {"mode": self._mode, "ids": wanted})
        accounts = [self._open(row) for row in await cursor.fetchall()]
        self._known.update({account.id: account for account in accounts})
        return accounts

    def _open(self, row: tuple[Any, ...]) -> KnownAccount:
        account_id, name, platform, address, signer_kind, state, needs_proxy, kinds, sealed, vault_keys, at = row
        held = self._known.get(account_id)
        secrets: dict[str, bytes] = {}
        problem = ""
        try:
            for kind, box, vault_key in zip(kinds, sealed, vault_keys, strict=True):
                secrets[kind] = self._opener.open(bytes(box), vault_key)
        except VaultError as error:
            problem = str(error)
        if not problem and "private_key" not in secrets:
            problem = "no private key is sealed for this account"
        if not problem and needs_proxy and "proxy_url" not in secrets:
            # Its proxy is known but cannot be dialled: it must not speak at all rather than speak without it.
            problem = "its proxy address is missing from the vault"
        if problem and (held is None or held.problem != problem):
            log.error("account_unavailable", account=name, problem=problem)
        return KnownAccount(
            id=account_id,
            name=name,
            platform=Platform(platform),
            state=state,
            problem=problem,
            sealed_at=at,
            credentials=None
            if problem
            else Credentials(
                account_id=str(account_id),
                address=address,
                signer_kind=SignerKind(signer_kind),
                private_key=secrets["private_key"],
                api_key=_text(secrets.get("api_key")),
                proxy_url=_text(secrets.get("proxy_url")),
            ),
        )


def _text(secret: bytes | None) -> str | None:
    return secret.decode() if secret else None
