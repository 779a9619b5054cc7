"""Outages that a rehearsal itself causes are waited out."""

import time

import redis

from strategies.rehearsal.patience import wait_until


def test_outage_that_outlasts_a_wait_ends_the_wait_only() -> None:
    def down() -> bool:
        raise redis.ConnectionError

    assert wait_until(down, time.monotonic() + 0.1) is False


def test_what_is_true_already_needs_no_time() -> None:
    assert wait_until(lambda: True, time.monotonic() - 1) is True
