"""Waiting out outages that a rehearsal itself causes: a killed database, bus or venue is asked again."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import redis
from django.db import Error as DatabaseError
from django.db import connections

from strategies.paper_venue import PaperVenueDown

OUTAGES = (DatabaseError, redis.RedisError, PaperVenueDown)
T = TypeVar("T")


class RanOut(Exception):
    """The time a rehearsal was given is over."""


def patiently(act: Callable[[], T], deadline: float, pause_s: float = 0.2) -> T:
    """What `act` gives, asking again while something is down. `act` must be safe to repeat. RanOut at the deadline."""
    while True:
        try:
            return act()
        except OUTAGES as error:
            if time.monotonic() > deadline:
                raise RanOut(f"still down: {type(error).__name__}") from error
            connections.close_all()
            time.sleep(pause_s)


def wait_until(true: Callable[[], bool], deadline: float, pause_s: float = 0.025) -> bool:
    """True once `true` says so, False at the deadline, which an outage may outlast."""
    while True:
        with suppress(RanOut):
            if patiently(true, deadline):
                return True
        if time.monotonic() > deadline:
            return False
        time.sleep(pause_s)
