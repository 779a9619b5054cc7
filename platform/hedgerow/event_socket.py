"""The Channels consumer behind `/ws`: a person's or a program's live view of the bus (docs/api.md).

Who connects is checked at once and again every half minute: a token revoked or expired, a role lost or a session ended
cuts the socket. Each message is the bus's own envelope with a cursor; a heartbeat carries the cursor through silence.
"""

import asyncio
import contextlib
import time
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs

import msgspec
from asgiref.sync import sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.utils import timezone

from accounts.models import Account
from accounts.scope import in_scope
from hedgerow.broadcast import Backlog, Broadcast, broadcast_of_this_loop
from hedgerow.consumers import NOT_SIGNED_IN, WRONG_ORIGIN, is_own_origin
from hedgerow.topics import TOPICS, check_topics, read_cursor
from identity.callers import Caller, load_person, load_program
from identity.models import User
from identity.roles import Role, includes
from web.problems import Problem

UNREADABLE = 4400
TOO_SLOW = 4408
TOO_MANY = 4429

MOST_SOCKETS = 2_000
"""Per web process."""
LONGEST_REQUEST = 8_192
MOST_TOPICS = 200

Word = Annotated[str, msgspec.Meta(max_length=120)]


class SocketRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What a client may say."""

    op: Literal["subscribe", "unsubscribe", "ping"]
    topics: Annotated[list[Word], msgspec.Meta(max_length=MOST_TOPICS)] = []
    cursor: Annotated[str, msgspec.Meta(max_length=300)] = ""


_decoder = msgspec.json.Decoder(SocketRequest)


class EventSocket(AsyncWebsocketConsumer):
    """One socket. Refused unless it comes with a valid token, or with a session from one of our own pages."""

    caller: Caller | None = None
    backlog: Backlog | None = None
    sender: "asyncio.Task[None] | None" = None

    @property
    def broadcast(self) -> Broadcast:
        """This process's."""
        return broadcast_of_this_loop(settings.REDIS_URL)

    async def connect(self) -> None:
        secret = self._secret()
        if not secret and not is_own_origin(self.scope["headers"]):
            await self.close(WRONG_ORIGIN, "open it from our own page, or send a token")
            return
        caller, account_ids = await sync_to_async(self._load_caller)(secret)
        if caller is None:
            await self.close(NOT_SIGNED_IN, "not signed in, or the token is not valid")
            return
        if len(self.broadcast) >= MOST_SOCKETS:
            await self.close(TOO_MANY, "too many sockets here: try again later")
            return
        self.caller, self.backlog = caller, Backlog(account_ids)
        await self.accept()
        await self.broadcast.join(self.backlog)
        await self.tell("welcome", user=caller.user.get_username(), topics=[*TOPICS, "markets/{id}"])
        self.sender = asyncio.create_task(self._run(self.backlog), name="event socket")
        asked = parse_qs(self.scope["query_string"].decode("latin-1"))
        topics = [topic for value in asked.get("topics", []) for topic in value.split(",") if topic]
        if topics:
            await self._obey(SocketRequest(op="subscribe", topics=topics, cursor=asked.get("cursor", [""])[0]))

    async def disconnect(self, code: int) -> None:
        if self.sender is not None:
            self.sender.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self.sender
        if self.backlog is not None:
            await self.broadcast.leave(self.backlog)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """A client's request. What cannot be read is answered, what is far too long ends the socket."""
        if text_data is None or len(text_data) > LONGEST_REQUEST:
            await self.close(UNREADABLE, "send short JSON texts")
            return
        try:
            asked = _decoder.decode(text_data)
        except msgspec.MsgspecError as error:
            await self.tell("error", code="request_invalid", detail=str(error))
            return
        await self._obey(asked)

    async def tell(self, kind: str, **fields: Any) -> None:
        """Send something of our own, not of the bus."""
        await self.send(text_data=msgspec.json.encode({"type": kind, **fields}).decode())

    async def _obey(self, asked: SocketRequest) -> None:
        backlog = self.backlog
        if backlog is None:
            return
        try:
            if asked.op == "subscribe":
                await self._subscribe(backlog, check_topics(asked.topics), asked.cursor)
            elif asked.op == "unsubscribe":
                backlog.topics -= frozenset(asked.topics)
                await self.tell("subscribed", topics=sorted(backlog.topics), cursor=self.broadcast.cursor())
            else:
                await self._beat()
        except Problem as problem:
            await self.tell("error", code=problem.code, detail=problem.detail)

    async def _subscribe(self, backlog: Backlog, topics: frozenset[str], cursor: str) -> None:
        """Live messages of `topics` from now on; with a cursor, first those that came after it."""
        since = read_cursor(cursor) if cursor else None
        if len(backlog.topics | topics) > MOST_TOPICS:
            raise Problem(422, "topics_too_many", f"At most {MOST_TOPICS} topics on one socket.")
        backlog.is_held = True
        try:
            # From here to the copy nothing waits: what comes later is in the backlog, what came before is replayed.
            backlog.topics |= topics
            until = dict(self.broadcast.feed.positions)
            await self.tell("subscribed", topics=sorted(backlog.topics), cursor=self.broadcast.cursor())
            if since is not None:
                async for text in self.broadcast.replay(backlog, since, until):
                    async with asyncio.timeout(settings.SOCKET_STALLED_S):
                        await self.send(text_data=text)
        except TimeoutError:
            await self._cut()
        finally:
            backlog.is_held = False

    async def _run(self, backlog: Backlog) -> None:
        checked = time.monotonic()
        try:
            while True:
                texts: list[str] = []
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(settings.SOCKET_HEARTBEAT_S, settings.SOCKET_CHECK_S)):
                        texts = await backlog.take()
                if time.monotonic() - checked >= settings.SOCKET_CHECK_S:
                    caller, backlog.account_ids = await sync_to_async(self._load_caller)(self._secret())
                    if caller is None:
                        await self.close(NOT_SIGNED_IN, "the session, the token or the role has ended")
                        return
                    checked = time.monotonic()
                async with asyncio.timeout(settings.SOCKET_STALLED_S):
                    for text in texts:
                        await self.send(text_data=text)
                    if not texts:
                        await self._beat()
        except TimeoutError:
            await self._cut()

    async def _cut(self) -> None:
        """Waits until the farewell is taken: given up half-way, the socket would stay open and silent. One that is dead
        ends by the server's pings."""
        with contextlib.suppress(Exception):
            await self.close(TOO_SLOW, "too slow: connect again with your last cursor")

    async def _beat(self) -> None:
        await self.tell("heartbeat", timestamp=timezone.now(), cursor=self.broadcast.cursor())

    def _secret(self) -> str:
        for name, value in self.scope["headers"]:
            if name.lower() == b"authorization":
                kind, _, secret = value.decode("latin-1").partition(" ")
                return secret.strip() if kind.lower() == "bearer" else ""
        return ""

    def _load_caller(self, secret: str) -> tuple[Caller | None, frozenset[str] | None]:
        """The caller with at least the role viewer, and the accounts they see (None: all)."""
        caller = load_program(secret) if secret else self._load_person()
        if caller is None or not includes(caller.role, Role.VIEWER):
            return None, frozenset()
        if not caller.is_scoped:
            return caller, None
        seen = in_scope(Account.objects.order_by(), caller, "").values_list("pk", flat=True)
        return caller, frozenset(str(account_id) for account_id in seen)

    def _load_person(self) -> Caller | None:
        """The person behind the session, read anew: it may have ended since."""
        session, user = self.scope.get("session"), self.scope.get("user")
        if session is None or user is None or not user.is_authenticated or not session.session_key:
            return None
        if not session.exists(session.session_key):
            return None
        return load_person(User.objects.filter(pk=user.pk).first())
