"""Connects to ClickHouse by CLICKHOUSE_URL, always through clickhouse-connect: embedded or real is a change of URL."""

from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from urllib3.exceptions import HTTPError

from trading.errors import InvalidValue

DATABASE = "hedgerow"
CONNECT_TIMEOUT_S = 5
ANSWER_TIMEOUT_S = 60

OUTAGES = (ClickHouseError, HTTPError, OSError)
"""What a call may raise when ClickHouse is down, going down or refuses. clickhouse-connect wraps most, not all."""

__all__ = ["OUTAGES", "ClickHouseError", "Client", "connect", "database_of"]


def database_of(url: str) -> str:
    """The database `url` names, or the default. It becomes part of a statement, so it must be a plain name."""
    name = unquote(urlsplit(url).path.strip("/")) or DATABASE
    if not name.isidentifier() or not name.isascii():
        raise InvalidValue("CLICKHOUSE_URL: the database must be a plain name of letters, digits and underscores")
    return name


def connect(url: str) -> Client:
    """A client on the URL's database, which is made when it is missing. Raises one of OUTAGES.

    The URL is http(s)://user:password@host:port/database. One client may be used by several threads: it has no
    session, because a session takes one query at a time.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidValue("CLICKHOUSE_URL must be http(s)://user:password@host:port/database")
    database = database_of(url)
    client = clickhouse_connect.get_client(
        interface=parts.scheme,
        host=parts.hostname,
        port=parts.port or (8443 if parts.scheme == "https" else 8123),
        username=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
        database="default",
        connect_timeout=CONNECT_TIMEOUT_S,
        send_receive_timeout=ANSWER_TIMEOUT_S,
        autogenerate_session_id=False,
        tz_mode="aware",
        client_name="hedgerow",
    )
    try:
        client.command(f"CREATE DATABASE IF NOT EXISTS {database}")
    except BaseException:
        client.close()
        raise
    client.database = database
    return client
