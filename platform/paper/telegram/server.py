"""The server: `/bot<token>/<method>` as Telegram has it, and the control plane `/paper/*` beside it, on loopback.

Kept as Telegram does: an update is handed out until a later offset confirms it; a second getUpdates ends the first
with 409; too many messages get 429 with retry_after; a message is taken before it is answered.
"""

import asyncio
import contextlib
import signal
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import structlog
from aiohttp import web

from paper.telegram.chats import World, load_world, store_world
from paper.telegram.errors import BotApiError, refuse, respond

STORE_EVERY_S = 0.3
CALLS_KEPT = 2000

log = structlog.get_logger()


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How the server runs. The limits are Telegram's: about 30 messages a second, about one a second in a chat."""

    host: str
    port: int
    state_dir: Path
    per_second: int = 30
    chat_burst: int = 6
    """Messages one chat takes at once; it wins one back a second."""


class Faults(msgspec.Struct, kw_only=True):
    """What goes wrong now. Each counts down, or stays until it is switched off."""

    down: bool = False
    """Every method answers 502."""
    flood: int = 0
    """So many messages get 429."""
    retry_after: int = 1
    drop_answers: int = 0
    """So many messages are taken, and then the connection is cut instead of answered."""
    hold_answers: int = 0
    """So many messages are taken and never answered; the connection stays open."""
    duplicate: bool = False
    """Every update is handed out once more after it was confirmed."""
    blocked: list[int] = msgspec.field(default_factory=list)
    """People who blocked the bot: messages to them get 403."""


class Server:
    """The state of a running server."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.world: World = load_world(settings.state_dir)
        self.faults = Faults()
        self.calls: deque[dict[str, Any]] = deque(maxlen=CALLS_KEPT)
        self.counts: Counter[str] = Counter()
        self.inline_answers: dict[str, list[dict[str, Any]]] = {}
        self.callback_answers: dict[str, dict[str, Any]] = {}
        self.news = asyncio.Event()
        self.poller: asyncio.Future[None] | None = None
        self.webhook_tasks: set[asyncio.Task[None]] = set()
        self._sent: deque[float] = deque(maxlen=settings.per_second)
        self._chats: dict[int, tuple[float, float]] = {}
        self._changed = False

    def changed(self) -> None:
        """Something is to be stored, and somebody may wait for it."""
        self._changed = True
        self.news.set()

    async def wait_news(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.news.wait()

    def check_flood(self, chat_id: int) -> None:
        """Raises 429 as Telegram would."""
        if self.faults.flood > 0:
            self.faults.flood -= 1
            raise _flood(self.faults.retry_after)
        now = time.monotonic()
        allowance, at = self._chats.get(chat_id, (float(self.settings.chat_burst), now))
        allowance = min(self.settings.chat_burst, allowance + now - at)
        if allowance < 1 or (len(self._sent) == self._sent.maxlen and now - self._sent[0] < 1):
            raise _flood(1)
        self._chats[chat_id] = (allowance - 1, now)
        self._sent.append(now)

    def deliver(self, update: dict[str, Any], copies: int = 1) -> None:
        """Tell whoever waits, or post it to the webhook."""
        if copies > 1 and not self.world.webhook:
            self.world.updates.extend([update] * (copies - 1))
        if self.world.webhook:
            self.world.updates.remove(update)
            for _ in range(copies):
                task = asyncio.get_running_loop().create_task(self._post(update))
                self.webhook_tasks.add(task)
                task.add_done_callback(self.webhook_tasks.discard)
        self.changed()

    async def _post(self, update: dict[str, Any]) -> None:
        headers = {"X-Telegram-Bot-Api-Secret-Token": self.world.webhook_secret}
        async with aiohttp.ClientSession() as session:
            for pause in (0.2, 0.5, 1, 2, 4):
                try:
                    async with session.post(self.world.webhook, json=update, headers=headers) as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError as error:
                    log.info("paper_webhook_unanswered", error=type(error).__name__)
                await asyncio.sleep(pause)

    async def run_store(self) -> None:
        """Write the world a little after each change."""
        while True:
            await asyncio.sleep(STORE_EVERY_S)
            self.store()

    def store(self) -> None:
        if self._changed:
            self._changed = False
            store_world(self.settings.state_dir, self.world)


def _flood(seconds: int) -> BotApiError:
    return BotApiError(429, f"Too Many Requests: retry after {seconds}", seconds)


SERVER = web.AppKey("server", Server)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refusals in the Bot API's form, on both planes."""
    try:
        return await handler(request)
    except BotApiError as error:
        return refuse(error)
    except (msgspec.DecodeError, ValueError) as error:
        return respond({"ok": False, "error_code": 400, "description": f"Bad Request: {error}"}, 400)


async def run_world(app: web.Application) -> Any:
    """The storing loop, for as long as the application runs."""
    server = app[SERVER]
    task = asyncio.create_task(server.run_store())
    yield
    task.cancel()
    await asyncio.gather(task, *server.webhook_tasks, return_exceptions=True)
    server.changed()
    server.store()


async def serve(app: web.Application, settings: Settings) -> None:
    """Listen until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, settings.host, settings.port).start()
    log.info("paper_telegram_ready", host=settings.host, port=runner.addresses[0][1])
    await stop.wait()
    await runner.cleanup()
