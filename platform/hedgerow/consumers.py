"""The Channels consumer behind `/ws/pages`: it tells a signed-in person's page what changed, and nothing else.

The socket carries no figures, so there is one place that checks who may see them: the views.
"""

import asyncio
import contextlib
from urllib.parse import urlsplit

import msgspec
from asgiref.sync import sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from hedgerow.live import Mailbox, feed_of_this_loop
from identity.roles import Role, has_role

NOT_SIGNED_IN = 4401
WRONG_ORIGIN = 4403


class PageSignals(AsyncWebsocketConsumer):
    """One open page. Refused unless the page is ours and its person has a role; what it sends is ignored."""

    mailbox: Mailbox | None = None
    sender: "asyncio.Task[None] | None" = None

    async def connect(self) -> None:
        if not is_own_origin(self.scope["headers"]):
            await self.close(WRONG_ORIGIN)
            return
        user = self.scope.get("user")
        if user is None or not await sync_to_async(has_role)(user, Role.VIEWER):
            await self.close(NOT_SIGNED_IN)
            return
        self.mailbox = feed_of_this_loop(settings.REDIS_URL).join()
        await self.accept()
        self.sender = asyncio.create_task(self._run(self.mailbox), name="page signals")

    async def disconnect(self, code: int) -> None:
        if self.sender is not None:
            self.sender.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.sender
        if self.mailbox is not None:
            await feed_of_this_loop(settings.REDIS_URL).leave(self.mailbox)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """A page has nothing to say here."""

    async def _run(self, mailbox: Mailbox) -> None:
        while True:
            for signal in await mailbox.take():
                await self.send(text_data=msgspec.json.encode({"signal": signal}).decode())


def is_own_origin(headers: list[tuple[bytes, bytes]]) -> bool:
    """True when a browser opened the socket from a page of this very address, port included.

    Cookies do not know ports, so a page of another local program could otherwise listen in.
    """
    named = {name.lower(): value.decode("latin-1") for name, value in headers}
    origin = named.get(b"origin", "")
    if not origin:
        return False
    allowed = {urlsplit(settings.PUBLIC_URL).netloc.lower(), named.get(b"host", "").lower()}
    return urlsplit(origin).netloc.lower() in allowed - {""}
