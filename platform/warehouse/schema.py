"""The tables, and the steps that make them. Every process that writes applies the missing steps at its start.

A table's key is what makes a row the same row. ReplacingMergeTree keeps one of each key, but only once it has merged,
so every query reads with FINAL. Event tables are keyed by the event's id alone: it is a pure function of the fact,
while the time and the stream entry differ when a fact is published twice.
"""

from dataclasses import dataclass

import structlog

from warehouse.clickhouse import Client

log = structlog.get_logger()

VERSIONS = """
CREATE TABLE IF NOT EXISTS schema_version (
    version UInt32,
    name String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
) ENGINE = ReplacingMergeTree ORDER BY version
"""

EVENT_LOG = """
CREATE TABLE IF NOT EXISTS event_log (
    event_id UUID,
    stream LowCardinality(String),
    entry_id String,
    type LowCardinality(String),
    version UInt16,
    platform LowCardinality(String),
    timestamp DateTime64(6, 'UTC'),
    account_id String,
    account_name String,
    market_id String,
    data String CODEC(ZSTD(3)),
    recorded_at DateTime64(3, 'UTC') DEFAULT now64(3),
    INDEX event_time timestamp TYPE minmax GRANULARITY 1
) ENGINE = ReplacingMergeTree ORDER BY event_id
"""

TRADE_LOG = """
CREATE TABLE IF NOT EXISTS trade_log (
    event_id UUID,
    type LowCardinality(String),
    platform LowCardinality(String),
    timestamp DateTime64(6, 'UTC'),
    account_id String,
    account_name String,
    market_id String,
    side LowCardinality(String),
    action LowCardinality(String),
    price Decimal(38, 18),
    shares Decimal(38, 18),
    filled Decimal(38, 18),
    fee Nullable(Decimal(38, 18)),
    fee_kind LowCardinality(String),
    liquidity LowCardinality(String),
    status LowCardinality(String),
    origin LowCardinality(String),
    reason String,
    trade_id String,
    settlement_id String,
    order_hash String,
    client_order_id String,
    exposure_id String,
    latency_us Nullable(Int64),
    INDEX trade_time timestamp TYPE minmax GRANULARITY 1
) ENGINE = ReplacingMergeTree ORDER BY event_id
"""

MARKET_HISTORY = """
CREATE TABLE IF NOT EXISTS market_history (
    platform LowCardinality(String),
    market_id String,
    time DateTime64(3, 'UTC'),
    best_bid Nullable(Decimal(38, 18)),
    best_ask Nullable(Decimal(38, 18)),
    mid Nullable(Decimal(38, 18))
) ENGINE = ReplacingMergeTree PARTITION BY toYYYYMM(time) ORDER BY (platform, market_id, time)
"""


@dataclass(frozen=True, slots=True)
class Step:
    """One change of the schema. Its statements do no harm when run again: a step may be cut off half-way."""

    version: int
    name: str
    statements: tuple[str, ...]


STEPS = (Step(1, "event log, trade log, market history", (EVENT_LOG, TRADE_LOG, MARKET_HISTORY)),)


def apply_schema(client: Client) -> int:
    """Apply the steps this database does not have yet; gives the version it is at then."""
    client.command(VERSIONS)
    at = schema_version(client)
    for step in STEPS:
        if step.version > at:
            for statement in step.statements:
                client.command(statement)
            client.insert("schema_version", [[step.version, step.name]], column_names=["version", "name"])
            log.info("warehouse_schema_applied", version=step.version, name=step.name)
            at = step.version
    return at


def schema_version(client: Client) -> int:
    """The highest step applied; 0 for an empty database."""
    return int(client.query("SELECT max(version) FROM schema_version FINAL").result_rows[0][0])
