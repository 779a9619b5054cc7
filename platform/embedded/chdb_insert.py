"""Finds where an INSERT statement ends and its data begin. Pure; used by the ClickHouse server process."""

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    rb"""(?P<space>\s+|--[^\n]*(?:\n|$)|/\*.*?\*/)
       |(?P<quoted>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`\\]|\\.|``)*`)
       |(?P<word>[A-Za-z_][A-Za-z_0-9]*)
       |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
#: After one of these the engine itself must read the rest: the rows are SQL, not data in a format.
_ROWS_IN_SQL = {b"SELECT", b"WITH", b"VALUES", b"WATCH", b"EXPLAIN"}


@dataclass(frozen=True)
class DataInsert:
    """`INSERT INTO … FORMAT x` followed by data: the statement without its format, and where the data begin."""

    statement: str
    format: str
    data_from: int


def parse_insert(text: bytes) -> DataInsert | None:
    """The parts of an INSERT with data in a format; None for every other statement.

    `text` may end inside the data. One line break after the format's name belongs to the statement, the rest to
    the data, byte for byte.
    """
    depth = words = 0
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            return None
        position = token.end()
        if token["other"]:
            depth += {b"(": 1, b")": -1}.get(token["other"], 0)
        if token["quoted"]:
            words += 1
        if not token["word"]:
            continue
        word = token["word"].upper()
        if words == 0 and word != b"INSERT":
            return None
        if depth == 0 and words > 1:
            if word in _ROWS_IN_SQL:
                return None
            if word == b"FORMAT" and words > 2:
                return _split_at(text, token.start(), position)
        words += 1
    return None


def _split_at(text: bytes, statement_end: int, position: int) -> DataInsert | None:
    name = re.compile(rb"\s+([A-Za-z_0-9]+)[ \t]*;?[ \t]*(?:\r?\n)?").match(text, position)
    if name is None or name[1].upper() == b"VALUES":
        return None
    return DataInsert(text[:statement_end].decode(), name[1].decode(), name.end())
