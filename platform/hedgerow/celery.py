"""The Celery app: two queues, the beat schedule, and the engine that runs inside a worker started with `--engine`.

`engine` workers read the bus and hedge in a bootstep of their own (`strategies.worker`), never by a task per event;
`worker` workers run what is named in the schedule. Broker is the bus's Redis under its own key prefix; no results.
"""

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging
from click import Option
from kombu import Exchange, Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hedgerow.settings")

from django.conf import settings

from hedgerow.logs import configure_logging

ENGINE_QUEUE = "engine"
WORKER_QUEUE = "worker"


def every(seconds: int, task: str) -> dict[str, Any]:
    """A schedule entry that never piles up: a run still waiting when the next is due is dropped."""
    return {"task": task, "schedule": float(seconds), "options": {"expires": seconds, "queue": WORKER_QUEUE}}


SCHEDULE = {
    "sync-markets": every(60, "markets.tasks.sync_all_markets"),
    "record-prices": every(60, "markets.tasks.record_prices"),
    "trim-streams": every(30, "hedgerow.tasks.trim_streams"),
    "go-on-replaying": every(10, "hedgerow.tasks.go_on_replaying"),
    "refresh-balances": every(30, "accounts.tasks.refresh_balances"),
    "record-equity": every(30, "accounts.tasks.record_equity"),
    "check-venue-positions": every(30, "strategies.tasks.check_venue_positions"),
    "watch-desk": every(10, "strategies.tasks.watch_desk"),
    "reconcile-accounts": every(30, "accounts.tasks.reconcile_accounts"),
}

app = Celery("hedgerow")
# For every thread of this process: Celery's "current" app is one thread's own.
app.set_default()
app.conf.update(
    broker_url=settings.REDIS_URL,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "global_keyprefix": "celery:",
        "visibility_timeout": 600,
        # Who hands something to a worker hears at once that Redis is away.
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0.1,
        "interval_max": 0.1,
    },
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_time_limit=300,
    task_serializer="json",
    accept_content=["json"],
    # Exchanges of their own: left out, both queues would hang on the default one and every task would run twice.
    task_queues=[Queue(name, Exchange(name), routing_key=name) for name in (ENGINE_QUEUE, WORKER_QUEUE)],
    task_default_queue=WORKER_QUEUE,
    task_create_missing_queues=False,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
    timezone="UTC",
    beat_schedule=SCHEDULE,
)
app.autodiscover_tasks()
# By name: the class imports models, and Celery resolves it once Django is ready.
app.steps["worker"].add("strategies.worker.EngineStep")
app.user_options["worker"].add(Option(("--engine",), is_flag=True, help="Read the bus and run the hedges in here."))


@setup_logging.connect
def keep_logging(**options: Any) -> None:
    """Celery would replace the handlers, and the scrubbing with them."""
    configure_logging(settings.LOG_LEVEL, settings.LOG_FORMAT)
