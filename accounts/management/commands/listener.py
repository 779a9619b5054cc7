"""`manage.py listener`: listen to every account's private stream until told to stop. Several may run; they share."""

import asyncio
import signal
import socket
from typing import Any

import uvloop
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from psycopg_pool import AsyncConnectionPool

from accounts.credentials import CredentialStore
from accounts.listener import Listener
from accounts.vault import Opener, VaultError
from markets.endpoints import load_endpoints
from streams.connection import connect
from streams.garbage import Collector


class Command(BaseCommand):
    """1. Open the vault. 2. Lease accounts. 3. Publish what their streams say. 4. On SIGTERM give the leases back."""

    help = "Listen to every account's private stream and publish fills and order updates."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", default=f"listener@{socket.gethostname()}", help="unique among listeners")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            opener = Opener(settings.VAULT_PRIVATE_KEY_FILE)
        except VaultError as error:
            raise CommandError(str(error)) from error
        uvloop.run(listen(opener, options["name"]))


async def listen(opener: Opener, name: str) -> None:
    """Until SIGINT or SIGTERM."""
    pool = AsyncConnectionPool(settings.DATABASE_URL, min_size=1, max_size=8, open=False, name="listener")
    bus = connect(settings.REDIS_URL)
    await pool.open()
    try:
        listener = Listener(pool, bus, CredentialStore(pool, opener, settings.MODE), load_endpoints(), name)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, listener.stop)
        async with Collector(lambda: True):  # It waits for frames: whoever runs beside it finds it idle.
            await listener.run()
    finally:
        await bus.aclose()
        await pool.close()
