"""The budget all processes share, on a real Redis: never overspent, hedges first, and no hedge waits for it."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest
import redis.asyncio
import structlog

from streams.connection import connect
from trading.enums import Platform
from trading.errors import RetryLater
from venues.priority import Priority
from venues.shared_budget import MOST_AT_ONCE, MOST_IN_A_RUSH, RUSH_S, Budgets, SharedBudget

ROOT = Path(__file__).resolve().parents[2]
CHUNK = 2
"""A lease of a window of 100."""
Opened = Callable[[], SharedBudget]


def headers(limit: int, remaining: int, reset: int) -> dict[str, str]:
    return {"RateLimit-Limit": str(limit), "RateLimit-Remaining": str(remaining), "RateLimit-Reset": str(reset)}


@pytest.fixture
async def opened(redis_url: str) -> AsyncIterator[Opened]:
    """Makes budgets as processes have them: each with its own connection, all of one app."""
    clients = []

    def make() -> SharedBudget:
        clients.append(connect(redis_url))
        budget = Budgets(clients[-1], patience_s=10).of(Platform.PREDICT, "fake-key-of-the-tests")
        assert isinstance(budget, SharedBudget)
        return budget

    yield make
    await asyncio.sleep(0.1)
    for client in clients:
        await client.aclose()


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    client = connect(redis_url)
    yield client
    await asyncio.sleep(0.1)
    await client.aclose()


async def tell(budget: SharedBudget, limit: int, remaining: int, reset_s: int) -> None:
    """One answer of the venue, heard by one process."""
    budget.learn("trading", headers(limit, remaining, reset_s))
    await asyncio.sleep(0.05)


async def spend(budget: SharedBudget, priority: Priority, most: int) -> int:
    """Claims until refused; a hedge tries again after the moment its lease takes."""
    got = 0
    for _ in range(most):
        for _ in range(3):
            try:
                await budget.claim("trading", priority)
                got += 1
                break
            except RetryLater as refused:
                if priority is not Priority.HEDGE or refused.after_s > 0.1:
                    return got
                await asyncio.sleep(refused.after_s)
    return got


@pytest.mark.parametrize(
    ("priority", "may"),
    [(Priority.READ, 60), (Priority.RECONCILE, 75), (Priority.CANCEL, 90), (Priority.HEDGE, 100)],
)
async def test_processes_together_spend_one_window(opened: Opened, priority: Priority, may: int) -> None:
    one, other = opened(), opened()
    await tell(one, 100, 100, 60)
    got = await asyncio.gather(spend(one, priority, 200), spend(other, priority, 200))
    assert may - 2 * CHUNK <= sum(got) <= may + 2 * CHUNK
    assert min(got) > 0


async def test_storm_of_reads_denies_no_hedge(opened: Opened) -> None:
    """Three processes read as fast as they can for a whole window's worth; a fourth hedges meanwhile."""
    readers, hedger = [opened() for _ in range(3)], opened()
    await tell(hedger, 100, 100, 60)

    async def storm(reader: SharedBudget) -> int:
        got = 0
        for _ in range(150):
            try:
                await reader.claim("trading", Priority.READ)
                got += 1
            except RetryLater:
                await asyncio.sleep(0.001)
        return got

    storms = [asyncio.create_task(storm(reader)) for reader in readers]
    for _ in range(30):
        await hedger.claim("trading", Priority.HEDGE)
        await asyncio.sleep(0.005)
    reads = sum(await asyncio.gather(*storms))
    assert 0 < reads <= 60
    assert await spend(hedger, Priority.HEDGE, 100) >= 100 - reads - 30 - 4 * CHUNK


async def test_hedge_claims_without_a_pause(opened: Opened) -> None:
    """With a lease and without one: the coroutine ends at its first step, so nothing was waited for."""
    budget = opened()
    for _ in range(3):
        with pytest.raises(StopIteration):
            budget.claim("trading", Priority.HEDGE).send(None)
        await asyncio.sleep(0.02)


async def test_hedges_leave_while_redis_is_away() -> None:
    client = connect("redis://127.0.0.1:9/0")
    budget = Budgets(client).of(Platform.PREDICT, None)
    assert isinstance(budget, SharedBudget)
    with structlog.testing.capture_logs() as told:
        began = time.monotonic()
        for _ in range(9):
            await budget.claim("trading", Priority.HEDGE)
        assert time.monotonic() - began < 0.05
        await asyncio.sleep(0.2)
        for _ in range(500):
            await budget.claim("trading", Priority.HEDGE)
        await budget.claim("trading", Priority.READ)
    assert {entry["event"] for entry in told} == {"rate_budget_away"}
    budget.learn("trading", headers(100, 0, 60))
    with pytest.raises(RetryLater):
        await budget.claim("trading", Priority.HEDGE)
    await client.aclose()


