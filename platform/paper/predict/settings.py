"""What a paper Predict.fun is started with. One typed object, filled by the command line or by a test."""

from pathlib import Path

import msgspec

UNIT = 10**18


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits are per window: trading, search and other per minute, posts per second. Delays are milliseconds."""

    state_dir: Path
    host: str = "127.0.0.1"
    port: int = 8756
    chain_id: int = 56
    trading_limit: int = 500
    search_limit: int = 120
    other_limit: int = 250
    post_limit: int = 40
    api_keys: tuple[str, ...] = ()
    settlement_delay_ms: int = 300
    taker_delay_ms: int = 0
    visibility_delay_ms: int = 0
    heartbeat_s: float = 15.0
    traders: bool = True
    taker_every_s: float = 1.5
    seed: int = 1
    seed_markets: bool = True
    compact_after: int = 50_000
