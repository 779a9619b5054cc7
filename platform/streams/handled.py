"""Whether a reader group is done with everything a stream held at some moment. The executor asks before it trusts
that no fill is still waiting on the bus. An acknowledgement comes after the commit, so what is handled is durable.
"""

from typing import Any

import redis.asyncio
from redis import exceptions as errors

Redis = redis.asyncio.Redis


async def load_newest(redis: Redis, stream: str) -> str:
    """The id of the newest entry the stream ever had; "0-0" when there is no such stream. Raises redis.RedisError."""
    try:
        info: dict[Any, Any] = await redis.xinfo_stream(stream)
    except errors.ResponseError:
        return "0-0"
    return _text(_named(info)["last-generated-id"])


async def is_handled(redis: Redis, stream: str, group: str, entry_id: str) -> bool:
    """Every entry up to `entry_id` was read by the group and acknowledged. Raises redis.RedisError."""
    if entry_id == "0-0":
        return True
    try:
        groups = [_named(info) for info in await redis.xinfo_groups(stream)]
    except errors.ResponseError:
        return False
    reached = next((_text(info["last-delivered-id"]) for info in groups if _text(info["name"]) == group), "0-0")
    if _order(reached) < _order(entry_id):
        return False
    return not await redis.xpending_range(stream, group, min="-", max=entry_id, count=1)


def _order(entry_id: str) -> tuple[int, int]:
    at, _, number = entry_id.partition("-")
    return int(at), int(number)


def _named(info: dict[Any, Any]) -> dict[str, Any]:
    return {_text(name): value for name, value in info.items()}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
