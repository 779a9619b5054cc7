"""A ClickHouse HTTP server for one machine, over the chDB library. Started by `clickhouse.py` as its own process.

It speaks what clickhouse-connect speaks: basic authentication, settings and placeholders in the URL, sessions,
compressed and chunked bodies, inserts with data, streamed results, and ClickHouse's error headers.
"""

import argparse
import contextlib
import hmac
import json
import os
import re
import signal
import sys
import threading
import time
import uuid
from base64 import b64decode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from embedded.chdb_insert import parse_insert
from embedded.chdb_request import BadRequest, Request, parse_form, parse_target, read_body
from embedded.chdb_session import Session, Sessions

AUTHENTICATION_FAILED = 516
HEAD_BYTES = 1024 * 1024
#: Formats without a global head or tail: the engine's blocks, one after the other, are a whole answer.
STREAMED = {"Native", "RowBinary", "TabSeparated", "TSV", "CSV", "JSONEachRow"}
_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_CODE = re.compile(r"Code: (\d+)\.")
STATUS = {AUTHENTICATION_FAILED: 403, 60: 404, 81: 404, 36: 400, 62: 400, 47: 400, 27: 400, 115: 400, 354: 400}


class Server(ThreadingHTTPServer):
    """Holds the engine and the login. One thread a connection."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, sessions: Sessions, user: str, password: str) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.sessions = sessions
        self.user = user
        self._password = password
        self.busy = 0
        self._busy_lock = threading.Lock()

    def accepts(self, user: str, password: str) -> bool:
        right = hmac.compare_digest(user.encode(), self.user.encode())
        return hmac.compare_digest(password.encode(), self._password.encode()) and right

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Counts requests in hand, so that a stop can wait for them."""
        with self._busy_lock:
            self.busy += 1
        try:
            yield
        finally:
            with self._busy_lock:
                self.busy -= 1

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error of ours."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection. Every answer carries the query id; an error carries ClickHouse's code."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    query_id = ""
    begun = False

    def do_GET(self) -> None:
        self.respond()

    def do_POST(self) -> None:
        self.respond()

    def respond(self) -> None:
        request = parse_target(self.path)
        self.query_id = request.parameters.get("query_id") or str(uuid.uuid4())
        self.begun = False
        body = read_body(
            self.rfile,  # type: ignore[arg-type]
            self.headers.get("Content-Length"),
            self.headers.get("Transfer-Encoding", ""),
            self.headers.get("Content-Encoding", ""),
        )
        with self.server.working():
            try:
                if request.path in ("/ping", "/replicas_status"):
                    self.send(b"Ok.\n")
                else:
                    self.authenticate(request)
                    self.execute(request, body)
                for _ in body:  # what the engine did not need; the next request comes after it
                    pass
            except BadRequest as error:
                self.fail(error.code, f"Code: {error.code}. DB::Exception: {error}")
            except RuntimeError as error:
                code = _CODE.search(str(error))
                self.fail(int(code[1]) if code else 1001, str(error))

    def authenticate(self, request: Request) -> None:
        user = self.headers.get("X-ClickHouse-User") or request.parameters.get("user", "")
        password = self.headers.get("X-ClickHouse-Key") or request.parameters.get("password", "")
        scheme, _, basic = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            with contextlib.suppress(ValueError):
                user, _, password = b64decode(basic).decode().partition(":")
        if not self.server.accepts(user, password):
            raise BadRequest(
                AUTHENTICATION_FAILED,
                "Authentication failed: password is incorrect, or there is no such user. (AUTHENTICATION_FAILED)",
            )

    def execute(self, request: Request, body: Iterator[bytes]) -> None:
        if self.headers.get_content_type() == "multipart/form-data":
            parse_form(request, self.headers["Content-Type"], b"".join(body))
        given = request.parameters.get("query", "").encode()
        insert = parse_insert(given)
        data: list[bytes] = []
        if insert is None:
            # The statement is in the body, or begins in the parameter and goes on in the body.
            head = given + (b"\n" if given else b"")
            for piece in body:
                head += piece
                if len(head) >= HEAD_BYTES:
                    break
            insert = parse_insert(head)
            if insert is None:
                head += b"".join(body)
            else:
                data.append(head[insert.data_from :])
        else:
            head = given
            data.append(given[insert.data_from :])
        if not head.strip():
            if request.parameters.get("query") is None and self.command == "GET":
                self.send(b"Ok.\n")
                return
            raise BadRequest(62, "Empty query. (SYNTAX_ERROR)")
        with self.server.sessions.open(request.parameters) as session:
            session.apply_settings(request.settings)
            if insert is not None:
                session.bind(request.bindings)
                self.insert(session, insert.statement, insert.format, [*data], body)
                return
            try:
                for table in request.external:
                    session.create_external(table)
                self.query(session, request, head.decode("utf-8", "surrogateescape"))
            finally:
                for table in request.external:
                    session.drop_external(table)

    def insert(self, session: Session, statement: str, name: str, data: list[bytes], body: Iterator[bytes]) -> None:
        """All rows or none: whatever goes wrong before the end of the data cancels the insert."""
        connection = session.connection
        begun = time.perf_counter()
        inserter = connection.send_insert(statement, name)
        try:
            for piece in data:
                if piece:
                    connection.insert_append(inserter, piece)
            for piece in body:
                connection.insert_append(inserter, piece)
        except BaseException:
            with contextlib.suppress(RuntimeError):
                connection.insert_cancel(inserter)
            raise
        result = connection.insert_done(inserter)
        self.send(b"", summary=summarize(result, begun))

    def query(self, session: Session, request: Request, sql: str) -> None:
        default = request.parameters.get("default_format") or self.headers.get("X-ClickHouse-Format") or "TabSeparated"
        named = _FORMAT.search(sql)
        kind = session.connection.classify_query(sql)
        if kind["query_class"].name == "CONTROL":
            session.take_back_settings()  # SET must not be undone with this request's settings
        reads = kind["query_class"].name == "READ_ONLY" and kind["statement_count"] == 1
        answer_format = named[1] if named else default
        begun = time.perf_counter()
        if reads and named and answer_format in STREAMED and not request.is_set("wait_end_of_query"):
            self.stream(session, sql, answer_format, request.bindings, begun)
            return
        result = session.connection.query(sql, default, params=request.bindings)
        shown = answer_format if reads else None
        self.send(bytes(result.bytes()), summary=summarize(result, begun), answer_format=shown)

    def stream(self, session: Session, sql: str, name: str, bindings: dict[str, str], begun: float) -> None:
        """Send blocks as they come. An error after the first goes into the body, between tags named in a header."""
        connection = session.connection
        streaming = connection.send_query(_FORMAT.sub("", sql), name, params=bindings)
        tag = uuid.uuid4().hex[:16]
        try:
            block = connection.streaming_fetch_result(streaming)
            headers = {"Transfer-Encoding": "chunked", "X-ClickHouse-Format": name, "X-ClickHouse-Exception-Tag": tag}
            self.start(200, headers | {"X-ClickHouse-Summary": summarize(block, begun)})
            while block is not None and block.rows_read() > 0:
                self.chunk(bytes(block.bytes()))
                block = connection.streaming_fetch_result(streaming)
        except RuntimeError as error:
            if not self.begun:
                raise
            text = str(error).encode()
            self.chunk(
                b"__exception__\r\n%b\r\n%b\n%d %b\r\n__exception__\r\n" % (tag.encode(), text, len(text), tag.encode())
            )
        except OSError:
            connection.streaming_cancel_query(streaming)
            raise
        self.wfile.write(b"0\r\n\r\n")

    def chunk(self, data: bytes) -> None:
        if data:
            self.wfile.write(b"%x\r\n" % len(data) + data + b"\r\n")

    def send(self, body: bytes, summary: str | None = None, answer_format: str | None = None) -> None:
        headers = {"Content-Length": str(len(body))}
        if summary:
            headers["X-ClickHouse-Summary"] = summary
        if answer_format:
            headers["X-ClickHouse-Format"] = answer_format
        self.start(200, headers)
        self.wfile.write(body)

    def fail(self, code: int, text: str) -> None:
        """Answer with an error. The connection ends, because the rest of the request was not read."""
        self.close_connection = True
        if self.begun:
            return
        body = text.encode() + b"\n"
        self.start(
            STATUS.get(code, 500),
            {"Content-Length": str(len(body)), "X-ClickHouse-Exception-Code": str(code), "Connection": "close"},
        )
        self.wfile.write(body)

    def start(self, status: int, headers: dict[str, str]) -> None:
        self.begun = True
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "text/plain; charset=UTF-8")
        self.send_header("X-ClickHouse-Query-Id", self.query_id)
        self.send_header("X-ClickHouse-Timezone", "UTC")
        self.send_header("X-ClickHouse-Server-Display-Name", "hedgerow")
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Requests are not logged: their lines may hold a person's values."""