async def test_redis_that_hangs_delays_a_hedge_by_moments() -> None:
    """It takes the connection and never answers. A chunk leaves on credit at once; what comes then is asked to try
    again in 25 ms, until Redis counts as away."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    client = connect(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0")
    budget = Budgets(client, patience_s=0.1).of(Platform.PREDICT, None)
    waits: list[float] = []
    began = time.monotonic()
    for _ in range(60):
        while True:
            try:
                await budget.claim("trading", Priority.HEDGE)
                break
            except RetryLater as refused:
                waits.append(refused.after_s)
                await asyncio.sleep(refused.after_s)
    assert set(waits) == {0.025}
    assert time.monotonic() - began < 2
    await client.aclose()
    server.close()


async def test_what_left_on_credit_is_told_when_redis_returns(opened: Opened, redis_url: str) -> None:
    budget = opened()
    await tell(budget, 100, 100, 60)
    budget._away_until_s = budget._clock_s() + 0.2
    for _ in range(30):
        await budget.claim("trading", Priority.HEDGE)
    await asyncio.sleep(0.25)
    await budget.claim("trading", Priority.HEDGE)
    await asyncio.sleep(0.1)
    with redis.Redis.from_url(redis_url) as client:
        (key,) = client.keys("budget:predict:*:trading")
        assert int(client.hget(key, "spent") or 0) >= 31
        assert b"fake-key-of-the-tests" not in key


async def test_other_users_of_the_key_are_seen(opened: Opened) -> None:
    """The venue counts what somebody else spends on the same app: its word lowers what is left for all of us."""
    one, other = opened(), opened()
    await tell(one, 100, 100, 60)
    await tell(other, 100, 30, 60)
    assert await spend(one, Priority.READ, 50) == 0
    assert 0 < await spend(one, Priority.HEDGE, 100) <= 30 + CHUNK


async def test_new_window_is_spent_anew(opened: Opened) -> None:
    budget = opened()
    await tell(budget, 100, 100, 1)
    assert await spend(budget, Priority.READ, 200) <= 60 + CHUNK
    await asyncio.sleep(1.1)
    assert 50 <= await spend(budget, Priority.READ, 200) <= 60 + CHUNK


async def test_late_answer_does_not_open_a_spent_window(opened: Opened) -> None:
    """Told 60 s to go, then by an answer that was long under way only 3: the window still ends when it ends."""
    one, other = opened(), opened()
    await tell(one, 100, 20, 60)
    await tell(other, 100, 90, 3)
    with pytest.raises(RetryLater) as refused:
        await one.claim("trading", Priority.READ)
    assert refused.value.after_s > 50


class CountingBudget(SharedBudget):
    """Counts what it asks Redis."""

    asked = 0

    async def _lease(self, route_class: str, priority: Priority, only_tell: bool) -> int | None:
        self.asked += 1
        return await super()._lease(route_class, priority, only_tell)


async def test_busy_process_asks_seldom(client: redis.asyncio.Redis) -> None:
    """Each lease gone in a moment doubles the next, up to a fiftieth of the window; after a pause it is small again."""
    budget = CountingBudget(client, "budget:predict:a-fake-app-of-the-tests", patience_s=10)
    await tell(budget, 100_000, 100_000, 60)
    sizes = []
    for _ in range(500):
        for _ in range(3):
            assert budget.claim_now("trading", Priority.HEDGE)
        await asyncio.sleep(0.001)
        await asyncio.gather(
            *budget._asking.values()
        )  # However long Redis takes: what goes on credit is not meant here.
        held = budget._leases["trading"][Priority.HEDGE]
        sizes.append(held.size if held else 0)
    assert max(sizes) == MOST_IN_A_RUSH
    assert budget.asked < 60, "a lease of 20 at most would have been asked for about 150 times"
    assert held is not None
    held.left, held.given_at_s = 1, held.given_at_s - 2 * RUSH_S
    assert budget.claim_now("trading", Priority.HEDGE)
    await asyncio.sleep(0.05)
    held = budget._leases["trading"][Priority.HEDGE]
    assert held is not None
    assert held.left <= MOST_AT_ONCE


async def test_only_a_hedge_begins_without_a_lease(opened: Opened) -> None:
    budget = opened()
    await tell(budget, 100, 100, 60)
    assert not budget.claim_now("trading", Priority.CANCEL)
    assert budget.remaining("trading") == 100, "nothing was taken"
    assert budget.claim_now("trading", Priority.HEDGE)
    await budget.claim("trading", Priority.CANCEL)
    assert budget.claim_now("trading", Priority.CANCEL), "of the lease it was given"


async def test_two_real_processes_share_the_window(opened: Opened, redis_url: str) -> None:
    await tell(opened(), 100, 100, 60)
    command = [sys.executable, str(ROOT / "tests/accounts/rate_budget_process.py"), redis_url, "300"]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"}
    run = partial(subprocess.run, command, capture_output=True, env=environment, cwd=ROOT, timeout=60, check=True)
    done = await asyncio.gather(asyncio.to_thread(run), asyncio.to_thread(run))
    got = [int(process.stdout) for process in done]
    assert 60 - 2 * CHUNK <= sum(got) <= 60 + 2 * CHUNK
