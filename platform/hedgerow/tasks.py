"""What belongs to no app: trimming the bus, replaying dead letters."""

import structlog
from celery import shared_task
from django.conf import settings

from hedgerow.replaying import go_on, run_replay
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


@shared_task
def replay_dead_letters(token: str) -> None:
    """Carry out the replay somebody asked for."""
    with connect_now(settings.REDIS_URL) as bus:
        run_replay(bus, token)


@shared_task
def go_on_replaying() -> None:
    """Carry on with replays whose worker died, or that no worker was told of."""
    with connect_now(settings.REDIS_URL) as bus:
        go_on(bus)
