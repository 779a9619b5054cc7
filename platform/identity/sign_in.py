"""Signing in with a password, protected: who guesses must wait, longer each time. The pages and the admin share it.

Failures are counted in Redis under (name, address), under the address, and under the name. A locked pair hurts nobody
but that address; only very many failures from many addresses hold up a name, and for a minute. A Redis that is away
locks nobody out: the emergency stop must stay reachable.
"""

from functools import cache
from hashlib import sha256
from typing import Any

import redis
import structlog
from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from identity.audit import record_audit
from identity.models import AuditEntry, User
from streams.connection import connect_now

log = structlog.get_logger()

FREE = {"pair": 5, "address": 20, "name": 100}
"""Failures before waiting begins."""
FIRST_WAIT_S = 15
LONGEST_WAIT_S = {"pair": 15 * 60, "address": 15 * 60, "name": 60}
REMEMBERED_S = 24 * 3600


class GuardedBackend(ModelBackend):
    """Django's own check of name and password, behind the count of failures."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        name = username or str(kwargs.get(User.USERNAME_FIELD, ""))
        address = (request.META.get("REMOTE_ADDR") if request else None) or ""
        keys = counted_keys(name, address)
        wait_s = load_wait(keys)
        if wait_s:
            log.warning("sign_in_locked", address=address, wait_s=wait_s)
            raise PermissionDenied(f"Too many failures: wait {wait_s} s.")
        user = super().authenticate(request, username=username, password=password, **kwargs)
        if isinstance(user, User):
            forget(keys["pair"])
            return user
        if name and password and count_failure(keys):
            record_audit(
                "sign_in.locked",
                who=name,
                reason="too many failures",
                source=AuditEntry.Source.PAGE,
                address=address,
            )
        return None


def counted_keys(name: str, address: str) -> dict[str, str]:
    """Where failures are counted. Names are hashed: they come from strangers."""
    who = sha256(name.lower().encode("utf-8", "surrogatepass")).hexdigest()[:24]
    return {"pair": f"sign_in:{who}:{address}", "address": f"sign_in::{address}", "name": f"sign_in:{who}"}


def load_wait(keys: dict[str, str]) -> int:
    """Seconds until another try is looked at; 0 for now."""
    try:
        with counter(settings.REDIS_URL).pipeline(transaction=False) as pipeline:
            for key in keys.values():
                pipeline.ttl(f"{key}:wait")
            return max(0, *(int(ttl) for ttl in pipeline.execute()))
    except redis.RedisError as error:
        log.warning("sign_in_unguarded", error=type(error).__name__)
        return 0


def count_failure(keys: dict[str, str]) -> bool:
    """Count one failure; True when it begins a wait."""
    began = False
    try:
        client = counter(settings.REDIS_URL)
        for kind, key in keys.items():
            with client.pipeline(transaction=False) as pipeline:
                pipeline.incr(key)
                pipeline.expire(key, REMEMBERED_S)
                count = int(pipeline.execute()[0])
            over = count - FREE[kind]
            if over >= 0:
                wait_s = min(FIRST_WAIT_S * 2 ** min(over, 16), LONGEST_WAIT_S[kind])
                client.set(f"{key}:wait", 1, ex=wait_s)
                began = began or over == 0
    except redis.RedisError as error:
        log.warning("sign_in_unguarded", error=type(error).__name__)
    return began


def forget(key: str) -> None:
    """Somebody signed in: their failures from this address are forgiven."""
    try:
        counter(settings.REDIS_URL).delete(key)
    except redis.RedisError as error:
        log.warning("sign_in_unguarded", error=type(error).__name__)


@cache
def counter(url: str) -> redis.Redis:
    """This process's connection for counting."""
    return connect_now(url)