def summarize(result: Any, begun: float) -> str:
    """ClickHouse's summary header. Its numbers are texts."""
    numbers = {
        "read_rows": result.storage_rows_read() if result is not None else 0,
        "read_bytes": result.storage_bytes_read() if result is not None else 0,
        "written_rows": result.rows_written() if result is not None else 0,
        "written_bytes": result.bytes_written() if result is not None else 0,
        "result_rows": result.rows_read() if result is not None else 0,
        "elapsed_ns": int((time.perf_counter() - begun) * 1_000_000_000),
    }
    return json.dumps({name: str(number) for name, number in numbers.items()})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m embedded.chdb_server", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", type=Path, required=True, help="folder of the data")
    parser.add_argument("--database", default="hedgerow")
    parser.add_argument("--login", type=Path, required=True, help="JSON file with user and password")
    options = parser.parse_args()
    login = json.loads(options.login.read_text())
    try:
        sessions = Sessions(options.path, options.database)
    except RuntimeError as error:
        sys.exit(f"The data in {options.path} cannot be opened; is another server using them? {error}")
    server = Server(options.port, sessions, login["user"], login["password"])

    def stop(*_: object) -> None:
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    server.serve_forever(poll_interval=0.2)
    server.socket.close()
    deadline = time.monotonic() + 10
    while server.busy and time.monotonic() < deadline:
        time.sleep(0.02)
    sessions.close()
    os._exit(0)  # threads of idle connections and of the engine need no farewell


if __name__ == "__main__":
    main()
