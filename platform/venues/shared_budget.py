"""One rate-limit budget for all processes, in Redis: per venue, app key and route class (docs/adr/0005-rate-budget.md).

A process spends from leases of a few requests it fetched ahead. A hedge never waits for Redis: with no lease in hand it
leaves on credit, at most one chunk of it, and without Redis it leaves on what this process's own answers said.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from hashlib import sha256

import msgspec
import redis
import redis.asyncio
import structlog

from trading.enums import Platform
from trading.errors import RetryLater
from venues.priority import KEPT_PERCENT, Priority
from venues.ratelimit import RateBudget, Told, told_by

CHUNK_OF = 50
"""A lease is this part of the window's limit at most, so that idle processes hold back little."""
MOST_AT_ONCE = 20
RUSH_S = 2.0
"""A lease half gone so soon is followed by one of twice the size: a busy process asks Redis less often. One that lasts
is not renewed before it is small again."""
MOST_IN_A_RUSH = 200
PATIENCE_S = 0.1
"""How long Redis may take before it counts as away."""
CREDIT_PAUSE_S = 0.025
"""How soon a hedge that found its credit used up tries again."""
AWAY_S = 1.0
"""How long it is left alone then."""
TELL_EVERY_S = 0.25
UNKNOWN_FOR_S = 10.0
"""How long a lease lasts in a window nobody knows the end of."""

LEASE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local want, kept, debt = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local told_limit, told_left, told_reset = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local held = redis.call('HMGET', KEYS[1], 'limit', 'spent', 'ends', 'span', 'guessed')
local limit, spent = tonumber(held[1]) or 0, tonumber(held[2]) or 0
local ends, span, guessed = tonumber(held[3]) or 0, tonumber(held[4]) or 1000, tonumber(held[5]) or 0
if ends > 0 and now >= ends then
    -- Windows are fixed and follow each other; none is shorter than the longest reset the venue told of.
    ends = ends + span * (math.floor((now - ends) / span) + 1)
    spent, guessed = 0, 1
end
spent = spent + debt
if told_limit > 0 and told_reset >= 1000 then
    local at = now + told_reset
    -- An end before the one that is known comes from an answer of the window before.
    if at >= ends - 2000 then
        if at > ends + 2000 then
            if ends > 0 and guessed == 0 then spent = debt end
            ends = at
        end
        guessed, limit = 0, told_limit
        spent, span = math.max(spent, told_limit - told_left), math.max(span, told_reset)
    end
end
local granted = want
if limit > 0 then
    granted = math.max(0, math.min(want, limit - spent - math.floor(limit * kept / 100)))
end
spent = spent + granted
redis.call('HSET', KEYS[1], 'limit', limit, 'spent', spent, 'ends', ends, 'span', span, 'guessed', guessed)
redis.call('PEXPIRE', KEYS[1], 600000)
return {granted, limit, math.max(0, ends - now)}
"""
"""One atomic step: the window turned, what the venue said taken over, a lease given. Redis's own clock counts."""

log = structlog.get_logger()


class _Lease(msgspec.Struct):
    left: int
    until_s: float
    size: int
    given_at_s: float


