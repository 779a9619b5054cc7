"""Dead letters in the admin: shown, asked for with a reason, replayed by a worker, followed on a page of their own."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from django.test import Client

from hedgerow.replaying import TASK
from hedgerow.tasks import go_on_replaying, replay_dead_letters
from identity.models import AuditEntry, User
from identity.roles import record_role_permissions
from streams.deadletters import load_dead_letters, purge
from streams.names import FIELD, dead_letter_stream
from streams.replays import BATCH, carry_out, load_replay
from trading.events import FILL_EVENTS, TRADE_EVENTS

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/admin/dead-letters/"
FRAGMENT = {"HX-Request": "true"}
Waiting = Callable[[str], list[list[Any]]]


@pytest.fixture
def bus(redis_url: str, settings: Any) -> Iterator[redis.Redis]:
    settings.REDIS_URL = redis_url
    with redis.Redis.from_url(redis_url) as client:
        yield client


def plant(bus: redis.Redis, *bodies: bytes, stream: str = FILL_EVENTS) -> None:
    """Dead letters as a reader leaves them."""
    with bus.pipeline(transaction=False) as pipeline:
        for body in bodies:
            fields = {FIELD: body, b"group": b"strategies", b"reason": b"no account <a1>"}
            pipeline.xadd(dead_letter_stream(stream), fields)
        pipeline.execute()


def numbered(count: int) -> list[bytes]:
    return [f'{{"n": {number}}}'.encode() for number in range(count)]


def names(bus: redis.Redis) -> list[str]:
    """Every dead letter as a form names it, newest first."""
    return [f"{letter.stream} {letter.entry_id}" for letter in load_dead_letters(bus, limit=10_000)]


def bodies_on(bus: redis.Redis, stream: str = FILL_EVENTS) -> list[bytes]:
    return [fields[FIELD] for _, fields in bus.xrange(stream)]


def audited() -> list[tuple[str, str, str, str]]:
    entries = AuditEntry.objects.filter(action__startswith="dead_letters.").order_by("id")
    return list(entries.values_list("action", "who", "reason", "source"))


def ask(office: Client, waiting: Waiting, **chosen: object) -> tuple[str, str]:
    """Confirm it; the address of the replay's page and its token, as a worker is told it."""
    asked = office.post(PAGE, {"confirmed": "yes", "reason": "the account is there now"} | chosen)
    assert asked.status_code == 302
    [[token]] = waiting(TASK)
    assert asked.headers["Location"] == f"{PAGE}{token}/"
    return asked.headers["Location"], token


def test_marked_ones_are_shown_and_replayed_with_a_reason(office: Client, bus: redis.Redis, waiting: Waiting) -> None:
    assert b"Every message was handled" in office.get(PAGE).content
    plant(bus, b'{"type": "fill", "data": {"trade_id": "t-1", "api_key": "planted-secret"}}', b"\xff not json")
    page = office.get(PAGE).content.decode()
    assert "no account &lt;a1&gt;" in page
    assert "t-1" in page
    assert "planted-secret" not in page
    assert "10 bytes that are not JSON" in page
    letters = load_dead_letters(bus)
    marked = {"letter": names(bus)}
    assert b"This puts back 2 messages" in office.post(PAGE, marked).content
    office.post(PAGE, marked | {"confirmed": "yes", "reason": ""})
    assert waiting(TASK) == []
    assert not AuditEntry.objects.exists(), "nothing is asked for without a reason"

    followed, token = ask(office, waiting, **marked)
    assert bus.xlen(FILL_EVENTS) == 0, "the web tier replays nothing"
    page = office.get(followed).content.decode()
    assert "0 of 2 put back on their streams" in page
    assert "operator: the account is there now" in page
    assert "A replay is under way: 0 of 2" in office.get(PAGE).content.decode()
    replay_dead_letters(token)
    replay_dead_letters(token)  # delivered once more
    assert bodies_on(bus) == [letter.body for letter in reversed(letters)], "the oldest first"
    assert not load_dead_letters(bus)
    assert "Done: 2 of 2 put back on their streams" in office.get(followed).content.decode()
    assert "A replay is under way" not in office.get(PAGE).content.decode()
    told = ("operator", "the account is there now", "admin")
    assert audited() == [("dead_letters.replay_asked", *told), ("dead_letters.replayed", *told)]
    asked, ended = AuditEntry.objects.order_by("id")
    assert asked.after == {"replay": token, "total": 2, "letters": marked["letter"][::-1]}
    assert ended.after == {"replay": token, "replayed": 2, "gone": 0}
    again = office.post(PAGE, marked | {"confirmed": "yes", "reason": "once more"}, follow=True)
    assert b"still there" in again.content
    assert bus.xlen(FILL_EVENTS) == 2


