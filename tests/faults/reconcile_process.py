"""The periodic reconcile as a worker runs it, without Celery around it: `reconcile_process.py SECONDS`. Lives until it
is killed."""

import sys
import time

import django

django.setup()

from accounts.reconcile_rounds import Rounds  # noqa: E402

rounds = Rounds()
while True:
    rounds.reconcile()
    time.sleep(int(sys.argv[1]))
