"""A venue that takes every order and notes when its last byte arrived. The hot-path benchmark's other end.

It speaks just enough of Predict.fun's REST to be logged in to and ordered from; nothing is checked or matched.
"""

import asyncio
import json
import re
import sys
import time

import jwt

HASH = re.compile(rb'"hash":\s*"(0x[0-9a-fA-F]{64})"')
TOKEN = jwt.encode({"exp": 4_102_444_800}, "a fake secret of the benchmark, 32 bytes", algorithm="HS256")


class Sink(asyncio.Protocol):
    """One connection: HTTP/1.1 with Content-Length bodies, answered in order."""

    arrivals: dict[str, int] = {}
    logged_in = 0

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            head, separator, rest = self._buffer.partition(b"\r\n\r\n")
            if not separator:
                return
            found = re.search(rb"content-length:\s*(\d+)", head, re.I)
            length = int(found[1]) if found else 0
            if len(rest) < length:
                return
            body, self._buffer = rest[:length], rest[length:]
            self._answer(head.split(b" ", 2)[1], body)

    def _answer(self, path: bytes, body: bytes) -> None:
        status, content = b"200 OK", b'{"success":true,"data":[],"cursor":null}'
        if path == b"/v1/orders" and body:
            found = HASH.search(body)
            order_hash = found[1].decode() if found else ""
            self.arrivals[order_hash] = time.time_ns()
            status = b"201 Created"
            content = json.dumps(
                {
                    "success": True,
                    "data": {"code": "OK", "orderId": "1", "orderHash": order_hash, "removalLockedUntil": None},
                }
            ).encode()
        elif path == b"/v1/auth/message":
            content = b'{"success":true,"data":{"message":"log in to the benchmark"}}'
        elif path == b"/v1/auth":
            Sink.logged_in += 1
            content = json.dumps({"success": True, "data": {"token": TOKEN}}).encode()
        elif path == b"/bench/logins":
            content = json.dumps(self.logged_in).encode()
        elif path == b"/bench/arrivals":
            content = json.dumps(self.arrivals).encode()
        self._transport.write(
            b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
            % (status, len(content), content)
        )


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
