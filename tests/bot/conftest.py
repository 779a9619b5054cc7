"""The local Bot API server as a process, bots against it (aiogram's real client), people who type and press."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import pytest
from django.conf import settings
from django.utils import timezone

from bot.models import TelegramChat
from bot.process import BotProcess, BotSettings
from identity.models import User
from markets.models import Market
from streams.connection import connect_now
from streams.publisher import publish_now
from tests.desk_rows import DeskRows, make_desk
from trading.events import Event

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "4242:obviously-a-fake-token-of-the-tests"
T = TypeVar("T")
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def wait_for(find: Callable[[], T], seconds: float = 10.0) -> T:
    """What `find` gives once it gives something."""
    deadline = time.monotonic() + seconds
    while True:
        found = find()
        if found:
            return found
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


class Telegram:
    """The control plane of the running server."""

    def __init__(self, url: str) -> None:
        self.url = url

    def call(self, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(self.url + path, data=None if body is None else json.dumps(body).encode())
        with _direct.open(request, timeout=10) as answer:
            return json.load(answer)

    def read(self, path: str) -> bytes:
        with _direct.open(self.url + path, timeout=10) as answer:
            body: bytes = answer.read()
            return body

    def faults(self, **faults: Any) -> None:
        self.call("/paper/faults", faults)

    def counts(self) -> dict[str, int]:
        counts: dict[str, int] = self.call("/paper/health")["calls"]
        return counts


class Person:
    """Somebody with Telegram."""

    def __init__(self, telegram: Telegram, telegram_id: int) -> None:
        self.telegram = telegram
        self.id = telegram_id
        self._heard = 0

    def heard(self) -> list[dict[str, Any]]:
        """Every message of the bot in this chat."""
        messages = self.telegram.call(f"/paper/chat/{self.id}")["messages"]
        return [message for message in messages if message["from_bot"]]

    def texts(self) -> list[str]:
        return [message["plain"] for message in self.heard()]

    def say(self, text: str, **options: Any) -> None:
        self._heard = max((message["message_id"] for message in self.heard()), default=0)
        self.telegram.call("/paper/say", {"user_id": self.id, "text": text, "first_name": "Test", **options})

    def ask(self, text: str) -> dict[str, Any]:
        """Type, and the first answer."""
        self.say(text)
        return wait_for(lambda: next((m for m in self.heard() if m["message_id"] > self._heard), None))

    def button(self, message: dict[str, Any], label: str) -> str:
        found = [b for row in message["buttons"] for b in row if b["text"].startswith(label)]
        assert found, f"no button {label!r} on {message['plain']!r}"
        data: str = found[0]["callback_data"]
        return data

    def press_data(self, message: dict[str, Any], data: str, **options: Any) -> str:
        body = {"user_id": self.id, "message_id": message["message_id"], "data": data, **options}
        query: str = self.telegram.call("/paper/press", body)["query_id"]
        return query

    def press(self, message: dict[str, Any], label: str) -> dict[str, Any]:
        """Press, and what the message then is; or the new message that answered."""
        known = {m["message_id"]: (m["text"], m["buttons"]) for m in self.heard()}
        self.press_data(message, self.button(message, label))
        return wait_for(
            lambda: next((m for m in self.heard() if known.get(m["message_id"]) != (m["text"], m["buttons"])), None)
        )

    def toast(self, query_id: str) -> str:
        """What flashed up after a press."""
        answer = wait_for(lambda: self.telegram.call(f"/paper/answer/{query_id}")["answer"])
        text: str = answer["text"]
        return text


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def telegram_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Telegram]:
    telegram = Telegram(f"http://127.0.0.1:{free_port()}")
    options = ["--port", telegram.url.rpartition(":")[2], "--state-dir", str(tmp_path_factory.mktemp("telegram"))]
    process = subprocess.Popen(
        [sys.executable, "-m", "paper.telegram", *options, "--chat-burst", "100000", "--per-second", "100000"], cwd=ROOT
    )

    def is_up() -> bool:
        try:
            telegram.call("/paper/health")
        except (urllib.error.URLError, OSError):
            return False
        return True

    try:
        wait_for(is_up, 20)
        yield telegram
    finally:
        process.terminate()
        process.wait(10)


_next_person = iter(range(1000, 100_000))


@pytest.fixture
def telegram(telegram_process: Telegram) -> Iterator[Telegram]:
    """The server without faults, and nobody's old updates."""
    telegram_process.faults()
    yield telegram_process
    telegram_process.faults()
    telegram_process.call(f"/bot{TOKEN}/deleteWebhook")


@pytest.fixture
def person(telegram: Telegram) -> Callable[[], Person]:
    """Make a person nobody knows yet."""
    return lambda: Person(telegram, next(_next_person))


class BotThread:
    """A bot in a thread of this process."""

    def __init__(self, bot_settings: BotSettings) -> None:
        self.process = BotProcess(bot_settings)
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="bot")
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self.process.run(self._stop))
        self._loop.close()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(30)
            assert not self._thread.is_alive()


def make_settings(telegram: Telegram, redis_url: str, **options: Any) -> BotSettings:
    return BotSettings(
        token=TOKEN,
        api_url=telegram.url,
        database_url=settings.DATABASE_URL,
        redis_url=redis_url,
        **{"chat_spacing_s": 0.0, **options},
    )


@pytest.fixture
def start_bot(telegram: Telegram, database_url: str, redis_url: str) -> Iterator[Callable[..., BotThread]]:
    """Start bots; they are stopped before the database is emptied."""
    started: list[BotThread] = []

    def start(**options: Any) -> BotThread:
        started.append(BotThread(make_settings(telegram, redis_url, **options)))
        return started[-1]

    yield start
    for bot in started:
        bot.stop()


@pytest.fixture
def bot(start_bot: Callable[..., BotThread]) -> BotThread:
    """One bot that leads."""
    started = start_bot()
    wait_for(started.process.is_leading.is_set)
    return started


@pytest.fixture
def start_process(telegram: Telegram, database_url: str, redis_url: str) -> Iterator[Callable[[], Any]]:
    """Start `manage.py bot` as a process of its own, to be killed."""
    started: list[subprocess.Popen[bytes]] = []
    environment = {
        **os.environ,
        "DATABASE_URL": settings.DATABASE_URL,
        "REDIS_URL": redis_url,
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "TELEGRAM_API_URL": telegram.url,
    }

    def start() -> "subprocess.Popen[bytes]":
        started.append(
            subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), "bot"],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def link(person: Callable[[], Person]) -> Callable[..., Person]:
    """A person whose chat is linked to `user`."""

    def make(user: User, **wishes: Any) -> Person:
        somebody = person()
        somebody.say("into a group, so that the server knows the chat", group_id=-1)
        TelegramChat.objects.create(
            user=user, telegram_id=somebody.id, linked_at=timezone.now() - timedelta(hours=1), **wishes
        )
        return somebody

    return make


@pytest.fixture
def desk(database_url: str) -> DeskRows:
    """Accounts, pairs, markets, exposures; an engine lease would make a stop wait, so there is none."""
    rows = make_desk(datetime.now(UTC))
    Market.objects.update(yes_token="1", no_token="2", lot=Decimal("0.01"))
    rows.strategy._meta.apps.get_model("accounts", "EngineLease").objects.all().delete()
    return rows


@pytest.fixture
def publish(redis_url: str) -> Iterator[Callable[[str, Event], None]]:
    """Put an event on the bus."""
    with connect_now(redis_url) as client:
        yield lambda stream, event: publish_now(client, stream, event) and None
