"""A client of the paper WebSocket, for the tests beside it: subscribes, echoes heartbeats, keeps what it was sent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientWebSocketResponse, WSMsgType

from tests.paper.desk import Running, until


class Feed:
    def __init__(self, socket: ClientWebSocketResponse, echo: bool) -> None:
        self.socket, self.echo = socket, echo
        self.replies: dict[int | None, Any] = {}
        self.pushes: list[Any] = []
        self.closed: int | None = None
        self.beats = 0
        self._count = 0

    async def read(self) -> None:
        async for message in self.socket:
            assert message.type == WSMsgType.TEXT
            frame = message.json()
            if frame["type"] == "R":
                self.replies[frame["requestId"]] = frame
            elif frame["topic"] == "heartbeat":
                self.beats += 1
                if self.echo:
                    await self.socket.send_json({"method": "heartbeat", "data": frame["data"]})
            else:
                self.pushes.append(frame)
        self.closed = self.socket.close_code

    async def ask(self, method: str, *topics: str) -> Any:
        self._count += 1
        number = self._count
        await self.socket.send_json({"method": method, "requestId": number, "params": list(topics)})

        async def answered() -> bool:
            return number in self.replies

        await until(answered)
        return self.replies[number]

    async def expect(self, count: int) -> list[Any]:
        """The first `count` pushes, once they are there."""

        async def enough() -> bool:
            return len(self.pushes) >= count

        await until(enough)
        return self.pushes

    def of(self, topic: str) -> list[Any]:
        return [frame["data"] for frame in self.pushes if frame["topic"].startswith(topic)]


@asynccontextmanager
async def open_feed(venue: Running, echo: bool = True) -> AsyncIterator[Feed]:
    async with venue.session.ws_connect(venue.base + "/ws", autoping=True) as socket:
        feed = Feed(socket, echo)
        reader = asyncio.create_task(feed.read())
        yield feed
        await socket.close()
        await reader
