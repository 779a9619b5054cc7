"""Live updates: one reader, many pages, signals joined, nobody held up, strangers refused."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import redis.asyncio
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.test import Client

from hedgerow.asgi import application
from hedgerow.live import LiveFeed, Mailbox, entries_of, feed_of_this_loop
from hedgerow.signals_map import DESK, FILLS, REFETCH, SIGNALS, signal_of
from streams.connection import connect
from streams.names import EVENT_STREAMS
from streams.publisher import Publisher
from trading.enums import Outcome, Platform
from trading.events import ACCOUNT_EVENTS, FILL_EVENTS, DeskStopped, Event, Fill, encode
from trading.ids import event_id

HOST = b"127.0.0.1:8000"


def fill_event(number: int) -> Event:
    return Event(
        id=event_id("test", str(number)),
        platform=Platform.PREDICT,
        timestamp=datetime.now(UTC),
        data=Fill(
            account_id="a", account_name="predict-01", market_id="100", side=Outcome.YES, price=Decimal("0.55"),
            shares=Decimal(10), order_hash="0x1", trade_id=f"t{number}",
        ),
    )  # fmt: skip


def test_every_event_stream_has_a_signal() -> None:
    assert SIGNALS.keys() == set(EVENT_STREAMS)


def test_stop_on_the_account_stream_concerns_the_desk() -> None:
    stop = Event(
        id=event_id("desk", "1"),
        timestamp=datetime.now(UTC),
        data=DeskStopped(generation=1, level="no_new", by="operator"),
    )
    assert signal_of(ACCOUNT_EVENTS, encode(stop)) == DESK
    assert signal_of(ACCOUNT_EVENTS, b"{}") == "accounts-changed"


def test_both_shapes_of_a_read_are_understood() -> None:
    entry = (b"1-1", {b"event": b"{}"})
    assert entries_of([[b"fill_events", [entry]]]) == [("fill_events", [entry])]
    assert entries_of({b"fill_events": [[entry]]}) == [("fill_events", [entry])]
    assert entries_of(None) == []


async def test_burst_is_one_signal_and_the_last_counts() -> None:
    mailbox = Mailbox()
    for _ in range(1_000):
        mailbox.put(FILLS)
    assert await mailbox.take() == [FILLS]
    waiting = asyncio.create_task(mailbox.take())
    await asyncio.sleep(0)
    assert not waiting.done(), "an empty mailbox waits"
    mailbox.put(DESK)
    mailbox.put(FILLS)
    assert await asyncio.wait_for(waiting, 1) == [DESK, FILLS]


async def test_one_reader_feeds_every_page(redis_url: str) -> None:
    client = connect(redis_url)
    number = redis_url.rpartition("/")[2]  # Other processes of this run have numbers of their own.
    others = {c["id"] for c in await client.client_list()}
    feed = LiveFeed(redis_url)
    pages = [feed.join() for _ in range(100)]
    await asyncio.wait_for(feed.is_reading.wait(), 5)
    await Publisher(client).publish_many(FILL_EVENTS, [fill_event(n) for n in range(50)])
    heard = await asyncio.wait_for(asyncio.gather(*(page.take() for page in pages[1:])), 5)
    assert heard == [[FILLS]] * 99, "the page that never listens held nobody up"
    clients = [c for c in await client.client_list() if c["db"] == number and c["id"] not in others]
    readers = [c for c in clients if c["cmd"].startswith("xread")]
    assert len(readers) == 1
    for page in pages:
        await feed.leave(page)
    await client.aclose()


async def test_lost_redis_makes_pages_fetch_everything(redis_url: str) -> None:
    feed = LiveFeed(redis_url)
    page = feed.join()
    await asyncio.wait_for(feed.is_reading.wait(), 5)
    client: redis.asyncio.Redis = connect(redis_url)
    await client.client_kill_filter(_type="normal", skipme=True)
    assert REFETCH in await asyncio.wait_for(page.take(), 10)
    await asyncio.wait_for(feed.is_reading.wait(), 5)
    await Publisher(client).publish(FILL_EVENTS, fill_event(1))
    assert await asyncio.wait_for(page.take(), 5) == [FILLS], "and it reads on"
    await feed.leave(page)
    await client.aclose()


def socket_to(cookie: str = "", origin: bytes = b"http://" + HOST) -> ApplicationCommunicator:
    """A browser's socket at the door: what it gets next is the answer."""
    headers = [(b"host", HOST), (b"cookie", cookie.encode()), *([(b"origin", origin)] if origin else [])]
    scope = {"type": "websocket", "path": "/ws/pages", "query_string": b"", "headers": headers, "subprotocols": []}
    return ApplicationCommunicator(application, scope)


async def connect_socket(socket: ApplicationCommunicator) -> bool:
    """True when it is let in."""
    await socket.send_input({"type": "websocket.connect"})
    answer = await socket.receive_output(5)
    return bool(answer["type"] == "websocket.accept")


def sign_in(user: object) -> str:
    client = Client()
    client.force_login(user)  # type: ignore[arg-type]
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"


@pytest.mark.django_db(transaction=True)
async def test_page_hears_of_a_fill(redis_url: str, viewer: object) -> None:
    socket = socket_to(await sync_to_async(sign_in)(viewer))
    assert await connect_socket(socket)
    feed = feed_of_this_loop(settings.REDIS_URL)
    await asyncio.wait_for(feed.is_reading.wait(), 5)
    client = connect(redis_url)
    await Publisher(client).publish(FILL_EVENTS, fill_event(1))
    heard = await socket.receive_output(5)
    assert heard["text"] == '{"signal":"fills-changed"}'
    assert await socket.receive_nothing(timeout=0.3), "a signal, and no figures"
    await socket.send_input({"type": "websocket.disconnect", "code": 1000})
    await socket.wait(5)
    await client.aclose()


@pytest.mark.django_db(transaction=True)
async def test_stranger_gets_no_socket(redis_url: str) -> None:
    assert not await connect_socket(socket_to())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("origin", [b"http://evil.example", b"http://127.0.0.1:9999", b""])
async def test_foreign_page_gets_no_socket(redis_url: str, viewer: object, origin: bytes) -> None:
    cookie = await sync_to_async(sign_in)(viewer)
    assert not await connect_socket(socket_to(cookie, origin))
