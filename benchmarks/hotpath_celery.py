"""The hot path as a Celery task per event, doing the same work: the other side of hotpath.py's throughput ratio.

    celery -A hotpath_celery worker        a task: record, decide, sign, commit, send, wait for the venue's answer
    python benchmarks/hotpath_celery.py    the reader: each event off the stream becomes one `.delay()`

Parts, database calls and orders are the product's own, kept warm in each worker process; only the way there differs.
"""

import asyncio
import threading
from typing import Any

import django
import redis
from celery import Celery
from celery.signals import worker_process_init

django.setup()

from django.conf import settings
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from accounts.credentials import CredentialStore
from accounts.executor import Executor
from accounts.gate import Gate
from accounts.vault import Opener
from markets.endpoints import load_endpoints
from strategies.dispatch import Dispatcher
from strategies.inbox import Inbox
from strategies.specs import SpecBook
from strategies.worker import connect_dispatcher, utc_now
from streams.connection import connect
from streams.message import Message
from streams.names import FIELD
from streams.publisher import Publisher
from trading.events import FILL_EVENTS

GROUP = "bench-celery"

app = Celery("hotpath_celery", broker=settings.REDIS_URL)
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    task_default_queue=GROUP,
    broker_transport_options={"global_keyprefix": "celery:"},
    worker_send_task_events=False,
)


class Desk:
    """One worker process's parts, on an event loop of their own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        asyncio.run_coroutine_threadsafe(self._build(), self.loop).result(60)

    async def _build(self) -> None:
        pool = AsyncConnectionPool[AsyncConnection[Any]](
            settings.DATABASE_URL, min_size=2, max_size=8, kwargs={"autocommit": True}, open=False
        )
        await pool.open()
        gate = Gate(settings.DATABASE_URL, GROUP)
        await gate.start()
        credentials = CredentialStore(pool, Opener(settings.VAULT_PRIVATE_KEY_FILE), settings.MODE)
        self.executor = Executor(
            pool, Publisher(connect(settings.REDIS_URL)), gate, credentials, GROUP, load_endpoints()
        )
        await self.executor.start()
        conn = await connect_dispatcher(settings.DATABASE_URL)
        self.dispatcher = Dispatcher(conn, self.executor, SpecBook(), {}, utc_now)

    async def hedge(self, entry_id: str, body: bytes) -> None:
        """One event, to the end."""
        inbox = Inbox()
        inbox.take([Message(FILL_EVENTS, entry_id, body)])
        await self.dispatcher.dispatch(inbox)
        while self.executor.sending:
            await asyncio.sleep(0.0005)


desk: Desk


@worker_process_init.connect
def build_desk(**options: Any) -> None:
    """A worker process warms up before its first task."""
    global desk
    desk = Desk()


@app.task(name="hotpath_celery.hedge")
def hedge(entry_id: str, body: str) -> None:
    """The task per event."""
    asyncio.run_coroutine_threadsafe(desk.hedge(entry_id, body.encode()), desk.loop).result(60)


def main() -> None:
    """Read the stream and hand every event to Celery."""
    client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=None)
    client.xgroup_create(FILL_EVENTS, GROUP, id="$", mkstream=True)
    while True:
        answer: Any = client.xreadgroup(GROUP, "reader", {FILL_EVENTS: ">"}, count=64, block=0)
        streams = answer.items() if isinstance(answer, dict) else answer
        for _, entries in streams:
            for entry_id, fields in entries:
                hedge.delay(entry_id.decode(), fields[FIELD].decode())
            client.xack(FILL_EVENTS, GROUP, *(entry_id for entry_id, _ in entries))


if __name__ == "__main__":
    main()
