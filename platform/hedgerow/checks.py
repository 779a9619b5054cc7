"""What a live process refuses to start on, as Django system checks. Registered by `apps.py`; run by every command.

Paper mode is for loopback and play; live mode is real money, so each of these is an error there and silent in paper.
"""

import math
from collections import Counter
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

WEAK_PASSWORDS = frozenset(
    {"", "password", "postgres", "redis", "default", "admin", "secret", "changeme", "change-me", "hedgerow", "test"}
)
LEAST_ENTROPY_BITS = 128
"""Of the secret key: what 50 random characters have many times over, and a phrase from a README has not."""
DEMO_MARKS = ("paper-only", "tests-only", "demo", "example", "insecure", "changeme", "change-me")


@register("hedgerow")
def check_live(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Everything a live process refuses; an empty list in paper mode."""
    if not settings.LIVE:
        return []
    return [
        *_check_secret_key(),
        *_check_web(),
        *_check_engines(),
        *_check_venue(),
    ]


def _check_secret_key() -> list[CheckMessage]:
    key = settings.SECRET_KEY
    if key == settings.PAPER_SECRET_KEY or any(mark in key.lower() for mark in DEMO_MARKS):
        return [
            Error(
                "Live mode refuses to start without a secret key of its own.",
                hint="Set HEDGEROW_SECRET_KEY to 50 or more random characters.",
                id="hedgerow.E001",
            )
        ]
    if estimate_bits(key) < LEAST_ENTROPY_BITS:
        return [
            Error(
                "Live mode refuses a secret key that could be guessed.",
                hint="Set HEDGEROW_SECRET_KEY to 50 or more random characters.",
                id="hedgerow.E002",
            )
        ]
    return []


def _check_web() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if settings.DEBUG:
        found.append(
            Error(
                "Live mode refuses to run with DEBUG on: its error pages show settings.",
                hint="Unset HEDGEROW_DEBUG.",
                id="hedgerow.E003",
            )
        )
    if not settings.ALLOWED_HOSTS or "*" in settings.ALLOWED_HOSTS:
        found.append(
            Error(
                "Live mode needs the exact host names it is reached by.",
                hint="Set HEDGEROW_ALLOWED_HOSTS to them, separated by commas; `*` is refused.",
                id="hedgerow.E004",
            )
        )
    return found


def _check_engines() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for name, paper in (
        ("DATABASE_URL", settings.PAPER_DATABASE_URL),
        ("REDIS_URL", settings.PAPER_REDIS_URL),
        ("CLICKHOUSE_URL", settings.PAPER_CLICKHOUSE_URL),
    ):
        url = getattr(settings, name)
        if url == paper:
            found.append(
                Error(
                    f"Live mode needs {name}: it does not guess where its data lie.",
                    hint=f"Set {name}; see .env.example.",
                    id="hedgerow.E005",
                )
            )
        elif not url.startswith("unix://") and (urlsplit(url).password or "").lower() in WEAK_PASSWORDS:
            found.append(
                Error(
                    f"Live mode refuses the missing or default password in {name}.",
                    hint="Give the server a random password and put it into the URL.",
                    id="hedgerow.E006",
                )
            )
    return found


def _check_venue() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for name in ("PREDICT_API_URL", "PREDICT_WS_URL", "PREDICT_RPC_URL"):
        if is_loopback(getattr(settings, name)):
            found.append(
                Error(
                    f"Live mode refuses {name} on loopback: that is where the paper venue lives.",
                    hint=f"Unset {name} for the venue's own address, or set HEDGEROW_MODE=paper.",
                    id="hedgerow.E007",
                )
            )
    if not settings.PREDICT_API_KEY or any(mark in settings.PREDICT_API_KEY.lower() for mark in DEMO_MARKS):
        found.append(
            Error(
                "Live mode needs Predict.fun's API key.",
                hint="Set PREDICT_API_KEY to the key the venue gave you.",
                id="hedgerow.E008",
            )
        )
    return found


def estimate_bits(key: str) -> float:
    """Shannon entropy of the key's characters × its length: an upper bound that exposes repeats and short keys."""
    counts = Counter(key)
    return -sum(count * math.log2(count / len(key)) for count in counts.values()) if key else 0.0


def is_loopback(url: str) -> bool:
    """True when the URL's host is this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
