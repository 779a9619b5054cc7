"""Where updates come from: long polling, or a webhook of our own. Each update is taken once, over restarts too.

An update is recorded as seen before it is handled: after a crash its command is lost rather than done twice.
"""

import asyncio
import hmac
from collections.abc import Sequence

import structlog
from aiogram import Bot, Dispatcher
from aiogram.exceptions import AiogramError, TelegramConflictError, TelegramRetryAfter, TelegramUnauthorizedError
from aiogram.types import BotCommand, Update
from aiohttp import web
from django.db import DatabaseError, connection
from django.utils import timezone
from pydantic import ValidationError

from bot.commands.registry import COMMANDS
from bot.hands import Hands, Lane
from bot.lead import pause
from bot.models import SeenUpdate

POLL_S = 20
LONGEST_PAUSE_S = 15.0
KINDS = ["message", "callback_query", "inline_query"]
SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105  (a header's name)

log = structlog.get_logger()


def record_seen(update_ids: Sequence[int]) -> set[int]:
    """The ids nobody took before; from now on they are taken."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {SeenUpdate._meta.db_table} (update_id, at) SELECT unnest(%s::bigint[]), %s "
            "ON CONFLICT DO NOTHING RETURNING update_id",
            (list(update_ids), timezone.now()),
        )
        return {row[0] for row in cursor.fetchall()}


class Updates:
    """Takes updates and has each handled in a task of its own, so that no one waits for another."""

    def __init__(self, bot: Bot, dispatcher: Dispatcher, hands: Hands) -> None:
        self._bot = bot
        self._dispatcher = dispatcher
        self._hands = hands
        self._tasks: set[asyncio.Task[object]] = set()
        self.is_polling = asyncio.Event()

    async def run_polling(self, stop: asyncio.Event) -> None:
        """Poll until `stop`. Outages are waited out; a 409 means another poller, and the lock decides who stays."""
        offset: int | None = None
        failures = 0
        await self._introduce(stop, "")
        while not stop.is_set():
            try:
                updates = await self._poll(offset, stop)
                if updates:
                    await self.take(updates)
                    offset = updates[-1].update_id + 1
                failures = 0
                self.is_polling.set()
                continue
            except TelegramUnauthorizedError:
                log.error("bot_token_refused")
                failures = 5
            except TelegramRetryAfter as error:
                await pause(error.retry_after, stop)
                continue
            except TelegramConflictError:
                log.warning("bot_polled_twice")
            except (AiogramError, DatabaseError, ValidationError) as error:
                log.warning("bot_poll_failed", error=type(error).__name__)
            failures = min(failures + 1, 6)
            await pause(min(LONGEST_PAUSE_S, 0.25 * 2**failures), stop)
        await self._finish()

    async def run_webhook(self, stop: asyncio.Event, url: str, secret: str, host: str, port: int) -> None:
        """Serve the webhook until `stop`. Only what carries the secret is heard."""

        async def receive(request: web.Request) -> web.Response:
            given = request.headers.get(SECRET_HEADER, "")
            if not hmac.compare_digest(given.encode(), secret.encode()):
                return web.Response(status=403)
            try:
                update = Update.model_validate_json(await request.read(), context={"bot": self._bot})
            except ValidationError:
                return web.Response(status=400)
            try:
                await self.take([update])
            except DatabaseError:
                return web.Response(status=503)
            return web.Response()

        app = web.Application(client_max_size=1024 * 1024)
        app.router.add_post("/{path:.*}", receive)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, host, port).start()
        try:
            await self._introduce(stop, url, secret)
            self.is_polling.set()
            await stop.wait()
        finally:
            await runner.cleanup()
            await self._finish()

    async def take(self, updates: Sequence[Update]) -> None:
        """Have those handled that were not seen before. Raises a database error when that cannot be known."""
        fresh = await self._hands.do(Lane.FRONT, record_seen, [update.update_id for update in updates])
        for update in updates:
            if update.update_id in fresh:
                fresh.discard(update.update_id)  # the same twice in one answer
                task = asyncio.create_task(self._handle(update))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _handle(self, update: Update) -> object:
        try:
            return await self._dispatcher.feed_update(self._bot, update)
        except Exception as error:
            log.exception("bot_update_failed", error=type(error).__name__)
            return None

    async def _poll(self, offset: int | None, stop: asyncio.Event) -> list[Update]:
        """One getUpdates, cut short by `stop`."""
        poll = asyncio.create_task(
            self._bot.get_updates(offset=offset, timeout=POLL_S, allowed_updates=KINDS, request_timeout=POLL_S + 10)
        )
        ended = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({poll, ended}, return_when=asyncio.FIRST_COMPLETED)
            return await poll if poll.done() else []
        finally:
            for task in (poll, ended):
                task.cancel()
            await asyncio.gather(poll, ended, return_exceptions=True)

    async def _introduce(self, stop: asyncio.Event, url: str, secret: str = "") -> None:
        """Tell Telegram how updates reach us and which commands there are; again until it has heard."""
        commands = [BotCommand(command=name, description=entry.about) for name, entry in COMMANDS.items()]
        while not stop.is_set():
            try:
                if url:
                    await self._bot.set_webhook(url, secret_token=secret, allowed_updates=KINDS)
                else:
                    await self._bot.delete_webhook()
                await self._bot.set_my_commands(commands)
                return
            except AiogramError as error:
                log.warning("bot_not_introduced", error=type(error).__name__)
                await pause(2.0, stop)

    async def _finish(self) -> None:
        """Let what was begun end."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=10)
