"""The stop's levels: what each lets out, at the gate of a real lease, and that a stop only ever grows stricter."""

from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from django.core.exceptions import PermissionDenied

from accounts.gate import Gate, GateClosed
from accounts.levels import (
    CANCEL_ALL,
    CLOSING,
    FLATTEN,
    HEDGE,
    HEDGE_ONLY,
    LEVELS,
    NO_NEW,
    OTHER,
    PASSES,
    is_milder,
    lets_out,
    pass_of,
)
from accounts.models import Desk
from accounts.stop import lift_stop, pull_stop
from trading.enums import OrderOrigin

LET_OUT = {"": {HEDGE, CLOSING, OTHER}, HEDGE_ONLY: {HEDGE}, NO_NEW: set(), CANCEL_ALL: set(), FLATTEN: {CLOSING}}


@pytest.mark.parametrize("level", ["", *LEVELS, "a level of tomorrow"])
def test_each_level_lets_out_its_own(level: str) -> None:
    assert {kind for kind in PASSES if lets_out(level, kind)} == LET_OUT.get(level, set())


def test_only_an_exposures_order_is_a_hedge() -> None:
    assert pass_of(OrderOrigin.STRATEGY, uuid4()) == HEDGE
    assert pass_of(OrderOrigin.STRATEGY, None) == OTHER
    assert pass_of(OrderOrigin.USER, uuid4()) == OTHER
    assert pass_of("closing", uuid4()) == CLOSING


def test_stop_grows_stricter_but_never_milder(redis_url: str, transactional_db: None) -> None:
    pull_stop(HEDGE_ONLY, "test", "drill")
    pull_stop(CANCEL_ALL, "test", "worse")
    with pytest.raises(ValueError, match="only a lift"):
        pull_stop(NO_NEW, "test", "better")
    assert Desk.objects.get().level == CANCEL_ALL
    assert is_milder(HEDGE_ONLY, FLATTEN)
    assert not is_milder(FLATTEN, FLATTEN)


def test_lift_takes_the_role_admin(redis_url: str, transactional_db: None, trader: Any, operator: Any) -> None:
    pull_stop(NO_NEW, trader, "drill")
    with pytest.raises(PermissionDenied):
        lift_stop(trader, "I say so")
    assert Desk.objects.get().stopped
    lift_stop(operator, "over")
    assert not Desk.objects.get().stopped


async def test_hedge_on_its_way_delays_no_stop_that_lets_it_out(database_url: str, redis_url: str) -> None:
    """A word is owed only on the sends the level forbids; a stricter stop then waits for the hedge, too."""
    gate = Gate(database_url, "levels")
    await gate.start()
    pull = sync_to_async(pull_stop, thread_sensitive=False)
    with gate.pass_through(HEDGE) as check:
        receipt = await pull(HEDGE_ONLY, "test", "drill")
        assert gate.name in receipt.confirmed
        check()
        with pytest.raises(GateClosed) as refused, gate.pass_through(OTHER):
            pass
        assert refused.value.by_stop
        receipt = await pull(NO_NEW, "test", "harder")
        assert gate.name in receipt.expired
        with pytest.raises(GateClosed):
            check()
    receipt = await pull(NO_NEW, "test", "again")
    assert gate.name in receipt.confirmed
    await gate.close()


async def test_process_started_into_a_level_keeps_to_it(database_url: str, redis_url: str) -> None:
    await sync_to_async(pull_stop, thread_sensitive=False)(FLATTEN, "test", "drill")
    gate = Gate(database_url, "late")
    await gate.start()
    assert [kind for kind in PASSES if gate.permits(kind)] == [CLOSING]
    await gate.close()
