"""A storm over a rehearsal: SIGKILL at random moments while the venue commits random faults. Seeded.

The seed fixes what is killed, in which order, after which pauses, and which faults stand when. What each of them hits
is for the machine's timing to say: two storms of one seed are alike, not equal.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from strategies.paper_venue import PaperVenueDown, PaperVenueRefused
from strategies.rehearsal import processes
from strategies.rehearsal.desk import RehearsalDesk

VICTIMS = ("engine", "listener", "redis", "postgres", "venue", "engine", "listener", "recorder", "web")
"""What a storm kills; the engine and the listener stand in it twice, for they have the most to lose."""
FIRST_S = (1.0, 3.0)
PAUSE_S = (2.0, 6.0)
"""Between a victim's return and the next kill."""
MOST_EACH = 4
"""The supervisor waits longer before each new start of what dies often: more kills would only make a storm slow."""
SKEW_MS = 3000

_MENU: tuple[dict[str, Any], ...] = (
    {"kind": "latency_ms", "probability": 0.2, "ms": 400, "method": "*"},
    {"kind": "timeout_before_accept", "probability": 0.1, "ms": 50},
    {"kind": "timeout_after_accept", "probability": 0.15, "ms": 50},
    {"kind": "timeout_after_accept", "probability": 0.5, "count": 3, "ms": 3000},
    {"kind": "http_429", "probability": 0.1},
    {"kind": "http_5xx", "probability": 0.1},
    {"kind": "http_5xx", "probability": 0.3, "method": "*", "path": "/v1/"},
    {"kind": "duplicate_events", "probability": 0.5},
    {"kind": "reorder_events", "probability": 0.4, "ms": 250},
    {"kind": "drop_events", "probability": 0.1},
    {"kind": "ws_silence", "probability": 0.5},
    {"kind": "ws_drain", "count": 1, "ms": 200},
    {"kind": "fail_settlement", "probability": 0.05},
    {"kind": "status_lag_ms", "ms": 1500},
    {"kind": "partial_fills", "probability": 0.5, "ms": 150},
    {"kind": "post_only_cancel", "probability": 0.1},
)


class Storm:
    """Rages from `start` until `calm`, in two threads of its own: one kills, one changes the faults."""

    def __init__(self, desk: RehearsalDesk, state_dir: Path, seed: int, say: Callable[[str], None]) -> None:
        self.kills: list[str] = []
        self._desk = desk
        self._state_dir = state_dir
        self._seed = seed
        self._say = say
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._kill, name="storm kills", daemon=True),
            threading.Thread(target=self._change_faults, name="storm faults", daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def calm(self, patience_s: float = 60.0) -> None:
        """No more kills, no more faults; returns once all that was killed is back and the venue is itself again."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        until = time.monotonic() + patience_s
        while not self._clear():
            if time.monotonic() > until:
                raise processes.NoSuchProcess("the venue did not come back after the storm")
            time.sleep(0.25)

    def _clear(self) -> bool:
        try:
            self._desk.venue.set_faults([])
        except (PaperVenueDown, PaperVenueRefused):
            return False
        self._desk.keep_takers_resting()
        return True

    def _kill(self) -> None:
        random = Random(f"{self._seed} kills")  # noqa: S311 - a storm that can be told again, not a secret
        left = dict.fromkeys(VICTIMS, MOST_EACH)
        pause = random.uniform(*FIRST_S)
        while not self._over.wait(pause) and any(left.values()):
            victim = random.choice([name for name in VICTIMS if left[name]])
            pause = random.uniform(*PAUSE_S)
            left[victim] -= 1
            try:
                killed = processes.kill(self._state_dir, victim)
            except processes.NoSuchProcess:
                continue  # It is down already: a neighbour's death took it along.
            self.kills.append(victim)
            self._say(f"storm: killed {victim} (process {killed.pid})")
            try:
                processes.wait_for_return(self._state_dir, killed, lambda _: None)
            except processes.NoSuchProcess as error:
                self._say(f"storm: {error}")
                return
            if victim == "venue":
                self._rest_takers()

    def _rest_takers(self) -> None:
        """A venue that was killed starts with its takers trading; it needs a moment to listen."""
        for _ in range(20):
            self._desk.keep_takers_resting()
            if self._over.wait(0.25):
                return

    def _change_faults(self) -> None:
        random = Random(f"{self._seed} faults")  # noqa: S311 - as above
        skew = {"kind": "clock_skew_ms", "ms": random.randint(-SKEW_MS, SKEW_MS)}
        number = 0
        while True:
            rules = [skew, *random.sample(_MENU, random.randint(1, 4))]
            number += 1
            try:
                self._desk.venue.set_faults(rules, self._seed * 1000 + number)
            except (PaperVenueDown, PaperVenueRefused):
                self._say("storm: the venue is away; its faults stay as they are")
            if self._over.wait(random.uniform(1.0, 5.0)):
                return
