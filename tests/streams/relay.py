"""A TCP relay before Redis that can keep back an answer: the command was executed, and its caller never learns it."""

import asyncio
import contextlib
from typing import Self


class Relay:
    """Passes bytes on. `lose_answers` drops what Redis says; `cut` breaks every connection."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self._pumps: list[asyncio.Task[None]] = []
        self.lose_answers = False
        self.lost = asyncio.Event()
        """Set once an answer was kept back."""

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    def cut(self) -> None:
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_redis, to_redis = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers += [writer, to_redis]
        self._pumps.append(asyncio.create_task(self._pump(reader, to_redis, is_answer=False)))
        self._pumps.append(asyncio.create_task(self._pump(from_redis, writer, is_answer=True)))

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_answer: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if is_answer and self.lose_answers:
                    self.lost.set()
                else:
                    sink.write(data)
                    await sink.drain()
        sink.close()
