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

_ALL = """
SELECT a.id, a.name, a.platform, a.address, a.signer_kind, a.state, a.proxy_label <> '',
       greatest(a.updated_at, coalesce(max(s.created_at), a.updated_at)),
       coalesce(array_agg(s.kind) FILTER (WHERE s.kind IS NOT NULL), '{}'),
       coalesce(array_agg(s.sealed) FILTER (WHERE s.kind IS NOT NULL), '{}'),
       coalesce(array_agg(s.vault_key) FILTER (WHERE s.kind IS NOT NULL), '{}'),
       coalesce(max(s.created_at), a.created_at)
FROM accounts_account a LEFT JOIN accounts_sealedsecret s ON s.account_id = a.id
WHERE a.mode = %(mode)s AND (%(ids)s::uuid[] IS NULL OR a.id = ANY(%(ids)s))
GROUP BY a.id
HAVING %(since)s::timestamptz IS NULL OR greatest(a.updated_at, coalesce(max(s.created_at), a.updated_at)) >= %(since)s
    OR a.id = ANY(%(unfit)s::uuid[])
"""

_OVERLAP = timedelta(seconds=5)
"""A transaction's rows carry the time it began, and appear only when it ends."""

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
        self._seen: datetime | None = None

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
        return await self._load(list(account_ids), None)

    async def refresh(self) -> list[KnownAccount]:
        """Load what changed since the last refresh (at first everything); returns accounts that differ from before.

        An unfit one is looked at each time: the vault's key that it lacks may have come. Sealing the same secret anew
        for another vault key is no change: nobody's connection is closed for it.
        """
        since = self._seen - _OVERLAP if self._seen else None
        return await self._load(None, since)

    async def _load(self, ids: list[UUID] | None, since: datetime | None) -> list[KnownAccount]:
        unfit = [account.id for account in self._known.values() if account.problem]
        async with self._pool.connection() as conn:
            values = {"mode": self._mode, "ids": ids, "since": since, "unfit": unfit}
            cursor = await conn.execute(_ALL, values)
            rows = await cursor.fetchall()
        changed: list[KnownAccount] = []
        for row in rows:
            account = self._open(row)
            if ids is None:
                self._seen = max(self._seen or datetime.min.replace(tzinfo=UTC), row[7])
            if ids is not None or self._known.get(account.id) != account:
                changed.append(account)
            self._known[account.id] = account
        return changed

    def _open(self, row: tuple[Any, ...]) -> KnownAccount:
        account_id, name, platform, address, signer_kind, state, needs_proxy, _, kinds, sealed, vault_keys, at = row
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
