"""Small real servers that misbehave: an HTTP venue with a fault per path, and an HTTP proxy that counts. For tests."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter


class Request:
    """One request as it came over the socket."""

    def __init__(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body


Behaviour = Callable[[Request, Writer], Awaitable[None]]


class FaultyVenue:
    """Speaks HTTP by hand, so that it can stop at any byte. `behave` maps (method, path) to what it does."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.behave: dict[str, Behaviour] = {}
        self.base = ""

    async def serve(self, reader: Reader, writer: Writer) -> None:
        self.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while (request := await read_request(reader)) is not None:
                self.requests.append(request)
                await self.behave.get(f"{request.method} {request.path}", not_found)(request, writer)
                if writer.is_closing():
                    return
        writer.close()

    def sent(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]


async def read_request(reader: Reader) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, body)


def answer(status: int, body: bytes | dict[str, object], **headers: str) -> Behaviour:
    """A whole answer."""
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def behave(_: Request, writer: Writer) -> None:
        extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(payload)}\r\n{extra}\r\n".encode() + payload)
        await writer.drain()

    return behave


def refusal(status: int, slug: str, **headers: str) -> Behaviour:
    """The venue's own error envelope."""
    envelope = {"success": False, "code": status, "error": slug, "message": "no", "timestamp": "t", "trace": "0"}
    return answer(status, envelope, **headers)


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """The first request meets the first behaviour, and so on; the last one stays."""
    left = list(behaviours)

    async def behave(request: Request, writer: Writer) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(request, writer)

    return behave


async def not_found(request: Request, writer: Writer) -> None:
    await refusal(404, "not_found")(request, writer)


async def silence(_: Request, __: Writer) -> None:
    await asyncio.sleep(30)


async def reset(_: Request, writer: Writer) -> None:
    writer.transport.abort()


async def hang_up(_: Request, writer: Writer) -> None:
    writer.close()


async def half_an_answer(_: Request, writer: Writer) -> None:
    writer.write(b'HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n{"success":true,"data":{"code":"OK"')
    await writer.drain()
    writer.close()


@asynccontextmanager
async def listening(serve: Callable[[Reader, Writer], Awaitable[None]]) -> AsyncIterator[int]:
    """A TCP server on a free loopback port."""
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: Reader, writer: Writer) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(asyncio.CancelledError):
                await serve(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await server.wait_closed()


class TunnelProxy:
    """An HTTP proxy that tunnels CONNECT and remembers where to."""

    def __init__(self, refuse: bool = False) -> None:
        self.asked: list[str] = []
        self.authorizations: list[str] = []
        self._refuse = refuse

    async def serve(self, reader: Reader, writer: Writer) -> None:
        request = await read_request(reader)
        if request is None:
            return
        self.asked.append(f"{request.method} {request.path}")
        self.authorizations.append(request.headers.get("proxy-authorization", ""))
        if self._refuse or request.method != "CONNECT":
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        host, _, port = request.path.rpartition(":")
        there_reader, there_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))
        finally:
            there_writer.close()
            writer.close()


async def _pump(source: Reader, sink: Writer) -> None:
    with suppress(ConnectionError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()
