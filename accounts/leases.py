"""Leases on accounts in Redis: several listeners share the accounts, each account has one. Used by the listener.

Two listeners on one account would do no harm (every event has its fact's id), so a lease is economy, not safety.
"""

import math
import time
from collections.abc import Iterable
from uuid import UUID

import redis.asyncio

TTL_MS = 6000
ALIVE_S = 6.0
_ALIVE = "hedgerow:listeners"
_LEASE = "hedgerow:listening:{}"

_TAKE = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_LEAVE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class AccountLeases:
    """One listener's leases. Its name is its own: a restarted listener of the same name takes its accounts back."""

    def __init__(self, redis: redis.asyncio.Redis, name: str) -> None:
        self._redis = redis
        self._name = name
        self._take = redis.register_script(_TAKE)
        self._leave = redis.register_script(_LEAVE)

    async def share_of(self, accounts: int) -> int:
        """How many accounts are this listener's part, by how many listeners are alive."""
        now = time.time()
        await self._redis.zadd(_ALIVE, {self._name: now})
        await self._redis.zremrangebyscore(_ALIVE, "-inf", now - ALIVE_S)
        alive = int(await self._redis.zcard(_ALIVE))
        return math.ceil(accounts / max(alive, 1))

    async def take(self, account_id: UUID) -> bool:
        """Take or renew; False when another listener has it."""
        return bool(await self._take(keys=[_LEASE.format(account_id)], args=[self._name, TTL_MS]))

    async def leave(self, account_ids: Iterable[UUID]) -> None:
        """Give leases back, for others to take at once."""
        for account_id in account_ids:
            await self._leave(keys=[_LEASE.format(account_id)], args=[self._name])

    async def sign_off(self) -> None:
        """This listener ends."""
        await self._redis.zrem(_ALIVE, self._name)
