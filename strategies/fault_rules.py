"""The paper venue's fault rules as a person writes and reads them. Used by the `faults` command and its page."""

import re
from collections.abc import Mapping
from typing import Any

from trading.errors import InvalidValue

KINDS: dict[str, str] = {
    "latency_ms": "answers come late (ms)",
    "timeout_before_accept": "the connection drops before an order is taken",
    "timeout_after_accept": "the connection drops after an order was taken",
    "http_429": "requests are refused as too many",
    "http_5xx": "requests fail with 503",
    "duplicate_events": "wallet events come twice",
    "reorder_events": "wallet events come late (ms) and out of order",
    "drop_events": "wallet events are lost",
    "ws_silence": "the stream stays open and says nothing",
    "ws_drain": "the stream is closed after a grace (ms)",
    "fail_settlement": "a match fails on the chain",
    "status_lag_ms": "REST shows orders as they were (ms)",
    "partial_fills": "a taking order gets half at once, the rest later (ms)",
    "post_only_cancel": "a post-only order is taken, then cancelled",
    "clock_skew_ms": "the venue's clock is off (ms, may be negative)",
}
_RULE = re.compile(r"(?P<kind>\w+)(=(?P<ms>-?\d+))?(@(?P<probability>0(\.\d+)?|1(\.0+)?))?(:(?P<count>\d+))?")


def parse_rule(text: str) -> dict[str, Any]:
    """KIND[=MILLISECONDS][@PROBABILITY][:COUNT] as the venue's control plane takes it; InvalidValue says what is wrong.

    A probability is no amount of money: it goes on the wire as a JSON number.
    """
    found = _RULE.fullmatch(text.strip())
    if found is None:
        raise InvalidValue(f"{text!r} is no rule: write KIND[=MILLISECONDS][@PROBABILITY][:COUNT]")
    kind = found["kind"]
    if kind not in KINDS:
        raise InvalidValue(f"{kind!r} is no fault; known: {', '.join(KINDS)}")
    rule: dict[str, Any] = {"kind": kind}
    if found["ms"] is not None:
        rule["ms"] = int(found["ms"])
    if found["probability"] is not None:
        rule["probability"] = float(found["probability"])
    if found["count"] is not None:
        rule["count"] = int(found["count"])
    return rule


def describe_rule(rule: Mapping[str, Any]) -> str:
    """One line for a person: the rule as it is written, what it does, how often it has struck."""
    return f"{write_rule(rule)}   {KINDS.get(rule['kind'], '')}; struck {rule.get('struck', 0)} times"


def write_rule(rule: Mapping[str, Any]) -> str:
    """The rule as `parse_rule` reads it."""
    text = str(rule["kind"])
    if rule.get("ms"):
        text += f"={rule['ms']}"
    if rule.get("probability", 1) not in (1, 1.0):
        text += f"@{rule['probability']}"
    return text + (f":{rule['count']}" if rule.get("count") is not None else "")
