"""A process that rotates the vault's key and is killed after a step: `rotation_process.py STEP COUNT`.

Its settings come from the environment. It kills itself the hard way once STEP was told COUNT times.
"""

import os
import signal
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hedgerow.settings")
django.setup()

from accounts.rotation import rotate_vault  # noqa: E402

step, count = sys.argv[1], int(sys.argv[2])
told: list[str] = []


def die(name: str, done: int, total: int) -> None:
    told.append(name)
    if told.count(step) == count:
        os.kill(os.getpid(), signal.SIGKILL)


rotate_vault(by="tests", reason="killed on the way", told=die)
