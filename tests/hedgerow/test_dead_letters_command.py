"""`manage.py deadletters`: listed, replayed in order, purged; never without a reason in the audit log."""

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
import redis
from django.core.management import CommandError, call_command

from identity.models import AuditEntry
from streams.deadletters import load_dead_letters
from streams.names import FIELD, dead_letter_stream
from streams.replays import OPEN
from trading.events import FILL_EVENTS

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def bus(redis_url: str, settings: Any) -> Iterator[redis.Redis]:
    settings.REDIS_URL = redis_url
    with redis.Redis.from_url(redis_url) as client:
        yield client


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("deadletters", *arguments, stdout=out)
    return out.getvalue()


def plant(bus: redis.Redis, *bodies: bytes) -> list[str]:
    """Dead letters as a reader leaves them; their ids, oldest first."""
    for body in bodies:
        bus.xadd(dead_letter_stream(FILL_EVENTS), {FIELD: body, b"group": b"strategies", b"reason": b"no account a1"})
    return [letter.entry_id for letter in reversed(load_dead_letters(bus))]


def bodies_on(bus: redis.Redis) -> list[bytes]:
    return [fields[FIELD] for _, fields in bus.xrange(FILL_EVENTS)]


def audited() -> list[tuple[str, str, str, str]]:
    return list(AuditEntry.objects.order_by("pk").values_list("action", "who", "reason", "source"))


def test_listed_with_their_reasons(bus: redis.Redis) -> None:
    assert "No dead letters" in run("list")
    ids = plant(bus, b"one", b"two")
    listed = run("list", "--stream", FILL_EVENTS)
    assert listed.count("no account a1") == 2
    assert ids[1] in listed
    assert audited() == []


def test_replayed_in_order_and_audited(bus: redis.Redis) -> None:
    plant(bus, b"one", b"two", b"three")
    assert run("replay", FILL_EVENTS, "--all", "--reason", "a1 is here") == "Replayed 3 of 3.\n"
    assert bodies_on(bus) == [b"one", b"two", b"three"]
    assert audited() == [
        (f"dead_letters.{step}", "manage.py deadletters", "a1 is here", "command")
        for step in ("replay_asked", "replayed")
    ]
    assert bus.scard(OPEN) == 0
    assert "has no dead letters" in run("replay", FILL_EVENTS, "--all", "--reason", "again")


def test_named_ones_go_back_oldest_first(bus: redis.Redis) -> None:
    ids = plant(bus, b"one", b"two", b"three")
    assert run("replay", FILL_EVENTS, ids[2], ids[0], "--reason", "r") == "Replayed 2 of 2.\n"
    assert bodies_on(bus) == [b"one", b"three"]
    assert [letter.body for letter in load_dead_letters(bus)] == [b"two"]


def test_purged_and_audited(bus: redis.Redis) -> None:
    ids = plant(bus, b"one", b"two", b"three")
    assert run("purge", FILL_EVENTS, ids[1], "--reason", "a test of ours") == "Purged 1 of 1.\n"
    assert [letter.body for letter in load_dead_letters(bus)] == [b"three", b"one"]
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.reason, entry.source) == ("dead_letters.purged", "a test of ours", "command")
    assert entry.before == {"stream": FILL_EVENTS, "total": 1, "letters": [ids[1]]}
    assert run("purge", FILL_EVENTS, "--all", "--reason", "r") == "Purged 2 of 2.\n"
    assert bodies_on(bus) == []


@pytest.mark.parametrize("action", ["replay", "purge"])
def test_nothing_without_a_reason_or_with_an_unknown_id(bus: redis.Redis, action: str) -> None:
    ids = plant(bus, b"one")
    with pytest.raises(CommandError, match="--reason"):
        run(action, FILL_EVENTS, "--all")
    with pytest.raises(CommandError, match="Say why"):
        run(action, FILL_EVENTS, "--all", "--reason", " ")
    with pytest.raises(CommandError, match="no dead letter 1-1"):
        run(action, FILL_EVENTS, ids[0], "1-1", "--reason", "r")
    assert len(load_dead_letters(bus)) == 1
    assert audited() == []


def test_without_redis_says_so(settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    with pytest.raises(CommandError, match="Redis does not answer"):
        run("list")
