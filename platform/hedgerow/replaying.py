"""Replaying dead letters: asked for in the admin, carried out by a worker, audited with the reason a person typed.

What is asked for stands on the bus (`streams.replays`), so a worker that dies costs time only: the schedule has another
one go on where it was. Nothing moves before the audit entry that says who wanted it.
"""

from typing import Any
from uuid import uuid4

import redis
import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

from identity.audit import record_audit
from identity.back_office import ADMIN_SOURCE
from identity.models import User
from streams.replays import Plan, carry_out, count_until, end_replay, load_open, load_replay, record_replay

TASK = "hedgerow.tasks.replay_dead_letters"
QUEUE = "worker"
EXPIRES_S = 60
SILENT_S = 15
"""After so long without a batch nobody is at it any more."""

log = structlog.get_logger()


def ask_for_replay(
    bus: redis.Redis, by: User, reason: str, *, stream: str = "", until: str = "", letters: tuple[str, ...] = ()
) -> str:
    """Audit it, write it down and tell a worker; gives its token. All of `stream` up to `until`, or `letters` in order.

    Raises redis.RedisError when the bus is away: nothing is replayed then.
    """
    token = uuid4().hex
    total = len(letters) if letters else count_until(bus, stream, until)
    plan = Plan(stream, until, letters, total, by.get_username(), reason)
    what: dict[str, Any] = {"letters": list(letters)} if letters else {"stream": stream, "until": until}
    after = {"replay": token, "total": total, **what}
    record_audit("dead_letters.replay_asked", user=by, after=after, reason=reason, source=ADMIN_SOURCE)
    record_replay(bus, token, plan)
    try:
        current_app.send_task(TASK, args=[token], queue=QUEUE, expires=EXPIRES_S, retry=False)
    except (OperationalError, OSError) as error:
        log.warning("replay_waits_for_the_schedule", replay=token, error=type(error).__name__)
    return token


def run_replay(bus: redis.Redis, token: str) -> None:
    """Move what is left of it and say so in the audit log. Begun again, or by two at once, it moves nothing twice."""
    replay = load_replay(bus, token)
    if replay is None or replay.is_over:
        return
    for moved in carry_out(bus, replay):
        log.debug("dead_letters_moved", replay=token, count=moved)
    with transaction.atomic():
        plan, done = replay.plan, (load_replay(bus, token) or replay).done
        record_audit(
            "dead_letters.replayed",
            user=User.objects.filter(username=plan.by).first(),
            who=plan.by,
            after={"replay": token, "replayed": done, "gone": plan.total - done},
            reason=plan.reason,
            source=ADMIN_SOURCE,
        )
        if not end_replay(bus, token):
            transaction.set_rollback(True)  # Somebody else came to its end as well.
            return
    log.info("dead_letters_replayed", replay=token, count=done, gone=plan.total - done)


def go_on(bus: redis.Redis) -> None:
    """Carry out every replay that nobody has been at for a while."""
    now: Any = bus.time()
    for replay in load_open(bus):
        if int(now[0]) - replay.at >= SILENT_S:
            log.info("replay_goes_on", replay=replay.token, done=replay.done, total=replay.plan.total)
            run_replay(bus, replay.token)
