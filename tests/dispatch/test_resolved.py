"""A hedge nobody knew the fate of, closed by a person: its exposure is decided anew, or stays covered."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from asgiref.sync import sync_to_async

from accounts.models import Account, Order
from accounts.unknowns import Evidence, Found, resolve_unknown
from strategies.dispatch import Dispatcher
from strategies.inbox import Inbox
from strategies.models import Exposure, Strategy
from streams.message import Message
from tests.dispatch.conftest import KeepingSigner, fill, inbox_of
from trading.events import TRADE_EVENTS


def read_bus(redis_url: str) -> Inbox:
    inbox = Inbox()
    with redis.Redis.from_url(redis_url) as bus:
        for entry_id, fields in bus.xrange(TRADE_EVENTS):
            inbox.take([Message(TRADE_EVENTS, entry_id.decode(), fields[b"event"], 1)])
    return inbox


@pytest.mark.parametrize(("found", "hedges", "in_flight"), [("never_arrived", 2, -100), ("resting", 1, -100)])
async def test_resolved_hedge_reopens_or_keeps_its_exposure(
    dispatcher: Dispatcher,
    signer: KeepingSigner,
    strategy: Strategy,
    primary: Account,
    operator: Any,
    redis_url: str,
    found: str,
    hedges: int,
    in_flight: int,
) -> None:
    await dispatcher.dispatch(inbox_of(fill(primary, "t1")))
    (first,) = signer.sent
    long_ago = datetime.now(UTC) - timedelta(minutes=5)
    await Order.objects.filter(pk=first.id).aupdate(
        status="unknown", announced="unknown", submitted_at=long_ago, created_at=long_ago
    )
    exposure_id = (await Exposure.objects.aget()).pk
    await dispatcher.dispatch(Inbox(), {exposure_id: "sweep"})
    assert len(signer.sent) == 1, "an order nobody knows the fate of blocks its replacement"
    evidence = Evidence(Found(found), "seen on the venue's own page", "order 77")
    await sync_to_async(resolve_unknown)(first.id, evidence, operator)
    await dispatcher.dispatch(read_bus(redis_url))
    assert len(signer.sent) == hedges
    exposure = await Exposure.objects.aget()
    assert (exposure.in_flight, exposure.need) == (in_flight, 0)
