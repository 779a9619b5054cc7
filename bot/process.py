"""The bot's process: wait for the lead, then read the bus, send, watch and answer, until told to stop.

Any number may run; one leads. When it dies or loses its database connection, the next one takes over within seconds.
"""

import asyncio
import logging
from dataclasses import dataclass, field

import structlog

from bot.commands import alerting, catalogue, desk, money, orders, running, starting, stopping
from bot.courier import CHAT_SPACING_S, Courier, connect_bot
from bot.dispatch import Conversation
from bot.hands import Hands
from bot.intake import NAME, Intake
from bot.lead import Lead, pause
from bot.sender import Sender
from bot.updates import Updates
from bot.watch import Watch
from streams.connection import connect_reader
from streams.names import BOT, READER_GROUPS
from streams.reader import GroupReader

SUBJECTS = (starting, stopping, desk, money, orders, catalogue, running, alerting)
"""The modules whose commands the bot knows, in the order of its help."""

STOP_S = 12.0
AGAIN_S = 1.0
"""Before the lead is asked for again: a part that fails at once must not make a busy loop."""

log = structlog.get_logger()
logging.getLogger("aiogram.event").setLevel(logging.WARNING)  # its info lines are one an update


@dataclass(frozen=True)
class BotSettings:
    """How one bot runs. Without a webhook's address it polls."""

    token: str = field(repr=False)
    api_url: str
    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    webhook_url: str = ""
    webhook_secret: str = field(default="", repr=False)
    webhook_host: str = "127.0.0.1"
    webhook_port: int = 8090
    chat_spacing_s: float = CHAT_SPACING_S


class BotProcess:
    """One process. `is_leading` is set while it is the one."""

    def __init__(self, settings: BotSettings) -> None:
        self._settings = settings
        self.is_leading = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop`."""
        while not stop.is_set():
            lead = Lead(self._settings.database_url, self._settings.token)
            async with lead.held(stop) as held:
                if held:
                    log.info("bot_leads", webhook=bool(self._settings.webhook_url))
                    self.is_leading.set()
                    try:
                        await self._work(stop, lead.lost)
                    finally:
                        self.is_leading.clear()
            await pause(AGAIN_S, stop)

    async def _work(self, stop: asyncio.Event, lost: asyncio.Event) -> None:
        settings, hands, over = self._settings, Hands(), asyncio.Event()
        bot = connect_bot(settings.token, settings.api_url)
        redis = connect_reader(settings.redis_url)
        courier = Courier(bot, hands, settings.chat_spacing_s)
        conversation = Conversation(courier, hands)
        updates = Updates(bot, conversation.dispatcher(), hands)
        reader = GroupReader(redis, BOT, NAME, READER_GROUPS[BOT].streams, count=256, block_ms=500)
        if settings.webhook_url:
            listening = updates.run_webhook(
                over, settings.webhook_url, settings.webhook_secret, settings.webhook_host, settings.webhook_port
            )
        else:
            listening = updates.run_polling(over)
        work = {
            asyncio.create_task(listening, name="updates"),
            asyncio.create_task(Sender(courier, hands).run(over), name="sender"),
            asyncio.create_task(Intake(reader, hands).run(over), name="intake"),
            asyncio.create_task(Watch(hands).run(over), name="watch"),
        }
        signals = {asyncio.create_task(stop.wait()), asyncio.create_task(lost.wait())}
        try:
            done, _ = await asyncio.wait(work | signals, return_when=asyncio.FIRST_COMPLETED)
            for task in done & work:
                error = task.exception()
                log.error("bot_part_ended", part=task.get_name(), error=type(error).__name__, exc_info=error)
        finally:
            over.set()
            _, left = await asyncio.wait(work, timeout=STOP_S)
            for task in left | signals:
                task.cancel()
            await asyncio.gather(*left, *signals, return_exceptions=True)
            await bot.session.close()
            await redis.aclose()
            hands.close()
