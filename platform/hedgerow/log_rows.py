"""A row of the logs as a person reads it: market by title, facts in words, figures with the decimals pages show."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hedgerow.templatetags.figures import money
from markets.models import market_key
from markets.querysets import load_titles
from trading.values import ZERO, text
from warehouse.queries import RecordedEvent, RecordedTrade

_TOLD_BESIDE = frozenset({"account_name", "market_id", "platform", "version"})
"""Facts that have a column of their own."""
_FOR_MACHINES = ("_id", "_hash", "_ns", "_ms")
"""How the names of facts end that say nothing to a person."""


@dataclass(frozen=True)
class LogRow:
    """One row, and what its columns show of it. `market` is empty where there is none."""

    record: RecordedEvent | RecordedTrade
    market: str
    market_key: str
    summary: str = ""


def tell_rows(records: Sequence[RecordedEvent | RecordedTrade]) -> list[LogRow]:
    """The rows of a page. One query, and none for a page without markets."""
    keys = [key_of(record) for record in records]
    titles = load_titles({key for key in keys if key})
    return [
        LogRow(
            record,
            titles.get(key) or record.market_id,
            key,
            summary_of(record.data) if isinstance(record, RecordedEvent) else "",
        )
        for record, key in zip(records, keys, strict=True)
    ]


def key_of(record: RecordedEvent | RecordedTrade) -> str:
    """The key of the row's market; empty when it names none, or no venue."""
    return market_key(record.platform, record.market_id) if record.platform and record.market_id else ""


def summary_of(data: str) -> str:
    """An event's facts but for what stands in other columns: `buy no, price 0.57, shares 33.99, status filled`.

    At most four decimals are told; the event itself, which the page shows beneath, and the CSV keep every digit.
    """
    try:
        facts = json.loads(data, parse_float=Decimal)
    except ValueError:
        return data
    if not isinstance(facts, dict):
        return data
    facts = with_units(facts)
    leads = [
        " ".join(str(facts.pop(name)) for name in names)
        for names in (("action", "side"), ("what", "value"))
        if all(facts.get(name) for name in names)
    ]
    told = [f"{name.replace('_', ' ')} {written(value)}" for name, value in facts.items() if is_told(name, value)]
    return ", ".join(leads + told) or "nothing more"


def with_units(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts with what their money is in: a balance in USDT, a fee in what its kind says."""
    told = dict(facts)
    kind, fee = told.get("fee_kind"), told.get("fee")
    if kind and fee:
        told["fee"] = f"{written(fee)} {'shares' if told.pop('fee_kind') == 'shares' else 'USDT'}"
    if told.get("what") == "balance" and told.get("value"):
        with suppress(ArithmeticError):
            told["value"] = f"{money(Decimal(str(told['value'])))} USDT"
    return told


def is_told(name: str, value: Any) -> bool:
    """Whether a fact says something to a person that no column says."""
    return name not in _TOLD_BESIDE and not name.endswith(_FOR_MACHINES) and value not in (None, "", [], {})


def written(value: Any) -> str:
    """A fact's value: figures with at most four decimals, lists with spaces between."""
    if isinstance(value, Decimal):
        return text(Decimal(f"{value:.4f}") or ZERO)
    if isinstance(value, list):
        return " ".join(map(written, value))
    return str(value)
