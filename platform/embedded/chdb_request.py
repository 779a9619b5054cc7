"""One HTTP request as a ClickHouse client sends it: parameters, settings, and a body that may be compressed.

Used by the ClickHouse server process. A body is read as a stream, so a large insert needs little memory.
"""

import email.parser
import email.policy
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol
from urllib.parse import parse_qsl, urlsplit

import lz4.frame  # type: ignore[import-untyped]
from backports import zstd

PIECE = 256 * 1024
#: Parameters that the HTTP interface itself reads; everything else that is no `param_…` is a setting.
RESERVED = frozenset(
    {
        "query",
        "database",
        "default_format",
        "user",
        "password",
        "session_id",
        "session_timeout",
        "session_check",
        "query_id",
        "quota_key",
        "compress",
        "decompress",
        "buffer_size",
        "wait_end_of_query",
        "client_protocol_version",
        "role",
        "stacktrace",
        "enable_http_compression",
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
        "cancel_http_readonly_queries_on_client_close",
    }
)


class BadRequest(Exception):
    """The request cannot be read. Carries ClickHouse's error code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass
class ExternalTable:
    """A table sent along with a query; it lives as long as the query."""

    name: str
    format: str
    structure: str
    data: bytes


@dataclass
class Request:
    """What a client asks for. `pieces` are the body's decompressed bytes after what went into `query`."""

    path: str
    parameters: dict[str, str]
    pieces: Iterator[bytes] = field(default_factory=lambda: iter(()))
    external: list[ExternalTable] = field(default_factory=list)

    @property
    def settings(self) -> dict[str, str]:
        tables = {table.name for table in self.external}
        return {
            name: value
            for name, value in self.parameters.items()
            if name not in RESERVED
            and not name.startswith("param_")
            and not any(name == f"{table}_{part}" for table in tables for part in ("format", "structure", "types"))
        }

    @property
    def bindings(self) -> dict[str, str]:
        """Values of `{name:Type}` placeholders."""
        return {name[6:]: value for name, value in self.parameters.items() if name.startswith("param_")}

    def is_set(self, name: str) -> bool:
        return self.parameters.get(name, "0") not in ("0", "", "false")


def parse_target(target: str) -> Request:
    """Path and parameters of a request line."""
    parts = urlsplit(target)
    return Request(parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)))


def parse_form(request: Request, content_type: str, body: bytes) -> None:
    """Add the fields and files of a multipart body: query and parameters as fields, external tables as files."""
    parser = email.parser.BytesParser(policy=email.policy.HTTP)
    message = parser.parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    files: list[tuple[str, bytes]] = []
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(payload, bytes):
            raise BadRequest(36, "A part of the form has no name or no content")
        if part.get_filename() is None:
            request.parameters[name] = payload.decode()
        else:
            files.append((name, payload))
    for name, payload in files:
        structure = request.parameters.get(f"{name}_structure", "")
        types = request.parameters.get(f"{name}_types", "")
        if not structure:
            structure = ", ".join(f"_{number} {kind}" for number, kind in enumerate(types.split(","), start=1))
        table_format = request.parameters.get(f"{name}_format", "TabSeparated")
        request.external.append(ExternalTable(name, table_format, structure, payload))


def read_body(stream: BinaryIO, length: str | None, transfer: str, encoding: str) -> Iterator[bytes]:
    """The body's bytes, decompressed. Must be read to its end before the connection is used again."""
    raw = _read_chunked(stream) if transfer.lower() == "chunked" else _read_length(stream, int(length or 0))
    return decompress(raw, encoding.lower())


def decompress(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Undo a Content-Encoding. clickhouse-connect sends one lz4 or zstd frame *per block*, so frame follows frame.

    Raises BadRequest for a damaged or unfinished body: nothing of it may be taken for complete.
    """
    if encoding in ("", "identity"):
        yield from pieces
    elif encoding == "lz4":
        yield from _decompress_frames(pieces, lz4.frame.LZ4FrameDecompressor)
    elif encoding == "zstd":
        yield from _decompress_frames(pieces, zstd.ZstdDecompressor)
    elif encoding in ("gzip", "deflate"):
        yield from _decompress_frames(pieces, lambda: _Zlib(31 if encoding == "gzip" else 15))
    else:
        raise BadRequest(48, f"Content-Encoding {encoding} is not supported")


class _Decompressor(Protocol):
    """The shape that bz2, lzma, lz4 and zstd share."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class _Zlib:
    """zlib in that same shape."""

    def __init__(self, window: int) -> None:
        self._inner = zlib.decompressobj(window)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, /) -> bytes:
        return self._inner.decompress(data)


def _decompress_frames(pieces: Iterator[bytes], make: Callable[[], _Decompressor]) -> Iterator[bytes]:
    frame: _Decompressor | None = None
    try:
        for piece in pieces:
            rest = piece
            while rest:
                if frame is None:
                    frame = make()
                data = frame.decompress(rest)
                if data:
                    yield data
                rest = b""
                if frame.eof:
                    rest = frame.unused_data or b""
                    frame = None
    except (RuntimeError, zlib.error, zstd.ZstdError) as error:
        raise BadRequest(354, f"The compressed body is damaged: {error}") from error
    if frame is not None:
        raise BadRequest(354, "The compressed body ends in the middle of a frame")


def _read_length(stream: BinaryIO, length: int) -> Iterator[bytes]:
    while length > 0:
        piece = stream.read(min(PIECE, length))
        if not piece:
            raise BadRequest(33, "The body is shorter than its Content-Length")
        length -= len(piece)
        yield piece


def _read_chunked(stream: BinaryIO) -> Iterator[bytes]:
    while True:
        line = stream.readline(1024)
        try:
            size = int(line.split(b";")[0], 16)
        except ValueError:
            raise BadRequest(33, "The chunked body ends too early or is damaged") from None
        yield from _read_length(stream, size)
        if stream.readline(1024) not in (b"\r\n", b"\n"):
            raise BadRequest(33, "The chunked body ends too early or is damaged")
        if size == 0:
            return
