"""Places in a lane and on the road: bounded, in turn, never lost. And logins of a whole fleet at once."""

import asyncio
from types import SimpleNamespace
from typing import Any

from accounts.lanes import Lane, Lanes, Slots
from trading.errors import RetryLater
from venues.shared_budget import CREDIT_PAUSE_S


async def test_who_waits_is_not_overtaken() -> None:
    slots = Slots(1)
    assert slots.take()
    first, second = (asyncio.create_task(slots.wait()) for _ in range(2))
    await asyncio.sleep(0)
    slots.free()
    assert not slots.take(), "the place is the first one's already"
    await first
    assert not second.done()
    slots.free()
    await second
    slots.free()
    assert slots.take()


async def test_place_given_to_one_who_left_goes_on() -> None:
    """Cancelled before its turn, and in the very moment of it."""
    slots = Slots(1)
    assert slots.take()
    gone, late, last = (asyncio.create_task(slots.wait()) for _ in range(3))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    slots.free()
    late.cancel()
    await asyncio.wait_for(last, 1)
    assert late.cancelled()
    slots.free()
    assert slots.take()
    assert not slots.take()


def make_lane(client: Any) -> Lane:
    return Lane(SimpleNamespace(name="one"), None, client)  # type: ignore[arg-type]


async def test_full_road_takes_no_place_in_the_lane() -> None:
    lanes, one, other = Lanes(None, {}, in_all=1), make_lane(None), make_lane(None)  # type: ignore[arg-type]
    assert lanes.take(one)
    assert not lanes.take(other)
    lanes.free(one)
    assert all(other.slots.take() for _ in range(8))


async def test_login_waits_for_a_lease_that_is_moments_away() -> None:
    """A fleet logs in at once, and a hedge's credit is one chunk: the rest must not be left cold."""

    class Client:
        tried = 0

        async def connect(self) -> None:
            self.tried += 1
            if self.tried < 4:
                raise RetryLater("rate_limit_guard", after_s=CREDIT_PAUSE_S)
            if self.tried == 5:
                raise RetryLater("rate_limit_guard", after_s=60)

    lanes, client = Lanes(None, {}), Client()  # type: ignore[arg-type]
    await lanes._connect(make_lane(client))
    assert client.tried == 4
    await lanes._connect(make_lane(client))
    assert client.tried == 5, "a spent window is not waited for"
