"""One engine as its worker runs it, without Celery around it: `engine_process.py NAME`. Lives until it is killed."""

import asyncio
import sys
import threading

import django
import uvloop

django.setup()

from strategies.worker import run_engine  # noqa: E402

with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(run_engine(sys.argv[1], threading.Event()))
