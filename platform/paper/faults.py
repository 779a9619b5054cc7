"""Faults a paper venue commits on request: which, how often, to whom. Seeded, so a storm can be run again.

Rules are kept in the venue's folder: a venue that was killed comes back as faulty as it was.
"""

import os
import random
from pathlib import Path
from typing import Literal

import msgspec

FaultKind = Literal[
    "latency_ms",
    "timeout_before_accept",
    "timeout_after_accept",
    "http_429",
    "http_5xx",
    "duplicate_events",
    "reorder_events",
    "drop_events",
    "ws_silence",
    "ws_drain",
    "fail_settlement",
    "status_lag_ms",
    "partial_fills",
    "post_only_cancel",
    "clock_skew_ms",
]


class FaultRule(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`count` limits how often it strikes (None: without end); `ms` is the length where the fault has one.

    HTTP faults strike requests of `method` whose path starts with `path`. `partial_fills`: half of what a taking order
    could get is matched at once, the rest `ms` (100) later. `post_only_cancel`: a post-only order is accepted, then
    cancelled. `clock_skew_ms`: the venue's clock stands off by `ms`, which may be negative.
    """

    kind: FaultKind
    probability: float = 1.0
    count: int | None = None
    address: str | None = None
    ms: int = 0
    method: str = "POST"
    path: str = "/v1/orders"
    struck: int = 0


class Faults:
    """The rules in force. With a `file` they outlive the process, and how often the limited ones struck does too."""

    def __init__(self, seed: int, file: Path | None = None) -> None:
        self._file = file
        self.rules: list[FaultRule] = []
        if file is not None and file.exists():
            self.rules = msgspec.json.decode(file.read_bytes(), type=list[FaultRule])
        self._random = random.Random(seed)  # noqa: S311 - a repeatable storm, not a secret

    def replace(self, rules: list[FaultRule], seed: int | None) -> None:
        for rule in rules:
            rule.address = rule.address.lower() if rule.address else None
        self.rules = rules
        if seed is not None:
            self._random.seed(seed)
        self._save()

    def strikes(
        self, kind: FaultKind, address: str | None = None, method: str | None = None, path: str = ""
    ) -> FaultRule | None:
        """The rule that strikes now, counted, or None. Without a method the HTTP filter does not apply."""
        for rule in self.rules:
            if rule.kind != kind or (rule.count is not None and rule.struck >= rule.count):
                continue
            if rule.address is not None and rule.address != address:
                continue
            if method is not None and (rule.method not in ("*", method) or not path.startswith(rule.path)):
                continue
            if rule.probability < 1 and self._random.random() >= rule.probability:
                continue
            rule.struck += 1
            if rule.count is not None:
                self._save()
            return rule
        return None

    def length_of(self, kind: FaultKind, address: str | None = None) -> int:
        """The longest `ms` of standing rules of a kind (not counted)."""
        return max(
            (r.ms for r in self.rules if r.kind == kind and r.address in (None, address)),
            key=abs,
            default=0,
        )

    def _save(self) -> None:
        if self._file is None:
            return
        draft = self._file.with_suffix(".new")
        draft.write_bytes(msgspec.json.encode(self.rules))
        os.replace(draft, self._file)
