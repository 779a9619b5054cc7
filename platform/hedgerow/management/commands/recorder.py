"""`manage.py recorder`: writes every event of the bus to ClickHouse until SIGTERM or Ctrl-C (warehouse/recorder.py)."""

import asyncio
import signal
import socket
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from streams.connection import connect_reader
from streams.names import READER_GROUPS, RECORDER
from streams.reader import GroupReader
from warehouse.recorder import BLOCK_MS, CLAIM_IDLE_MS, READ_COUNT, Recorder
from warehouse.writer import Writer


class Command(BaseCommand):
    help = "Write every event of the bus to ClickHouse. Several may run; each needs a name of its own."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--name",
            default=f"recorder-{socket.gethostname()}",
            help="this process's name in its reader group; the same after a restart (default: by host)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        asyncio.run(run(options["name"]))


async def run(name: str) -> None:
    """Run one recorder until this process is told to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    client = connect_reader(settings.REDIS_URL)
    reader = GroupReader(
        client,
        RECORDER,
        name,
        READER_GROUPS[RECORDER].streams,
        count=READ_COUNT,
        block_ms=BLOCK_MS,
        claim_idle_ms=CLAIM_IDLE_MS,
    )
    try:
        await Recorder(reader, Writer(settings.CLICKHOUSE_URL)).run(stop)
    finally:
        await client.aclose()
