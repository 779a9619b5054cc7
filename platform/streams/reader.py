"""Reads streams as one consumer of a reader group. The engine, the recorder and the bot each run one.

Kept true, whatever Redis or this process does: a message is handed out again until it is acknowledged or
dead-lettered, and none is skipped. A message may be handed out twice, so what handles it must be idempotent.

1. After a start, a lost connection or a cancelled read: first this consumer's own unacknowledged entries, then new.
2. Every `claim_idle_ms / 2`: entries that any consumer left unacknowledged for `claim_idle_ms`.
3. Lost group (an empty Redis): make it again, at the beginning of the stream.
"""

import asyncio
import random
import time
from collections.abc import Iterable
from typing import Any

import redis.asyncio
import structlog
from redis import exceptions as errors

from streams.connection import ANSWER_TIMEOUT_S, check_reader
from streams.message import Message
from streams.names import FIELD, dead_letter_stream
from trading.errors import InvalidValue

__all__ = ["GroupReader", "Message"]

log = structlog.get_logger()

# What passes by itself: Redis is restarting, loading its data (a ConnectionError too), or was just demoted.
_OUTAGES = (errors.ConnectionError, errors.TimeoutError, errors.ReadOnlyError, OSError)

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 2.0


class GroupReader:
    """One consumer of `group`. `redis` comes from `streams.connection.connect_reader`; the caller closes it.

    `consumer` is one process: no two share a name at one time, and a restarted process keeps its own. Use from
    one task at a time; `ack` and `dead_letter` may be called from others. No method raises for an outage of Redis.
    """

    def __init__(
        self,
        redis: redis.asyncio.Redis,
        group: str,
        consumer: str,
        streams: Iterable[str],
        count: int = 64,
        block_ms: int = 1000,
        claim_idle_ms: int = 30_000,
    ) -> None:
        check_reader(redis)
        self.group = group
        self.consumer = consumer
        self.streams = tuple(streams)
        self._redis = redis
        self._count = count
        self._block_ms = block_ms
        self._claim_idle_ms = claim_idle_ms
        self._next_claim = 0.0
        self._claim_from: dict[str, str] = {}
        # Streams whose own unacknowledged entries are still to be read, and after which entry.
        self._history: dict[str, str] = {}
        self._in_hand: set[tuple[str, str]] = set()
        self._acks_due: list[tuple[str, str]] = []
        self._has_groups = False
        self._pause_s = 0.0
        self._recover()

    async def ensure_groups(self) -> None:
        """Make the group on each stream, at its beginning, so that nothing published before is lost."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self._make_groups()
        except _OUTAGES as error:
            await self._wait_out(error)

    async def read(self) -> list[Message]:
        """Up to `count` messages a stream, or none after `block_ms`. An undecodable event is dead-lettered instead."""
        try:
            messages = await self._read()
            if self._pause_s:
                log.info("reader_reconnected", group=self.group, consumer=self.consumer)
                self._pause_s = 0.0
        except _OUTAGES as error:
            self._recover()
            await self._wait_out(error)
            return []
        except errors.ResponseError as error:
            self._recover()
            if not str(error).startswith("NOGROUP"):
                raise
            log.warning("reader_group_missing", group=self.group, streams=self.streams)
            self._has_groups = False
            return []
        except BaseException:
            # Cancelled while Redis may already have handed us entries: ask for them again.
            self._recover()
            raise
        return await self._without_garbage(messages)

    async def ack(self, messages: Iterable[Message]) -> None:
        """Say that `messages` are done. In an outage the acknowledgement is kept and sent with the next read."""
        self._acks_due.extend(message.key for message in messages)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self._send_acks()
        except _OUTAGES as error:
            log.warning("reader_ack_delayed", group=self.group, acks=len(self._acks_due), error=_name(error))

    async def hold(self, messages: Iterable[Message]) -> None:
        """Keep `messages` from being claimed by another consumer while they take longer than `claim_idle_ms`."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S), self._redis.pipeline(transaction=False) as pipeline:
                for stream, ids in _by_stream(message.key for message in messages).items():
                    pipeline.xclaim(stream, self.group, self.consumer, 0, list(ids), justid=True)
                await pipeline.execute()
        except (*_OUTAGES, errors.ResponseError) as error:
            log.warning("reader_hold_failed", group=self.group, error=_name(error))

    async def dead_letter(self, message: Message, reason: str) -> None:
        """Move `message` to its stream's dead letters and acknowledge it, in one step. In an outage it comes again."""
        fields: dict[Any, Any] = {
            FIELD: message.body,
            b"group": self.group,
            b"reason": reason,
            b"original_id": message.entry_id,
            b"deliveries": message.deliveries,
        }
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S), self._redis.pipeline(transaction=True) as pipeline:
                pipeline.xadd(dead_letter_stream(message.stream), fields)
                pipeline.xack(message.stream, self.group, message.entry_id)
                await pipeline.execute()
        except _OUTAGES as error:
            log.warning("reader_dead_letter_delayed", group=self.group, error=_name(error))
            self._in_hand.discard(message.key)
            self._recover()
            return
        self._in_hand.discard(message.key)
        log.error(
            "message_dead_lettered",
            group=self.group,
            stream=message.stream,
            entry_id=message.entry_id,
            reason=reason,
            deliveries=message.deliveries,
        )

    def _recover(self) -> None:
        self._history = dict.fromkeys(self.streams, "0")

    async def _wait_out(self, error: BaseException) -> None:
        if isinstance(error, errors.AuthenticationError):
            raise error  # A wrong password does not pass by itself.
        if not self._pause_s:
            log.warning("reader_disconnected", group=self.group, consumer=self.consumer, error=_name(error))
        self._pause_s = min(max(self._pause_s * 2, FIRST_PAUSE_S), LONGEST_PAUSE_S)
        await asyncio.sleep(self._pause_s * random.uniform(0.5, 1.0))  # noqa: S311  (jitter, not a secret)

    async def _make_groups(self) -> None:
        for stream in self.streams:
            try:
                await self._redis.xgroup_create(stream, self.group, id="0", mkstream=True)
            except errors.ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise
        self._has_groups = True

    async def _read(self) -> list[Message]:
        is_claim_due = time.monotonic() >= self._next_claim
        if is_claim_due or self._history or self._acks_due or not self._has_groups:
            earlier = await self._read_earlier(is_claim_due)
            if earlier:
                return earlier
        # The answer is late only when the connection is dead: it has no time-out of its own.
        async with asyncio.timeout(self._block_ms / 1000 + ANSWER_TIMEOUT_S):
            new: dict[Any, Any] = dict.fromkeys(self.streams, ">")
            answer = await self._redis.xreadgroup(
                self.group, self.consumer, new, count=self._count, block=self._block_ms
            )
        fresh = [Message(stream, entry_id, body) for stream, entry_id, body in _entries(answer)]
        self._in_hand.update(message.key for message in fresh)
        return fresh

    async def _read_earlier(self, is_claim_due: bool) -> list[Message]:
        """What comes before new entries: acknowledgements kept, our own entries, those nobody finished."""
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            if not self._has_groups:
                await self._make_groups()
            if self._acks_due:
                await self._send_acks()
            while self._history:
                own = await self._read_history()
                if own:
                    return own
            return await self._claim() if is_claim_due else []

    async def _read_history(self) -> list[Message]:
        """The next of our own unacknowledged entries that the caller does not already hold."""
        asked: dict[Any, Any] = dict(self._history)
        answer = await self._redis.xreadgroup(self.group, self.consumer, asked, count=self._count)
        entries = _entries(answer)
        for stream in asked:
            ids = [entry_id for name, entry_id, _ in entries if name == stream]
            if ids:
                self._history[stream] = ids[-1]
            else:
                del self._history[stream]
        return await self._hand_out([entry for entry in entries if (entry[0], entry[1]) not in self._in_hand])

    async def _claim(self) -> list[Message]:
        """Take over what lay unacknowledged too long, ours too: a message that nobody finished is tried again."""
        entries: list[tuple[str, str, bytes]] = []
        for stream in self.streams:
            cursor, claimed, deleted = await self._redis.xautoclaim(
                stream,
                self.group,
                self.consumer,
                min_idle_time=self._claim_idle_ms,
                start_id=self._claim_from.get(stream, "0-0"),
                count=self._count,
            )
            self._claim_from[stream] = _text(cursor)
            entries += _entries([(stream, claimed)])
            if deleted:
                log.error(
                    "unacknowledged_entries_deleted", stream=stream, group=self.group, ids=[_text(i) for i in deleted]
                )
        if all(cursor == "0-0" for cursor in self._claim_from.values()):
            self._next_claim = time.monotonic() + self._claim_idle_ms / 2000
        due = set(self._acks_due)
        return await self._hand_out([entry for entry in entries if (entry[0], entry[1]) not in due])

    async def _hand_out(self, entries: list[tuple[str, str, bytes]]) -> list[Message]:
        """Messages that were delivered before, with their delivery counts."""
        messages: list[Message] = []
        for stream, ids in _by_stream((stream, entry_id) for stream, entry_id, _ in entries).items():
            bodies = {entry_id: body for name, entry_id, body in entries if name == stream}
            pending = await self._redis.xpending_range(
                stream, self.group, min=ids[0], max=ids[-1], count=10 * self._count, consumername=self.consumer
            )
            deliveries = {_text(entry["message_id"]): int(entry["times_delivered"]) for entry in pending}
            messages += [Message(stream, entry_id, bodies[entry_id], deliveries.get(entry_id, 1)) for entry_id in ids]
        self._in_hand.update(message.key for message in messages)
        return messages

    async def _send_acks(self) -> None:
        sending, self._acks_due = self._acks_due, []
        if not sending:
            return
        try:
            # A missing group answers 0, an error here is an outage: the same acknowledgement may go twice.
            grouped = _by_stream(sending)
            if len(grouped) == 1:
                [(stream, ids)] = grouped.items()
                await self._redis.xack(stream, self.group, *ids)
            else:
                async with self._redis.pipeline(transaction=False) as pipeline:
                    for stream, ids in grouped.items():
                        pipeline.xack(stream, self.group, *ids)
                    await pipeline.execute()
        except BaseException:
            self._acks_due = sending + self._acks_due
            raise
        self._in_hand.difference_update(sending)

    async def _without_garbage(self, messages: list[Message]) -> list[Message]:
        good: list[Message] = []
        for message in messages:
            try:
                if message.is_event:
                    message.event()
            except InvalidValue as error:
                await self.dead_letter(message, str(error))
            else:
                good.append(message)
        return good


def _entries(answer: Any) -> list[tuple[str, str, bytes]]:
    """(stream, entry id, body) of a group read's answer. An entry deleted under us has no fields: its body is empty."""
    pairs = answer.items() if isinstance(answer, dict) else answer or ()
    found: list[tuple[str, str, bytes]] = []
    for stream, entries in pairs:
        for entry_id, fields in entries:
            found.append((_text(stream), _text(entry_id), (fields or {}).get(FIELD, b"")))
    return found


def _by_stream(keys: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for stream, entry_id in keys:
        grouped.setdefault(stream, []).append(entry_id)
    return grouped


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _name(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if isinstance(error, errors.RedisError) else type(error).__name__
