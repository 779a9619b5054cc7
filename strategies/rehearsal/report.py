"""The result of a rehearsal: one JSON object, and whether it passed."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

import msgspec

from strategies.rehearsal.audit import Findings
from trading.values import ZERO, divide

_HUNDREDTH = Decimal("0.01")


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds from a fill's arrival to its hedge's bytes leaving."""

    p50: Decimal | None
    p99: Decimal | None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What is printed last. Shares and seconds are exact decimals, written as JSON numbers."""

    ok: bool
    fills: int
    hedged: int
    duplicates: int
    lost: int
    unhedged_shares: Decimal
    dust_shares: Decimal
    orders_unknown: int
    fill_to_order_ms: Latency
    hedges_per_s: Decimal
    seconds: Decimal
    hedge_orders: int
    phantom: int
    position_differences: int
    exposure_differences: int
    killed: str | None = None
    down_s: Decimal | None = None
    reversed_fills: int = 0
    """Fills of the primaries whose settlement failed: they happened, and then they had not."""
    storm_seed: int | None = None
    kills: tuple[str, ...] = ()
    """What the storm killed, in order."""
    details: tuple[str, ...] = ()

    def encode(self) -> str:
        """One line of JSON."""
        return _encoder.encode(self).decode()


_encoder = msgspec.json.Encoder(decimal_format="number")


def make_report(
    findings: Findings,
    *,
    wanted: int,
    fills: int,
    hedged: int,
    latencies_us: Sequence[int],
    hedge_orders: int,
    seconds: Decimal,
    killed: str | None = None,
    down_s: Decimal | None = None,
    reversed_fills: int = 0,
    storm_seed: int | None = None,
    kills: Sequence[str] = (),
) -> Report:
    """`fills` of the primaries happened, of `wanted`; passes only when all did and the findings are clean."""
    return Report(
        ok=findings.is_clean and fills + reversed_fills >= wanted and hedged == fills,
        fills=fills,
        hedged=hedged,
        duplicates=findings.duplicates,
        lost=findings.lost,
        unhedged_shares=findings.unhedged_shares,
        dust_shares=findings.dust_shares,
        orders_unknown=findings.orders_unknown,
        fill_to_order_ms=Latency(p50=percentile_ms(latencies_us, 50), p99=percentile_ms(latencies_us, 99)),
        hedges_per_s=rounded(divide(Decimal(hedge_orders), seconds)) if seconds else ZERO,
        seconds=rounded(seconds),
        hedge_orders=hedge_orders,
        phantom=findings.phantom,
        position_differences=findings.position_differences,
        exposure_differences=findings.exposure_differences,
        killed=killed,
        down_s=None if down_s is None else rounded(down_s),
        reversed_fills=reversed_fills,
        storm_seed=storm_seed,
        kills=tuple(kills),
        details=tuple(findings.details),
    )


def percentile_ms(latencies_us: Sequence[int], percent: int) -> Decimal | None:
    """The nearest-rank percentile in milliseconds; None without a measurement."""
    if not latencies_us:
        return None
    ranked = sorted(latencies_us)
    rank = -(-len(ranked) * percent // 100)
    return rounded(Decimal(ranked[max(rank, 1) - 1]) / 1000)


def rounded(value: Decimal) -> Decimal:
    """To two places, half up: for show."""
    return value.quantize(_HUNDREDTH, ROUND_HALF_UP)


def count_hedged(sizes_newest_first: Sequence[Decimal], unhedged: Decimal) -> int:
    """How many of an exposure's fills are hedged when `unhedged` shares are not: the newest wait the longest."""
    left = unhedged
    waiting = 0
    for size in sizes_newest_first:
        if left <= ZERO:
            break
        left -= size
        waiting += 1
    return len(sizes_newest_first) - waiting
