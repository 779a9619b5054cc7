"""A market's messages stay in one shard and in order; full shards are told, and those with nobody at work."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any, cast

from strategies.shards import BATCH, WAITING, Shard, Shards
from streams.message import Message
from trading.enums import Action, Outcome, Platform
from trading.events import FILL_EVENTS, ORDER_COMMANDS, Event, Fill, encode
from trading.ids import event_id

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
_numbers = count(1)


def fill(market_id: str) -> Message:
    number = next(_numbers)
    data = Fill(
        account_id="a", account_name="a", market_id=market_id, side=Outcome.YES, action=Action.BUY, shares=Decimal(1),
        price=Decimal("0.5"), order_hash="0x1", trade_id=f"t{number}",
    )  # fmt: skip
    event = Event(id=event_id("fill", f"t{number}"), timestamp=NOW, platform=Platform.PREDICT, data=data)
    return Message(FILL_EVENTS, f"{number}-0", encode(event))


def command() -> Message:
    return Message(ORDER_COMMANDS, f"{next(_numbers)}-0", b"{}")


def shards(number: int = 2) -> Shards:
    return Shards(cast(Any, [f"dispatcher {i}" for i in range(number)]))


def all_of(made: Shards) -> list[Shard]:
    return made._shards


def markets(messages: Iterable[Message]) -> list[str]:
    return [cast(Any, message.event().data).market_id for message in messages]


def test_market_stays_in_its_shard_and_in_order() -> None:
    made, messages = shards(3), [fill(str(number % 20)) for number in range(200)]
    for first in range(0, 200, 40):
        made.put(messages[first : first + 40])
    held = [list(shard.waiting) for shard in all_of(made)]
    assert sorted(map(id, messages)) == sorted(id(message) for part in held for message in part)
    seen = [set(markets(part)) for part in held]
    assert all(seen), "each has its share"
    assert sum(map(len, seen)) == 20, "no market lies in two"
    for part in held:
        assert part == [message for message in messages if message in part]


def test_shard_somebody_works_on_is_not_begun_again() -> None:
    made = shards()
    (shard,) = made.put([fill("1")])
    shard.is_busy = True
    assert made.put([fill("1")]) == []
    assert not made.is_idle
    assert len(shard.take()) == 2
    assert not made.is_idle, "what was taken is in hand"
    shard.is_busy = False
    assert made.is_idle


def test_batch_is_bounded_and_a_full_shard_is_told() -> None:
    made = shards()
    (shard,) = made.put([fill("1") for _ in range(WAITING - 1)])
    assert not made.is_full
    made.put([fill("1")])
    assert made.is_full
    assert len(shard.take()) == BATCH
    assert not made.is_full


def test_commands_go_to_each_in_turn() -> None:
    made = shards()
    made.put([command() for _ in range(4)])
    assert [len(shard.waiting) for shard in all_of(made)] == [2, 2]
