"""Shards: how an engine has several batches in hand at once that never wait for each other in the database.

What a batch locks belongs to its markets: orders, positions, exposures, the right to order there. So a market's
messages go to one shard, one batch after the other and in the order they came; another shard's batch is decided while
this one is with the database.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import cycle
from zlib import crc32

from strategies.dispatch import Dispatcher
from streams.message import Message

BATCH = 128
"""Most messages of one transaction."""
WAITING = 2 * BATCH
"""So many may wait in one shard before no more are read."""


class Shard:
    """One dispatcher and what waits for it."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.dispatcher = dispatcher
        self.waiting: deque[Message] = deque()
        self.is_busy = False

    def take(self) -> list[Message]:
        """The next batch, in the order its messages came."""
        return [self.waiting.popleft() for _ in range(min(BATCH, len(self.waiting)))]


class Shards:
    """All of one engine's. Messages that name no market go to each in turn: nothing they ask for is locked."""

    def __init__(self, dispatchers: Sequence[Dispatcher]) -> None:
        self._shards = [Shard(dispatcher) for dispatcher in dispatchers]
        self._in_turn = cycle(self._shards)

    @property
    def is_idle(self) -> bool:
        """Nothing is in hand and nothing waits."""
        return not any(shard.is_busy or shard.waiting for shard in self._shards)

    @property
    def is_full(self) -> bool:
        """Some shard has enough to do: read no more now."""
        return any(len(shard.waiting) >= WAITING for shard in self._shards)

    def put(self, messages: Iterable[Message]) -> list[Shard]:
        """Sort these in; gives the shards that have work now and nobody at it."""
        for message in messages:
            self._of(message).waiting.append(message)
        return [shard for shard in self._shards if shard.waiting and not shard.is_busy]

    def _of(self, message: Message) -> Shard:
        market_id = getattr(message.event().data, "market_id", "") if message.is_event else ""
        if not market_id:
            return next(self._in_turn)
        return self._shards[crc32(market_id.encode()) % len(self._shards)]
