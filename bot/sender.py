"""Empties the outbox: claim, send, say so. Telegram away: everything waits; nothing is dropped, nothing is repeated.

What was claimed when the process is told to stop is still sent and noted. See `outbox` for what a crash leaves.
"""

import asyncio
from datetime import timedelta

import structlog
from django.db import DatabaseError
from django.utils import timezone

from bot.courier import Courier, Gone, Refused, TryLater, Uncertain
from bot.hands import Hands, Lane
from bot.lead import pause
from bot.models import TelegramChat
from bot.outbox import Parcel, claim_due, mark_failed, mark_sent, mark_waiting, requeue_uncertain

LOOK_EVERY_S = 0.3
LONGEST_PAUSE_S = 30.0

log = structlog.get_logger()


class Sender:
    """One for the process that leads."""

    def __init__(self, courier: Courier, hands: Hands) -> None:
        self._courier = courier
        self._hands = hands
        self._away = 0
        """Messages in a row that Telegram was not there for."""

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop`."""
        requeued = False
        while not stop.is_set():
            try:
                if not requeued:
                    uncertain = await self._hands.do(Lane.OUT, requeue_uncertain, timezone.now())
                    requeued = True
                    if uncertain:
                        log.warning("bot_outbox_uncertain", messages=uncertain)
                parcels = await self._hands.do(Lane.OUT, claim_due, timezone.now(), self._courier.resting())
                await asyncio.gather(*(self._deliver(parcel) for parcel in parcels))
            except DatabaseError as error:
                log.warning("bot_outbox_unread", error=type(error).__name__)
                await pause(2.0, stop)
            await pause(min(LONGEST_PAUSE_S, 2.0**self._away) if self._away else LOOK_EVERY_S, stop)

    async def _deliver(self, parcel: Parcel) -> None:
        try:
            message_id = await self._courier.send(parcel.telegram_id, parcel.reply, silent=parcel.silent)
        except TryLater as later:
            self._away = self._away if later.is_flood else min(self._away + 1, 5)
            at = timezone.now() + timedelta(seconds=later.seconds)
            await self._hands.do(Lane.OUT, mark_waiting, parcel.ids, at)
        except Uncertain:
            log.warning("bot_message_uncertain", messages=len(parcel.ids))
            await self._hands.do(Lane.OUT, mark_waiting, parcel.ids, timezone.now(), uncertain=True)
        except Gone as gone:
            log.info("bot_chat_gone")
            await self._hands.do(Lane.OUT, self._set_deaf, parcel.telegram_id)
            await self._hands.do(Lane.OUT, mark_failed, parcel.ids, str(gone))
        except Refused as refused:
            log.error("bot_message_refused", reason=str(refused))
            await self._hands.do(Lane.OUT, mark_failed, parcel.ids, str(refused))
        else:
            self._away = 0
            await self._hands.do(Lane.OUT, mark_sent, parcel.ids, message_id, timezone.now())

    @staticmethod
    def _set_deaf(telegram_id: int) -> None:
        TelegramChat.objects.filter(telegram_id=telegram_id).update(is_deaf=True)
