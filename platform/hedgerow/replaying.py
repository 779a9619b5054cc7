"""Replaying dead letters: asked for in the admin or from a shell, audited with the reason a person typed.

What is asked for stands on the bus (`streams.replays`), so whoever carries it out may die and costs time only: the
schedule has a worker go on where it was. Nothing moves before the audit entry that says who wanted it.
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


def record_request(
    bus: redis.Redis,
    by: User | None,
    reason: str,
    *,
    stream: str = "",
    until: str = "",
    letters: tuple[str, ...] = (),
    who: str = "",
    source: str = ADMIN_SOURCE,
) -> str:
    """Audit it and write it down; gives its token. All of `stream` up to `until`, or `letters` in their order.

    `who` names a command when no signed-in person asked. Raises redis.RedisError when the bus is away: nothing is
    replayed then.
    """
    token = uuid4().hex
    total = len(letters) if letters else count_until(bus, stream, until)
    plan = Plan(stream, until, letters, total, by.get_username() if by else who, reason, source)
    what: dict[str, Any] = {"letters": list(letters)} if letters else {"stream": stream, "until": until}
    after = {"replay": token, "total": total, **what}
    record_audit("dead_letters.replay_asked", user=by, who=who, after=after, reason=reason, source=source)
    record_replay(bus, token, plan)
    return token


def ask_for_replay(
    bus: redis.Redis, by: User, reason: str, *, stream: str = "", until: str = "", letters: tuple[str, ...] = ()
) -> str:
    """`record_request`, and tell a worker."""
    token = record_request(bus, by, reason, stream=stream, until=until, letters=letters)
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
            source=plan.source,
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
