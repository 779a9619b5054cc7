"""Carries out the replay named on the command line, and kills itself once so many batches have moved."""

import os
import signal
import sys

from streams.connection import connect_now
from streams.replays import carry_out, load_replay

url, token, batches = sys.argv[1], sys.argv[2], int(sys.argv[3])
with connect_now(url) as client:
    replay = load_replay(client, token)
    assert replay is not None
    for number, _ in enumerate(carry_out(client, replay), start=1):
        if number == batches:
            os.kill(os.getpid(), signal.SIGKILL)
