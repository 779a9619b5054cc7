"""One way of logging for every process: structlog over the standard library, each line cleared of secrets first.

Keys, signatures, tokens and passwords in URLs are replaced before a line is written, wherever in it they stand.
"""

import logging
import logging.config
import re
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

from trading.redaction import HIDDEN, scrub

__all__ = ["configure_logging", "scrub", "scrub_value"]

#: Words that name a secret; a value under such a name is never written.
SECRET_NAMES = re.compile(
    r"password|passphrase|passwd|secret|private_?key|api_?key|signature|authorization|cookie|jwt|token$|^body$|sealed"
    r"|proxy_?url|mnemonic|seed_?phrase|credential|database_url|redis_url|clickhouse_url",
    re.IGNORECASE,
)
#: Token ids of markets are public.
PUBLIC_NAMES = frozenset({"yes_token", "no_token", "outcome_token"})


def scrub_value(name: str, value: Any) -> Any:
    """`value` as it may be written under `name`: hidden, cleaned, or unchanged."""
    if value is not None and name not in PUBLIC_NAMES and SECRET_NAMES.search(name):
        return HIDDEN
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    if isinstance(value, Mapping):
        return {key: scrub_value(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [scrub_value("", item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return scrub(str(value))


def scrub_event(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor that stands before every renderer."""
    for name in list(event):
        if not name.startswith("_"):
            event[name] = scrub_value(name, event[name])
    return event


class ScrubbingFormatter(structlog.stdlib.ProcessorFormatter):
    """Cleans the finished line once more, with whatever a traceback brought into it."""

    def format(self, record: logging.LogRecord) -> str:
        return scrub(super().format(record))


def configure_logging(level: str, form: str) -> None:
    """Send everything to stderr as `form` ("json" lines or "console") from `level` up. Calling it again is harmless."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        scrub_event,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer() if form == "json" else structlog.dev.ConsoleRenderer(colors=False)
    )
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "line": {
                    "()": ScrubbingFormatter,
                    "foreign_pre_chain": shared,
                    "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
                }
            },
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
            "root": {"handlers": ["stderr"], "level": level},
            "loggers": {
                # Their info lines are one per request or task: metrics say that better.
                "uvicorn.access": {"level": "WARNING", "handlers": [], "propagate": True},
                # uvicorn brings handlers of its own, which would write tracebacks past the scrubbing.
                "uvicorn": {"level": level, "handlers": [], "propagate": True},
                "uvicorn.error": {"handlers": [], "propagate": True},
                "httpx": {"level": "WARNING"},
                "httpcore": {"level": "WARNING"},
                "urllib3": {"level": "WARNING"},
                "aiohttp.access": {"level": "WARNING"},
                "celery.app.trace": {"level": "WARNING"},
                "django.server": {"level": "WARNING"},
            },
        }
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