def test_all_of_a_stream_is_replayed_however_many(office: Client, bus: redis.Redis, waiting: Waiting) -> None:
    bodies = numbered(2 * BATCH + 50)
    plant(bus, *bodies)
    plant(bus, b"of another stream", stream=TRADE_EVENTS)
    until = load_dead_letters(bus, FILL_EVENTS, 1)[0].entry_id
    page = office.get(PAGE, {"stream": FILL_EVENTS}).content.decode()
    assert f"Replay all {len(bodies)} of fill_events" in page
    assert f'value="fill_events {until}"' in page
    everything = {"all": f"fill_events {until}"}
    plant(bus, b"died after the look")
    page = office.post(PAGE, everything).content.decode()
    assert f"all {len(bodies)} messages of fill_events" in page
    assert "they begin with" in page
    followed, token = ask(office, waiting, **everything)
    replay_dead_letters(token)
    assert bodies_on(bus) == bodies
    assert [letter.body for letter in load_dead_letters(bus)] == [b"died after the look", b"of another stream"]
    assert f"Done: {len(bodies)} of {len(bodies)} put back on fill_events" in office.get(followed).content.decode()
    first = AuditEntry.objects.order_by("id")[0]
    assert first.after == {"replay": token, "total": len(bodies), "stream": FILL_EVENTS, "until": until}


def test_older_pages_reach_every_letter(office: Client, bus: redis.Redis) -> None:
    plant(bus, *numbered(230))
    seen: list[str] = []
    address = f"{PAGE}?stream={FILL_EVENTS}"
    while address:
        answer = office.get(address)
        seen += [name for _, name, _ in answer.context["letters"]]
        following = answer.context["following"]
        address = f"{PAGE}?stream={FILL_EVENTS}&before={following}" if following else ""
    assert seen == names(bus)
    for odd in ("nonsense", "1-1 1", "٣-١"):
        assert len(office.get(PAGE, {"stream": FILL_EVENTS, "before": odd}).context["letters"]) == 100


def test_dead_worker_is_told_and_the_schedule_goes_on(office: Client, bus: redis.Redis, waiting: Waiting) -> None:
    bodies = numbered(3 * BATCH)
    plant(bus, *bodies)
    followed, token = ask(office, waiting, all=names(bus)[0])
    replay = load_replay(bus, token)
    assert replay is not None
    next(carry_out(bus, replay))  # and then its worker died
    go_on_replaying()
    page = office.get(followed).content.decode()
    assert f"{BATCH} of {len(bodies)} put back" in page, "one that moved just now is left to whoever is at it"
    assert "No worker" not in page
    bus.hincrby(f"replay:{token}", "at", -40)
    page = office.get(followed).content.decode()
    assert "No worker has moved any for 4" in page
    assert "it goes on by itself" in page
    go_on_replaying()
    go_on_replaying()
    assert bodies_on(bus) == bodies
    assert [entry[0] for entry in audited()] == ["dead_letters.replay_asked", "dead_letters.replayed"]
    assert AuditEntry.objects.latest("id").after == {"replay": token, "replayed": len(bodies), "gone": 0}


