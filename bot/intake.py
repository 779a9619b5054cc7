"""Reads the bus as the group `bot`: each message becomes outbox rows, and only then is acknowledged.

Read twice (a crash in between) it makes no second row. While the database is away nothing is acknowledged.
"""

import asyncio
from collections.abc import Sequence

import structlog
from django.db import DatabaseError
from django.utils import timezone

from bot.hands import Hands, Lane
from bot.lead import pause
from bot.notices import Notice, handle_event
from bot.outbox import record_notices
from bot.subjects import load_subjects
from streams.reader import GroupReader
from trading.events import Event

NAME = "bot"
"""The consumer's name. One bot reads at a time, so each takes up what the one before left unacknowledged."""

log = structlog.get_logger()


class Intake:
    """One for the process that leads."""

    def __init__(self, reader: GroupReader, hands: Hands) -> None:
        self._reader = reader
        self._hands = hands

    async def run(self, stop: asyncio.Event) -> None:
        """Read until `stop`."""
        await self._reader.ensure_groups()
        while not stop.is_set():
            messages = await self._reader.read()
            while messages and not stop.is_set():
                try:
                    await self._hands.do(Lane.OUT, record_events, [message.event() for message in messages])
                except DatabaseError as error:
                    log.warning("bot_events_wait", events=len(messages), error=type(error).__name__)
                    await self._reader.hold(messages)
                    await pause(2.0, stop)
                else:
                    await self._reader.ack(messages)
                    messages = []


def record_events(events: Sequence[Event]) -> None:
    """The outbox rows of these events."""
    subjects = load_subjects(events)
    found = (handle_event(event, subjects) for event in events)
    notices: list[Notice] = [notice for notice in found if notice is not None]
    record_notices(notices, timezone.now())
