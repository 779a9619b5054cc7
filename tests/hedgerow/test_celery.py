"""The Celery app: what is scheduled exists, waits in no pile, and every worker knows `--engine`."""

from celery.utils.imports import symbol_by_name

from hedgerow.celery import ENGINE_QUEUE, SCHEDULE, WORKER_QUEUE, app


def test_every_scheduled_task_exists() -> None:
    app.loader.import_default_modules()
    missing = {entry["task"] for entry in SCHEDULE.values()} - set(app.tasks)
    assert not missing


def test_scheduled_run_that_waited_too_long_is_dropped() -> None:
    for entry in SCHEDULE.values():
        assert entry["options"] == {"expires": int(entry["schedule"]), "queue": WORKER_QUEUE}


def test_task_of_a_killed_worker_is_given_again() -> None:
    assert app.conf.task_acks_late
    assert app.conf.task_reject_on_worker_lost


def test_task_goes_to_one_queue_only() -> None:
    keys = {(queue.exchange.name, queue.routing_key) for queue in app.conf.task_queues}
    assert keys == {(ENGINE_QUEUE, ENGINE_QUEUE), (WORKER_QUEUE, WORKER_QUEUE)}


def test_engine_lives_inside_the_worker() -> None:
    (step,) = app.steps["worker"]
    assert symbol_by_name(step).__name__ == "EngineStep"
    assert [option.name for option in app.user_options["worker"]] == ["engine"]
    assert {queue.name for queue in app.conf.task_queues} == {ENGINE_QUEUE, WORKER_QUEUE}
