"""Upkeep that belongs to no app: trimming the bus."""

import structlog
from celery import shared_task
from django.conf import settings

from streams.connection import connect_now
from streams.trim import trim_all

log = structlog.get_logger()


@shared_task
def trim_streams() -> None:
    """Drop from every stream what all of its readers have acknowledged, and nothing else."""
    with connect_now(settings.REDIS_URL) as client:
        trimmed = trim_all(client)
    removed = {stream: count for stream, count in trimmed.items() if count}
    if removed:
        log.info("streams trimmed", removed=removed)
