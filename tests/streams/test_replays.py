"""Replays of dead letters: in order, counted with the step that moves them, gone on with after a death."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import redis

from streams.deadletters import load_dead_letters, move, purge
from streams.names import FIELD, dead_letter_stream
from streams.replays import (
    BATCH,
    KEPT_S,
    OPEN,
    Plan,
    Replay,
    carry_out,
    count_until,
    end_replay,
    load_open,
    load_replay,
    record_replay,
)
from trading.events import FILL_EVENTS, TRADE_EVENTS

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("replay_process.py")


def plant(client: redis.Redis, count: int, stream: str = FILL_EVENTS) -> list[bytes]:
    """So many dead letters; their bodies, oldest first."""
    bodies = [f"{stream} {number}".encode() for number in range(count)]
    with client.pipeline(transaction=False) as pipeline:
        for body in bodies:
            pipeline.xadd(dead_letter_stream(stream), {b"group": b"strategies", FIELD: body, b"reason": b"down"})
        pipeline.execute()
    return bodies


def newest(client: redis.Redis, stream: str = FILL_EVENTS) -> str:
    return load_dead_letters(client, stream, 1)[0].entry_id


def ask_for_all(client: redis.Redis, token: str = "t") -> Replay:
    until = newest(client)
    return record_replay(client, token, Plan(FILL_EVENTS, until, (), count_until(client, FILL_EVENTS, until), "o", "r"))


def bodies_on(client: redis.Redis, stream: str = FILL_EVENTS) -> list[bytes]:
    return [fields[FIELD] for _, fields in client.xrange(stream)]


def read(client: redis.Redis, token: str = "t") -> Replay:
    found = load_replay(client, token)
    assert found is not None
    return found


def test_whole_stream_comes_back_in_order(now_client: redis.Redis) -> None:
    bodies = plant(now_client, 3 * BATCH + 1)
    replay = ask_for_all(now_client)
    assert (replay.plan.total, replay.done) == (len(bodies), 0)
    assert list(carry_out(now_client, replay)) == [BATCH, BATCH, BATCH, 1]
    assert bodies_on(now_client) == bodies
    assert load_dead_letters(now_client) == []
    assert (read(now_client).done, read(now_client).is_over) == (len(bodies), False)


def test_what_dies_later_is_not_replayed_again(now_client: redis.Redis) -> None:
    bodies = plant(now_client, BATCH + 5)
    replay = ask_for_all(now_client)
    batches = carry_out(now_client, replay)
    next(batches)
    plant(now_client, 3)  # comes back at once, as it does while its cause is still there
    assert list(batches) == [5]
    assert bodies_on(now_client) == bodies
    assert len(load_dead_letters(now_client)) == 3


def test_until_is_counted_without_what_came_after(now_client: redis.Redis) -> None:
    plant(now_client, 7)
    until = newest(now_client)
    plant(now_client, 2)
    assert count_until(now_client, FILL_EVENTS, until) == 7
    assert count_until(now_client, TRADE_EVENTS, until) == 0


def test_killed_process_loses_nothing_and_another_goes_on(now_client: redis.Redis) -> None:
    bodies = plant(now_client, 4 * BATCH)
    ask_for_all(now_client)
    url = "redis://127.0.0.1:{port}/0".format(**now_client.connection_pool.connection_kwargs)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "platform")))}
    for dies_after in (2, 1):
        done = subprocess.run([sys.executable, SCRIPT, url, "t", str(dies_after)], env=environment, timeout=60)
        assert done.returncode == -signal.SIGKILL
    half = read(now_client)
    assert (half.done, half.is_over) == (3 * BATCH, False)
    assert [replay.token for replay in load_open(now_client)] == ["t"]
    assert bodies_on(now_client) == bodies[: 3 * BATCH]
    assert [letter.body for letter in reversed(load_dead_letters(now_client, limit=1_000))] == bodies[3 * BATCH :]
    assert list(carry_out(now_client, half)) == [BATCH]
    assert bodies_on(now_client) == bodies
    assert read(now_client).done == len(bodies)


def test_two_at_once_move_nothing_twice(now_client: redis.Redis) -> None:
    bodies = plant(now_client, 4 * BATCH)
    replay = ask_for_all(now_client)
    one, other = carry_out(now_client, replay), carry_out(now_client, replay)
    moved = [next(one), next(other), next(other), next(one), *one, *other]
    assert sum(moved) == len(bodies)
    assert bodies_on(now_client) == bodies
    assert read(now_client).done == len(bodies)


def test_step_sent_again_counts_once(now_client: redis.Redis) -> None:
    """What redis-py does when an answer is lost."""
    bodies = plant(now_client, 3)
    ask_for_all(now_client)
    ids = [letter.entry_id for letter in reversed(load_dead_letters(now_client))]
    assert list(move(now_client, FILL_EVENTS, ids, "replay:t")) == ids
    assert move(now_client, FILL_EVENTS, ids, "replay:t") == {}
    assert bodies_on(now_client) == bodies
    assert read(now_client).done == 3


def test_marked_letters_keep_their_order_over_streams(now_client: redis.Redis) -> None:
    letters = []
    for stream in (TRADE_EVENTS, FILL_EVENTS) * 2:
        plant(now_client, 1, stream)
        letters += load_dead_letters(now_client, stream, 1)  # those of one millisecond have no order over streams
    marked = tuple(f"{letter.stream} {letter.entry_id}" for letter in letters[1:])
    assert purge(now_client, letters[2])
    replay = record_replay(now_client, "t", Plan("", "", marked, 3, "o", "r"))
    assert list(carry_out(now_client, replay)) == [1, 0, 1]
    assert load_dead_letters(now_client) == letters[:1]
    assert end_replay(now_client, "t")
    assert (read(now_client).done, read(now_client).gone) == (2, 1)


def test_replay_that_is_over_is_kept_for_a_day(now_client: redis.Redis) -> None:
    plant(now_client, 1)
    list(carry_out(now_client, ask_for_all(now_client)))
    assert end_replay(now_client, "t")
    assert not end_replay(now_client, "t"), "said once"
    assert load_open(now_client) == []
    assert read(now_client).is_over
    assert 0 < now_client.ttl("replay:t") <= KEPT_S
    now_client.delete("replay:t")
    assert not end_replay(now_client, "t")
    assert load_replay(now_client, "t") is None
    now_client.sadd(OPEN, "forgotten")
    assert load_open(now_client) == []
