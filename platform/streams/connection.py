"""Redis clients with the time-outs and retries each use needs. Everything that talks to the bus connects here.

redis-py 8 gives every connection a socket time-out of 5 s and three silent retries. Both are right for a short
command and wrong for a blocking group read: a retry after a lost answer skips the entries that the lost answer held.
"""

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.driver_info import DriverInfo
from redis.retry import Retry

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 5.0
RETRIES = 3

_DRIVER = DriverInfo()
"""Asked for once: redis-py would look up its own version for each connection, 4 ms of the loop's time."""


def _backoff() -> ExponentialWithJitterBackoff:
    return ExponentialWithJitterBackoff(base=0.02, cap=0.5)


def connect(url: str) -> redis.asyncio.Redis:
    """A client for short commands (publish, budgets, leases). A repeated XADD is harmless: event ids are pure."""
    return redis.asyncio.Redis.from_url(
        url,
        socket_timeout=ANSWER_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        retry=AsyncRetry(_backoff(), RETRIES),
        decode_responses=False,
        driver_info=_DRIVER,
    )


def connect_reader(url: str) -> redis.asyncio.Redis:
    """A client for `GroupReader`: no socket time-out and no retry of its own; the reader has both, and knows more."""
    return redis.asyncio.Redis.from_url(
        url,
        socket_timeout=None,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        retry=AsyncRetry(NoBackoff(), 0),
        decode_responses=False,
        driver_info=_DRIVER,
    )


def connect_now(url: str) -> redis.Redis:
    """The synchronous client: Django request code, Celery tasks, management commands."""
    return redis.Redis.from_url(
        url,
        socket_timeout=ANSWER_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        retry=Retry(_backoff(), RETRIES),
        decode_responses=False,
        driver_info=_DRIVER,
    )


def check_reader(client: redis.asyncio.Redis) -> None:
    """Raises ValueError for a client whose own time-out or retries would make a group read lose entries."""
    settings = client.connection_pool.connection_kwargs
    retry = settings.get("retry")
    # Left out, both take redis-py's defaults, which are the harmful ones.
    if settings.get("socket_timeout", ANSWER_TIMEOUT_S) is not None or retry is None or retry.get_retries() != 0:
        raise ValueError("a group reader needs a client made by streams.connection.connect_reader")