class SharedBudget(RateBudget):
    """A RateBudget whose windows all processes share. Belongs to one event loop."""

    def __init__(
        self,
        client: redis.asyncio.Redis,
        scope: str,
        *,
        clock_s: Callable[[], float] = time.monotonic,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """`scope` names venue and app, without the key itself."""
        super().__init__(clock_s)
        self._scope = scope
        self._patience_s = patience_s
        self._script = client.register_script(LEASE)
        self._leases: dict[str, list[_Lease | None]] = {}
        """Of each route class, by priority."""
        self._limits: dict[str, int] = {}
        self._debts: dict[str, int] = {}
        """Hedges that left without a lease and that Redis has not heard of."""
        self._on_credit: dict[str, int] = {}
        """Of those, since the last answer of Redis: at most a chunk."""
        self._spent_until_s: dict[str, float] = {}
        """Until when not even a hedge gets a lease."""
        self._ends_s: dict[str, float] = {}
        self._heard: dict[str, Told] = {}
        self._told_at_s: dict[str, float] = {}
        self._asking: dict[tuple[str, Priority, bool], asyncio.Task[int | None]] = {}
        self._away_until_s = float("-inf")

    async def claim(self, route_class: str, priority: Priority) -> None:
        """Take one request, or raise RetryLater. Returns without a pause for a hedge, whatever Redis does."""
        while not self.claim_now(route_class, priority):
            granted = await asyncio.shield(self._ask(route_class, priority))
            if granted == 0 and self._lease_for(route_class, priority) is None:
                wait_s = max(self._ends_s.get(route_class, 0.0) - self._clock_s(), 0.05)
                raise RetryLater("rate_limit_guard", f"{route_class} is kept for what is more urgent", after_s=wait_s)

    def claim_now(self, route_class: str, priority: Priority) -> bool:
        lease = self._lease_for(route_class, priority)
        is_hedge = priority is Priority.HEDGE
        if lease is None and not is_hedge and not self._is_away():
            return False
        self.spend(route_class, priority)
        if lease is not None:
            lease.left -= 1
            if is_hedge and lease.left <= lease.size // 2 and not self._is_away():
                self._renew(route_class, lease)
        elif is_hedge:
            self._borrow(route_class)
        return True

    def learn(self, route_class: str, headers: Mapping[str, str]) -> None:
        super().learn(route_class, headers)
        told = told_by(headers)
        if told is None:
            return
        self._heard[route_class] = told
        now = self._clock_s()
        if now - self._told_at_s.get(route_class, float("-inf")) >= TELL_EVERY_S and not self._is_away():
            self._told_at_s[route_class] = now
            self._ask(route_class, Priority.READ, only_tell=True)

    def _lease_for(self, route_class: str, priority: Priority) -> _Lease | None:
        """One with something left: its own, else one that was given to something less urgent."""
        now = self._clock_s()
        for lease in self._leases.get(route_class, ())[priority:]:
            if lease is not None and lease.left > 0 and now < lease.until_s:
                return lease
        return None

    def _borrow(self, route_class: str) -> None:
        """A hedge without a lease: it leaves, and Redis hears of it. Raises RetryLater when the window is spent."""
        if self._is_away():
            self._debts[route_class] = self._debts.get(route_class, 0) + 1
            return
        wait_s = self._spent_until_s.get(route_class, 0.0) - self._clock_s()
        if wait_s > 0:
            raise RetryLater("rate_limit_guard", f"{route_class} is spent by all processes", after_s=wait_s)
        self._ask(route_class, Priority.HEDGE)
        if self._on_credit.get(route_class, 0) >= self._chunk(route_class):
            raise RetryLater("rate_limit_guard", f"{route_class} waits for its lease", after_s=CREDIT_PAUSE_S)
        self._on_credit[route_class] = self._on_credit.get(route_class, 0) + 1
        self._debts[route_class] = self._debts.get(route_class, 0) + 1

    def _chunk(self, route_class: str) -> int:
        limit = self._limits.get(route_class, 0)
        return min(max(limit // CHUNK_OF, 1), MOST_AT_ONCE) if limit else MOST_AT_ONCE // 2

    def _renew(self, route_class: str, lease: _Lease) -> None:
        chunk = self._chunk(route_class)
        if lease.size > chunk and self._clock_s() - lease.given_at_s > RUSH_S:
            lease.size = max(lease.size // 2, chunk)
        else:
            self._ask(route_class, Priority.HEDGE)

    def _next_size(self, route_class: str, last: _Lease | None) -> int:
        chunk, limit = self._chunk(route_class), self._limits.get(route_class, 0)
        if last is None or self._clock_s() - last.given_at_s > RUSH_S:
            return chunk
        most = max(chunk, min(limit // CHUNK_OF, MOST_IN_A_RUSH)) if limit else MOST_IN_A_RUSH
        return min(2 * last.size, most)

    def _is_away(self) -> bool:
        return self._clock_s() < self._away_until_s

    def _ask(self, route_class: str, priority: Priority, *, only_tell: bool = False) -> "asyncio.Task[int | None]":
        """The request for a lease that is under way, or a new one."""
        key = (route_class, priority, only_tell)
        task = self._asking.get(key)
        if task is None or task.done():
            task = self._asking[key] = asyncio.create_task(self._lease(route_class, priority, only_tell))
        return task

    async def _lease(self, route_class: str, priority: Priority, only_tell: bool) -> int | None:
        """Requests granted; None when Redis is away."""
        debt = self._debts.pop(route_class, 0)
        heard = self._heard.pop(route_class, None)
        leases = self._leases.setdefault(route_class, [None] * len(Priority))
        lease = leases[priority]
        left = lease.left if lease is not None and self._clock_s() < lease.until_s else 0
        size = self._next_size(route_class, lease)
        want = 0 if only_tell else max(size - left, 0)
        arguments = [want, KEPT_PERCENT[priority], debt, *((0, 0, 0) if heard is None else heard.arguments())]
        try:
            async with asyncio.timeout(self._patience_s):
                granted, limit, ends_ms = await self._script(keys=[f"{self._scope}:{route_class}"], args=arguments)
        except (redis.RedisError, OSError, TimeoutError) as error:
            self._debts[route_class] = self._debts.get(route_class, 0) + debt
            self._away_until_s = self._clock_s() + AWAY_S
            log.warning("rate_budget_away", scope=self._scope, error=type(error).__name__)
            return None
        now = self._clock_s()
        self._on_credit.pop(route_class, None)
        until_s = now + ends_ms / 1000 if ends_ms else now + UNKNOWN_FOR_S
        self._limits[route_class], self._ends_s[route_class] = int(limit), until_s
        if granted:
            kept = lease.left if lease is not None and now < lease.until_s else 0
            leases[priority] = _Lease(kept + int(granted), until_s, size, now)
            self._spent_until_s.pop(route_class, None)
        elif want and priority is Priority.HEDGE:
            self._spent_until_s[route_class] = until_s
        return int(granted)


class Budgets:
    """Every budget of one process. Without Redis each process counts for itself."""

    def __init__(self, client: redis.asyncio.Redis | None = None, *, patience_s: float = PATIENCE_S) -> None:
        self._client = client
        self._patience_s = patience_s
        self._budgets: dict[str, RateBudget] = {}

    def of(self, platform: Platform, api_key: str | None) -> RateBudget:
        """The budget of an app key; all who have none share one, for the venue counts them by address."""
        app = sha256(api_key.encode()).hexdigest()[:16] if api_key else "nobody"
        scope = f"budget:{platform.value}:{app}"
        budget = self._budgets.get(scope)
        if budget is None:
            if self._client is None:
                budget = RateBudget()
            else:
                budget = SharedBudget(self._client, scope, patience_s=self._patience_s)
            self._budgets[scope] = budget
        return budget