def test_what_was_purged_meanwhile_is_told(office: Client, bus: redis.Redis, waiting: Waiting) -> None:
    plant(bus, *numbered(3))
    followed, token = ask(office, waiting, letter=names(bus))
    assert purge(bus, load_dead_letters(bus)[0])
    replay_dead_letters(token)
    page = office.get(followed).content.decode()
    assert "Done: 2 of 2 put back" in page
    assert "1 was gone before its turn" in page
    assert AuditEntry.objects.latest("id").after == {"replay": token, "replayed": 2, "gone": 1}
    plant(bus, b"{}")
    followed, token = ask(office, waiting, letter=names(bus))
    assert purge(bus, load_dead_letters(bus)[0])
    replay_dead_letters(token)
    assert "Over: nothing was left to put back." in office.get(followed).content.decode()


def test_page_follows_with_a_script_and_without(office: Client, bus: redis.Redis, waiting: Waiting) -> None:
    plant(bus, b"{}")
    followed, token = ask(office, waiting, letter=names(bus))
    page = office.get(followed).content.decode()
    assert f'hx-get="{followed}" hx-trigger="every 500ms"' in page
    assert '<noscript><meta http-equiv="refresh" content="1"></noscript>' in page
    part = office.get(followed, headers=FRAGMENT).content.decode()
    assert part.lstrip().startswith('<div class="desk-progress" id="replay"')
    replay_dead_letters(token)
    for page in (office.get(followed).content.decode(), office.get(followed, headers=FRAGMENT).content.decode()):
        assert "hx-get" not in page.split('id="replay"')[1].split(">")[0], "nothing is asked for once it is over"
        assert "http-equiv" not in page
    bus.delete(f"replay:{token}")
    assert "Nothing is known of this replay any more" in office.get(followed).content.decode()


def test_only_a_trader_replays(client: Client, trader: User, viewer: User, bus: redis.Redis, waiting: Waiting) -> None:
    record_role_permissions()
    plant(bus, b"{}")
    chosen = {"letter": names(bus), "confirmed": "yes", "reason": "mischief"}
    every = {"all": names(bus)[0], "confirmed": "yes", "reason": "mischief"}
    viewer.is_staff = True
    viewer.save()
    client.force_login(viewer)
    page = client.get(PAGE, {"stream": FILL_EVENTS}).content
    assert b"Replay the marked" not in page
    assert b'name="all"' not in page
    for wanted in (chosen, every):
        assert client.post(PAGE, wanted).status_code == 403
    assert waiting(TASK) == []
    assert not AuditEntry.objects.exists()
    client.force_login(trader)
    followed, token = ask(client, waiting, letter=names(bus))
    client.force_login(viewer)
    assert client.get(followed).status_code == 200, "whoever sees the letters sees the replay"
    viewer.groups.clear()
    assert client.get(followed).status_code == 403
    client.logout()
    for address in (PAGE, followed):
        assert client.get(address).status_code == 302
    assert load_replay(bus, token) is not None


def test_nonsense_is_no_choice(office: Client, bus: redis.Redis, waiting: Waiting) -> None:
    plant(bus, b"{}")
    entry_id = load_dead_letters(bus)[0].entry_id
    for wanted in (
        {"letter": ["fill_events", f"no_stream {entry_id}", "fill_events +", "fill_events 1-1"]},
        {"all": "fill_events +"}, {"all": f"no_stream {entry_id}"}, {"all": f"trade_events {entry_id}"}, {},
    ):  # fmt: skip
        answer = office.post(PAGE, {"confirmed": "yes", "reason": "a drill"} | wanted, follow=True)
        assert b"Mark at least one that is still there" in answer.content, wanted
    assert waiting(TASK) == []


def test_bus_that_is_away_is_said(office: Client, bus: redis.Redis, waiting: Waiting, settings: Any) -> None:
    plant(bus, b"{}")
    followed, _ = ask(office, waiting, letter=names(bus))
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    answer = office.get(PAGE)
    assert answer.status_code == 503
    assert b"The bus does not answer" in answer.content
    page = office.get(followed).content.decode()
    assert "The bus does not answer" in page
    assert "hx-trigger" in page, "it asks again"
